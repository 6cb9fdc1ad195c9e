package relay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// maxLine is the longest line that may be sent, without its CRLF (RFC 5321
// §4.5.3.1.6).
const maxLine = 998

// mail is what is sent of a queued message: its bytes without our Return-Path
// (RFC 5321 §4.4), converted where a server could not take them.
type mail struct {
	r       *Relay
	body    io.ReaderAt
	size    int64
	facts   facts
	closers []io.Closer

	plain *mail // converted to 7 bits, once a server has needed it
}

// facts are what a message asks of the servers that carry it.
type facts struct {
	header       []byte // at most message.MaxHeader octets of it
	utf8Header   bool   // the header holds more than ASCII
	eightBit     bool   // the body does
	longLines    bool   // anywhere
	notCanonical bool
}

// smallMail is what is read at once instead of piece by piece.
const smallMail = 256 << 10

// open makes ready what a job sends.
func (r *Relay) openMail(ctx context.Context, q store.Queued) (*mail, error) {
	m := &mail{r: r}
	data, err := r.Store.ReadBody(ctx, q.Blob, smallMail)
	switch {
	case err != nil:
		return nil, err
	case data != nil:
		m.body, m.size = bytes.NewReader(data), int64(len(data))
	default:
		body, err := r.Store.OpenBody(ctx, q.Blob)
		if err != nil {
			return nil, err
		}
		m.body, m.size = body, body.Size()
		m.closers = append(m.closers, body)
	}
	if err := m.prepare(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *mail) close() {
	if m.plain != nil {
		m.plain.close()
	}
	for _, c := range m.closers {
		if err := c.Close(); err != nil {
			m.r.Log.Warn("close a mail", "err", err)
		}
	}
}

// prepare leaves out our Return-Path and makes lines short enough.
func (m *mail) prepare() error {
	skip, err := returnPath(m.body)
	if err != nil {
		return err
	}
	m.body, m.size = io.NewSectionReader(m.body, skip, m.size-skip), m.size-skip
	if err := m.scan(); err != nil {
		return err
	}
	if m.facts.notCanonical {
		return never("6.0", "the message holds a bare CR or LF, which cannot be sent")
	}
	if m.facts.longLines {
		return m.convert(false)
	}
	return nil
}

// returnPath is how long the Return-Path is that we put first.
func returnPath(r io.ReaderAt) (int64, error) {
	const name = "Return-Path:"
	buf := make([]byte, 4096)
	n, err := r.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	if buf = buf[:n]; len(buf) < len(name) || !strings.EqualFold(string(buf[:len(name)]), name) {
		return 0, nil
	}
	end := 0
	for {
		i := bytes.IndexByte(buf[end:], '\n')
		if i < 0 {
			return 0, nil
		}
		end += i + 1
		if end == len(buf) || buf[end] != ' ' && buf[end] != '\t' {
			return int64(end), nil
		}
	}
}

// scan learns the facts.
func (m *mail) scan() error {
	m.facts = facts{}
	var verify message.Verifier
	header, line := true, 0
	buf := make([]byte, min(m.size+1, 64<<10))
	for off := int64(0); off < m.size; {
		n, err := m.body.ReadAt(buf, off)
		if n == 0 && err != nil {
			return fmt.Errorf("read the message: %w", err)
		}
		off += int64(n)
		if _, err := verify.Write(buf[:n]); err != nil {
			m.facts.notCanonical = true
			return nil
		}
		for _, c := range buf[:n] {
			if header && len(m.facts.header) < message.MaxHeader {
				m.facts.header = append(m.facts.header, c)
			}
			switch {
			case c == '\n':
				if header && line == 1 {
					header = false
				}
				line = 0
				continue
			case c >= 0x80 && header:
				m.facts.utf8Header = true
			case c >= 0x80:
				m.facts.eightBit = true
			}
			if line++; line > maxLine && c != '\r' {
				m.facts.longLines = true
			}
		}
	}
	m.facts.notCanonical = verify.Close() != nil
	return nil
}

// sevenBit is the mail as a server without 8BITMIME can take it.
func (m *mail) sevenBit() (*mail, error) {
	if m.plain == nil {
		p := &mail{r: m.r, body: m.body, size: m.size, facts: m.facts}
		if err := p.convert(true); err != nil {
			p.close()
			return nil, err
		}
		m.plain = p
	}
	return m.plain, nil
}

// convert replaces the mail with one that has no long lines, and no octets
// beyond ASCII where sevenBit is asked for.
func (m *mail) convert(sevenBit bool) error {
	spool := m.r.Store.NewSpool()
	m.closers = append(m.closers, spool)
	if err := convert(spool, m.body, m.size, sevenBit); err != nil {
		return err
	}
	m.body, m.size = spool, spool.Size()
	return m.scan()
}

// wantsNoTLS reports RFC 8689 §3: the sender prefers delivery to safety.
func (m *mail) wantsNoTLS() bool {
	v := message.Field(m.facts.header, "TLS-Required")
	return len(v) == 1 && strings.EqualFold(strings.TrimSpace(v[0]), "no")
}

// WriteTo sends the message with RFC 5321 §4.5.2 transparency, up to but
// without the final dot.
func (m *mail) WriteTo(w io.Writer) (total int64, err error) {
	write := func(b []byte) {
		if err == nil && len(b) > 0 {
			var n int
			n, err = w.Write(b)
			total += int64(n)
		}
	}
	start := true
	buf := make([]byte, min(m.size+1, 64<<10))
	for off := int64(0); off < m.size && err == nil; {
		n, readErr := m.body.ReadAt(buf, off)
		if n == 0 && readErr != nil {
			return total, errRead{readErr}
		}
		off += int64(n)
		for b := buf[:n]; len(b) > 0; {
			if start && b[0] == '.' {
				write([]byte{'.'})
			}
			end := bytes.Index(b, []byte("\n.")) + 1
			if end == 0 {
				end = len(b)
			}
			write(b[:end])
			start = b[end-1] == '\n'
			b = b[end:]
		}
	}
	return total, err
}

// errRead is our own failure to read a message, as opposed to one of the
// network to take it.
type errRead struct{ error }
