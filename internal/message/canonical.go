package message

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// MaxLine is the longest line of text that is accepted, in octets without
// its line end. RFC 5321 §4.5.3.1.6 asks for 1000; real HTML mail has more.
const MaxLine = 64 << 10

var (
	// ErrNotCanonical says that the octets hold a bare CR, a NUL, or a line
	// end that could be read as the end of a message by someone else.
	ErrNotCanonical = errors.New("message: line ends are not canonical")
	// ErrLineTooLong says that a line has more than MaxLine octets.
	ErrLineTooLong = errors.New("message: line too long")
)

// CanonicalReader turns a message into canonical bytes: lines that end in
// CRLF, no bare CR, no bare LF, no NUL.
//
// A bare LF in text becomes CRLF, because scripts send it, and a missing last
// CRLF is added. A bare CR, a NUL, and a line that is a lone dot with anything
// but CRLF on either side are refused: they are how one message is made to
// look like two (RFC 5321 §2.3.8, §4.1.1.4). The first line counts as preceded
// by CRLF, since the DATA command was. A lone dot between two CRLF is text: the
// transparency of RFC 5321 §4.5.2 has been undone by whoever read DATA.
//
// A refusal does not end the reading. The rest is read and dropped, and Read
// reports [ErrNotCanonical] or [ErrLineTooLong] only when the source has ended,
// so that the peer hears its answer after its whole message. An error of the
// source itself takes precedence.
type CanonicalReader struct {
	r       io.Reader
	buf     *canonicalBuffer // from the first read to the last
	off     int              // how much of buf.out has been handed on
	idle    int              // reads in a row that brought nothing
	refused error            // what the message is refused with
	done    error            // what Read returns once all is handed on

	cr        bool // the last octet was a CR
	length    int  // octets of the current line
	dot       bool // which begins with a dot
	afterCRLF bool // the line before it ended in CRLF
	unstuffed bool
}

// canonicalBuffer is what a reader works on. Messages come often and are
// mostly small, so the next one gets the same.
type canonicalBuffer struct{ in, out []byte }

var canonicalBuffers = sync.Pool{New: func() any {
	return &canonicalBuffer{in: make([]byte, 16<<10), out: make([]byte, 0, 16<<10)}
}}

// NewCanonicalReader reads a message whose octets have not been changed since
// the sender wrote them, except for transparency.
func NewCanonicalReader(r io.Reader) *CanonicalReader {
	return &CanonicalReader{r: r, afterCRLF: true}
}

// NewUnstuffedReader is [NewCanonicalReader] for a source that removes the dot
// from CRLF "." LF as it undoes transparency. What is left then is an empty
// line that ends in a bare LF right after a CRLF, and it is refused as the
// sequence it stands for.
func NewUnstuffedReader(r io.Reader) *CanonicalReader {
	c := NewCanonicalReader(r)
	c.unstuffed = true
	return c
}

// Read implements [io.Reader].
func (c *CanonicalReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	piece, err := c.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, piece)
	c.off += n
	return n, nil
}

// WriteTo implements [io.WriterTo], so that a copy needs no buffer besides.
func (c *CanonicalReader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		piece, err := c.next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(piece)
		c.off += n
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
}

// next is what is to be handed on next. An error stays.
func (c *CanonicalReader) next() ([]byte, error) {
	if c.buf == nil && c.done == nil {
		c.buf = canonicalBuffers.Get().(*canonicalBuffer)
		c.buf.out = c.buf.out[:0]
	}
	for c.buf != nil && c.off == len(c.buf.out) {
		if c.done == nil {
			c.fill()
			continue
		}
		canonicalBuffers.Put(c.buf)
		c.buf = nil
	}
	if c.buf == nil {
		return nil, c.done
	}
	return c.buf.out[c.off:], nil
}

// fill reads once from the source.
func (c *CanonicalReader) fill() {
	c.buf.out, c.off = c.buf.out[:0], 0
	n, err := c.r.Read(c.buf.in)
	if c.refused == nil {
		c.refused = c.take(c.buf.in[:n])
	}
	switch {
	case err == io.EOF:
		if c.refused == nil {
			c.refused = c.finish()
		}
		if c.done = c.refused; c.done == nil {
			c.done = io.EOF
		}
	case err != nil:
		c.done = err
	case n > 0:
		c.idle = 0
	default:
		if c.idle++; c.idle == 100 {
			c.done = io.ErrNoProgress
		}
	}
}

// take appends the canonical form of b to out.
func (c *CanonicalReader) take(b []byte) error {
	for len(b) > 0 {
		if run := text(b); run > 0 {
			if c.cr {
				return ErrNotCanonical
			}
			if c.length == 0 {
				c.dot = b[0] == '.'
			}
			if c.length += run; c.length > MaxLine {
				return ErrLineTooLong
			}
			c.buf.out = append(c.buf.out, b[:run]...)
			b = b[run:]
			continue
		}
		switch b[0] {
		case '\n':
			if !c.endLine(c.cr) {
				return ErrNotCanonical
			}
			c.cr = false
		case '\r':
			if c.cr {
				return ErrNotCanonical
			}
			c.cr = true
		default:
			return ErrNotCanonical
		}
		b = b[1:]
	}
	return nil
}

// text is the number of octets before the next CR, LF or NUL.
func text(b []byte) int {
	for _, special := range [...]byte{'\n', '\r', 0} {
		if i := bytes.IndexByte(b, special); i >= 0 {
			b = b[:i]
		}
	}
	return len(b)
}

func (c *CanonicalReader) endLine(crlf bool) bool {
	clean := c.afterCRLF && crlf
	if !clean && c.length == 1 && c.dot {
		return false
	}
	if c.unstuffed && c.length == 0 && c.afterCRLF && !crlf {
		return false
	}
	c.buf.out = append(c.buf.out, '\r', '\n')
	c.length, c.afterCRLF = 0, crlf
	return true
}

func (c *CanonicalReader) finish() error {
	if c.cr {
		return ErrNotCanonical
	}
	if c.length > 0 && !c.endLine(true) {
		return ErrNotCanonical
	}
	return nil
}

// Verifier checks that what is written to it is canonical: every CR is followed
// by LF, every LF preceded by CR, no NUL, and the last line is complete. It
// keeps nothing. Close tells whether the whole was canonical.
type Verifier struct {
	last byte
	some bool
	err  error
}

// Write returns [ErrNotCanonical] as soon as the bytes are not canonical, and
// from then on.
func (v *Verifier) Write(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	for b := p; len(b) > 0; {
		n := text(b)
		if n > 0 {
			if v.last == '\r' {
				return v.refuse()
			}
			v.last, b = b[n-1], b[n:]
			continue
		}
		if b[0] == 0 || (b[0] == '\n') != (v.last == '\r') {
			return v.refuse()
		}
		v.last, b = b[0], b[1:]
	}
	v.some = v.some || len(p) > 0
	return len(p), nil
}

func (v *Verifier) refuse() (int, error) {
	v.err = ErrNotCanonical
	return 0, v.err
}

// Close returns [ErrNotCanonical] when anything written was not canonical or
// when the last line has no CRLF. Nothing at all is canonical.
func (v *Verifier) Close() error {
	if v.err == nil && v.some && v.last != '\n' {
		v.err = ErrNotCanonical
	}
	return v.err
}

// IsCanonical reports whether b as a whole is canonical.
func IsCanonical(b []byte) bool {
	var v Verifier
	_, err := v.Write(b)
	return err == nil && v.Close() == nil
}
