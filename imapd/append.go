package imapd

import (
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// AppendLimit is asked by the library, which drains a literal that Append has
// refused, but runs one that is over this limit as commands. So there is none
// here; ours is in Append, and announced by capabilities.
func (s *session) AppendLimit() uint32 { return ^uint32(0) }

// admit looks at the size of a message before the client is asked for it, and
// returns how it is refused, or "". RFC 7889 §4
func (s *session) admit(size int64) string {
	err := s.room(size)
	if said, ok := err.(*imap.Error); ok {
		return fmt.Sprintf("%s [%s] %s", said.Type, said.Code, said.Text)
	}
	return ""
}

func (s *session) room(size int64) error {
	if size > s.conn.server.config.MaxSize {
		return s.reply("append", store.ErrTooLarge)
	}
	return s.reply("append", s.store.RoomFor(s.ctx, s.user.ID, size))
}

// Append is the APPEND command (RFC 9051 §6.3.12). The library reads and drops
// what is left of the literal.
func (s *session) Append(name string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	flags, err := parseFlags(o.Flags)
	if err != nil {
		return nil, err
	}
	if r.Size() == 0 {
		return nil, no(imap.ResponseCodeCannot, "The message is empty")
	}
	if err := s.room(r.Size()); err != nil {
		return nil, err
	}
	mailbox, err := s.mailbox(name)
	if err != nil {
		return nil, s.tryCreate("append", err)
	}
	spool := s.store.NewSpool()
	defer spool.Close()
	if err := spoolLiteral(spool, r); err != nil {
		return nil, s.reply("append", err)
	}
	uids, validity, err := s.store.Append(s.ctx, mailbox.ID, []store.Appended{{Flags: flags, Received: o.Time, Body: spool}})
	if err != nil {
		return nil, s.tryCreate("append", err)
	}
	return &imap.AppendData{UID: imap.UID(uids[0]), UIDValidity: uint32(validity)}, nil
}

// spoolLiteral takes the whole literal or fails: when the connection breaks,
// the library lets a literal end early without an error.
func spoolLiteral(spool io.Writer, r imap.LiteralReader) error {
	counted := &countingReader{r: r}
	if _, err := io.Copy(spool, message.NewCanonicalReader(counted)); err != nil {
		return err
	}
	if counted.n != r.Size() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
