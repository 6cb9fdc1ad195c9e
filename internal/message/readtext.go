package message

import (
	"errors"
	"io"
	"strings"
)

// ReadText calls fn with every textual part of a message, decoded to UTF-8 and
// HTML as the text it shows, in order; and with the decoded header of every
// message that is enclosed (then part is that message's root). body is the raw
// message of size octets, root its description. After max decoded octets in
// all the rest is left out. fn need not read to the end. The errors are those
// of body and of fn.
func ReadText(body io.ReaderAt, root *Part, size, max int64, fn func(part *Part, r io.Reader) error) error {
	t := textWalk{body: body, size: size, left: max, fn: fn}
	root.Walk(func(_ []int, p *Part) bool {
		t.visit(p)
		return t.err == nil && t.left > 0
	})
	return t.err
}

type textWalk struct {
	body       io.ReaderAt
	size, left int64
	fn         func(*Part, io.Reader) error
	err        error
}

func (t *textWalk) visit(p *Part) {
	switch {
	case t.err != nil || t.left <= 0:
	case p.Type == "text" || p.Type == "message" && len(p.Children) == 0 && p.Subtype != "external-body":
		r := p.Text(t.section(p.BodyOffset(), p.Size))
		if p.Type == "message" {
			r = DecodeText("", r)
		}
		if p.Subtype == "html" {
			r = HTMLText(r)
		}
		t.call(p, r)
	case isMessage(p) && len(p.Children) == 1:
		inner := p.Children[0]
		header, err := io.ReadAll(t.section(inner.Offset, min(inner.HeaderSize, MaxHeader)))
		if err != nil {
			t.err = err
			return
		}
		t.call(inner, strings.NewReader(DecodedHeader(header)))
	}
}

// section reads octets of the message, never beyond its end.
func (t *textWalk) section(offset, n int64) io.Reader {
	offset = min(max(offset, 0), t.size)
	return io.NewSectionReader(t.body, offset, min(max(n, 0), t.size-offset))
}

func (t *textWalk) call(p *Part, r io.Reader) {
	w := &watched{r: r, left: t.left}
	err := t.fn(p, w)
	t.left = w.left
	if t.err = err; err == nil && w.err != nil && !errors.Is(w.err, io.EOF) {
		t.err = w.err // fn may take an error for the end
	}
}

// watched stops after left octets.
type watched struct {
	r    io.Reader
	left int64
	err  error
}

func (w *watched) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, io.EOF
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}
