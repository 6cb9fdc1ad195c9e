package smtpd

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// BDAT (RFC 3030 §2) is ours. The library runs a message in chunks in a
// goroutine that it does not wait for after RSET, so that its result can be
// taken for that of the next message; it delivers half a chunk when the
// client goes away; and it runs a chunk as commands when it refuses the
// command before it. We hand it the whole message as one DATA instead, and
// answer the chunks ourselves.

// bdat begins a message in chunks.
func (c *conn) bdat(verb, args string) error {
	size, last, refusal := parseChunk(verb, args)
	if refusal == nil && c.recipients == 0 {
		refusal = errNoRecipients
	}
	switch {
	case size < 0: // nobody can say where commands go on
		return c.goodbye(refusal)
	case refusal != nil:
		if err := c.refuse(refusal); err != nil {
			return err
		}
		return c.discard(size)
	}
	c.chunks = &chunkReader{c: c}
	c.chunks.begin(size, last)
	c.pending, c.mute = []byte("DATA\r\n"), true
	return nil
}

// parseChunk reads the parameters of BDAT. The size is -1 when it is not
// known, and else must be read over when the command is refused.
func parseChunk(verb, args string) (size int64, last bool, refusal *reply) {
	fields := strings.Fields(args)
	if verb != "BDAT" || len(fields) == 0 {
		return -1, false, errChunkSize
	}
	n, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil || n > math.MaxInt64 {
		return -1, false, errChunkSize
	}
	last = len(fields) == 2 && strings.EqualFold(fields[1], "LAST")
	if len(fields) > 1 && !last {
		refusal = errChunkSyntax
	}
	return int64(n), last, refusal
}

// discard reads over a chunk that was refused, unless there is no end to it.
func (c *conn) discard(size int64) error {
	if size > 2*c.server.config.MaxSize {
		c.say(errTooLarge)
		return c.abandon(errEndless)
	}
	if c.budget == nil {
		c.budget = c.newBudget()
		defer func() { c.budget = nil }()
	}
	if _, err := io.CopyN(io.Discard, c.in, size); err != nil {
		return c.abandon(err)
	}
	return nil
}

// chunkReader reads a message in chunks, answers each but the last, and
// whatever the client says between them.
type chunkReader struct {
	c     *conn
	open  bool  // a chunk has begun
	left  int64 // octets of it
	last  bool
	total int64 // octets of all chunks
	done  error
}

func (k *chunkReader) Read(b []byte) (int, error) {
	for k.done == nil && k.left == 0 {
		switch {
		case k.open && k.last:
			k.done = io.EOF
		case k.open:
			k.open = false
			k.c.say(answer(250, 0, 0, strconv.FormatInt(k.total, 10)+" octets so far"))
		default:
			k.between()
		}
	}
	if k.done != nil {
		return 0, k.done
	}
	n, err := k.c.in.Read(b[:min(int64(len(b)), k.left)])
	k.left -= int64(n)
	if err != nil {
		k.done = k.c.abandon(err)
	}
	return n, nil
}

// begin begins a chunk.
func (k *chunkReader) begin(size int64, last bool) {
	if size > k.c.server.config.MaxSize-k.total {
		if k.done = k.c.discard(size); k.done == nil {
			k.done = store.ErrTooLarge
		}
		return
	}
	k.open, k.left, k.last = true, size, last
	k.total += size
}

// between runs one command between chunks.
func (k *chunkReader) between() {
	line, err := k.c.in.ReadSlice('\n')
	if err != nil {
		k.done = k.c.abandon(err)
		return
	}
	verb, args := splitCommand(line)
	switch {
	case strings.HasPrefix(verb, "BDAT"):
		size, last, refusal := parseChunk(verb, args)
		switch {
		case size < 0:
			k.c.say(refusal)
			k.done = k.c.abandon(io.EOF)
		case refusal != nil:
			if k.refuse(refusal); k.done == nil {
				k.done = k.c.discard(size)
			}
		default:
			k.begin(size, last)
		}
	case verb == "NOOP":
		k.c.say(okay)
	case verb == "RSET", verb == "QUIT", verb == "EHLO", verb == "HELO":
		// These end the message. The library hears of that first, with no
		// reply for the client, and then runs the command.
		k.c.replay, k.c.mute = bytes.Clone(line), true
		k.done = errGivenUp
	default:
		k.refuse(errBetweenChunks)
	}
}

func (k *chunkReader) refuse(r *reply) {
	if k.c.refuse(r) != nil {
		k.done = k.c.abandon(io.EOF)
	}
}
