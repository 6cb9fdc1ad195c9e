package message

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxPreview = 200 // characters

// preview is the beginning of the text, of HTML only when there is no other.
func (s *Summarizer) preview() string {
	if t := s.plain.text(); t != "" {
		return t
	}
	return s.html.text()
}

func (p *sample) text() string {
	if p.part == nil {
		return ""
	}
	r := p.part.Text(bytes.NewReader(p.buf))
	if p.part.Subtype == "html" {
		r = HTMLText(r)
	}
	text := make([]byte, 2*maxPreview*utf8.UTFMax)
	n, _ := io.ReadFull(r, text) // whatever ends it early, this much was read
	return shorten(text[:n], maxPreview)
}

// shorten gives the first n visible characters of s on one line, without the
// invisible ones that newsletters fill their previews with.
func shorten(text []byte, n int) string {
	var b strings.Builder
	b.Grow(n)
	space := false
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case unicode.IsSpace(r) || r < ' ' || r == 0x7f:
			space = b.Len() > 0
			continue
		case unicode.Is(unicode.Cf, r) && r != 0x200d, unicode.IsControl(r), r == 0x034f, r == 0x2007:
			continue
		}
		if space {
			if n--; n <= 0 {
				break
			}
			b.WriteByte(' ')
			space = false
		}
		if n--; n < 0 {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), "\ufffd") // a character that the sample cut
}
