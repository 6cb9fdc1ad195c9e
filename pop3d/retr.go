package pop3d

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A message of up to this size is read whole, in one query; a larger one
// streams, chunk by chunk.
const small = 64 << 10

// retr sends a message (RFC 1939 §5).
func (s *session) retr(args []string) reply {
	i, found := s.drop.find(args[0])
	if !found {
		return fail(codeNone, noSuchMessage)
	}
	return s.message(i, ok(messageSize, s.drop.Messages[i].Size), func(w *dotWriter, body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	})
}

// top sends the header of a message and the first lines of its body
// (RFC 1939 §7).
func (s *session) top(args []string) reply {
	i, found := s.drop.find(args[0])
	if !found {
		return fail(codeNone, noSuchMessage)
	}
	n, found := number(args[1])
	if !found {
		return s.bad(fail(codeNone, wrongArguments))
	}
	return s.message(i, ok(topFollows), func(w *dotWriter, body io.Reader) error {
		_, err := io.Copy(&topWriter{to: w, lines: n}, body)
		if err == errEnough {
			return nil
		}
		return err
	})
}

// message is r followed by what send makes of message i. The message is
// opened before r is said, so that one that has vanished meanwhile is an
// error that can still be told.
func (s *session) message(i int, r reply, send func(*dotWriter, io.Reader) error) reply {
	m := s.drop.Messages[i]
	whole, err := s.Store.ReadBody(s.ctx, m.Blob, small)
	if err != nil {
		return s.failure(err)
	}
	if whole != nil {
		r.body = func(w *bufio.Writer) error {
			return send(&dotWriter{w: w}, bytes.NewReader(whole))
		}
		return r
	}
	body, err := s.Store.OpenBody(s.ctx, m.Blob)
	if err != nil {
		return s.failure(err)
	}
	r.body = func(w *bufio.Writer) error {
		defer body.Close()
		if err := send(&dotWriter{w: w}, body.Section(0, body.Size())); err != nil {
			return fmt.Errorf("send message %d: %w", i+1, err)
		}
		return nil
	}
	return r
}

// A dotWriter byte-stuffs a message (RFC 1939 §3). net/textproto has one that
// goes octet by octet, because it must not trust the line ends; ours are CRLF
// (I3), so all there is to look for is a dot after one.
type dotWriter struct {
	w   *bufio.Writer
	mid bool // within a line
}

func (d *dotWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if !d.mid && p[0] == '.' {
			d.w.WriteByte('.')
		}
		next := bytes.Index(p, []byte("\n."))
		if next < 0 {
			d.mid = p[len(p)-1] != '\n'
			next = len(p) - 1
		} else {
			d.mid = false
		}
		if _, err := d.w.Write(p[:next+1]); err != nil {
			return 0, err
		}
		p = p[next+1:]
	}
	return n, nil
}

// A topWriter passes on the header, the empty line after it and a number of
// lines; then it is errEnough.
type topWriter struct {
	to     io.Writer
	lines  uint64
	body   bool
	length int // of the line so far
}

var errEnough = errors.New("enough of the message")

func (t *topWriter) Write(p []byte) (int, error) {
	n, enough := t.take(p)
	if _, err := t.to.Write(p[:n]); err != nil {
		return 0, err
	}
	if enough {
		return n, errEnough
	}
	return n, nil
}

// take says how much of p is still wanted, and whether that is the end.
func (t *topWriter) take(p []byte) (n int, enough bool) {
	for n < len(p) {
		eol := bytes.IndexByte(p[n:], '\n')
		if eol < 0 {
			t.length += len(p) - n
			return len(p), false
		}
		length := t.length + eol // with its CR
		t.length = 0
		n += eol + 1
		switch {
		case t.body:
			t.lines--
		case length <= 1:
			t.body = true
		}
		if t.body && t.lines == 0 {
			return n, true
		}
	}
	return n, false
}
