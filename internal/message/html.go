package message

import (
	"html"
	"io"
	"strings"

	"golang.org/x/text/transform"
)

// HTMLText reads UTF-8 HTML and gives the text that a browser would show, for
// previews and search: no markup, comments, scripts or styles, entities
// resolved, blocks on lines of their own.
//
// The tokenizer of x/net/html is not used because it holds a whole tag or text
// in memory, and images of many megabytes stand inside tags in real mail.
func HTMLText(r io.Reader) io.Reader {
	return transform.NewReader(r, new(htmlText))
}

type htmlState byte

const (
	inText htmlState = iota
	afterLess
	inTag
	inQuote
	inComment
	inRaw // script and the like: until its end tag
)

const maxEntity = 34 // octets of the longest named one, with & and ;

type htmlText struct {
	state  htmlState
	quote  byte
	name   []byte // of the tag, lower case
	named  bool   // it is complete
	raw    string // what inRaw looks for, "</script"
	match  int    // how much of it has been seen
	dashes int    // of the end of a comment
	entity []byte // from its & on
	value  bool   // after = in a tag: a quote opens a value
	out    []byte // to be written
	space  bool   // white space is pending
	line   bool   // a line end is pending
	some   bool   // something was written on this line
}

func (h *htmlText) Reset() { *h = htmlText{} }

// hidden elements hold no visible text and are skipped up to their end tag.
var hidden = map[string]string{
	"script": "</script", "style": "</style", "title": "</title", "template": "</template",
	"noframes": "</noframes", "iframe": "</iframe",
}

var breaks = map[string]bool{
	"address": true, "article": true, "aside": true, "blockquote": true, "body": true, "br": true, "center": true,
	"dd": true, "div": true, "dl": true, "dt": true, "fieldset": true, "figure": true, "footer": true, "form": true,
	"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "header": true, "hr": true, "html": true,
	"li": true, "main": true, "nav": true, "ol": true, "option": true, "p": true, "pre": true, "section": true,
	"table": true, "tbody": true, "tr": true, "ul": true,
}

// Transform implements [transform.Transformer].
func (h *htmlText) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for {
		n := copy(dst[nDst:], h.out)
		h.out = h.out[:copy(h.out, h.out[n:])]
		nDst += n
		if len(h.out) > 0 {
			return nDst, nSrc, transform.ErrShortDst
		}
		if nSrc == len(src) {
			if !atEOF || len(h.entity) == 0 && h.state != afterLess {
				return nDst, nSrc, nil
			}
			h.flushEntity(false)
			if h.state == afterLess {
				h.state = inText
				h.put('<')
			}
			continue
		}
		h.step(src[nSrc])
		nSrc++
	}
}

func (h *htmlText) step(c byte) {
	switch h.state {
	case inText:
		h.text(c)
	case afterLess:
		h.less(c)
	case inTag:
		h.tag(c)
	case inQuote:
		if c == h.quote {
			h.state = inTag
		}
	case inComment:
		switch {
		case c == '-':
			h.dashes++
		case c == '>' && h.dashes >= 2:
			h.state = inText
		default:
			h.dashes = 0
		}
	case inRaw:
		h.rawText(c)
	}
}

func (h *htmlText) text(c byte) {
	if len(h.entity) > 0 {
		if c == ';' {
			h.flushEntity(true)
			return
		}
		if len(h.entity) < maxEntity && (c == '#' && len(h.entity) == 1 || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9') {
			h.entity = append(h.entity, c)
			return
		}
		h.flushEntity(false)
	}
	switch c {
	case '<':
		h.state = afterLess
	case '&':
		h.entity = append(h.entity[:0], c)
	default:
		h.put(c)
	}
}

func (h *htmlText) flushEntity(semicolon bool) {
	if len(h.entity) == 0 {
		return
	}
	s := string(h.entity)
	h.entity = h.entity[:0]
	if semicolon {
		s += ";"
	}
	for _, c := range []byte(strings.ReplaceAll(html.UnescapeString(s), "\u00a0", " ")) {
		h.put(c)
	}
}

// put writes an octet of text, runs of white space as one space.
func (h *htmlText) put(c byte) {
	if c <= ' ' {
		h.space = true
		return
	}
	if h.line {
		if h.some {
			h.out = append(h.out, '\n')
		}
	} else if h.space && h.some {
		h.out = append(h.out, ' ')
	}
	h.line, h.space, h.some = false, false, true
	h.out = append(h.out, c)
}

// less is right after a <.
func (h *htmlText) less(c byte) {
	h.name, h.named, h.value = h.name[:0], false, false
	switch {
	case c == '!':
		h.state, h.name = inTag, append(h.name, c)
	case c == '/' || c == '?' || c|0x20 >= 'a' && c|0x20 <= 'z':
		h.state, h.name = inTag, append(h.name, lower(c))
	default: // a lone <
		h.state = inText
		h.put('<')
		h.text(c)
	}
}

func (h *htmlText) tag(c byte) {
	if !h.named {
		switch {
		case c == '>' || c <= ' ' || c == '/' && len(h.name) > 0:
			h.named = true
		case len(h.name) < 16:
			h.name = append(h.name, lower(c))
			if string(h.name) == "!--" {
				h.state, h.dashes = inComment, 2
				return
			}
		}
	}
	switch {
	case c == '>':
		h.endTag()
	case c == '=':
		h.value = true
	case (c == '"' || c == '\'') && h.value:
		h.state, h.quote, h.value = inQuote, c, false
	case c > ' ':
		h.value = false
	}
}

func (h *htmlText) endTag() {
	h.state = inText
	name := string(h.name)
	if end := hidden[name]; end != "" {
		h.state, h.raw, h.match = inRaw, end, 0
		return
	}
	name = strings.TrimPrefix(name, "/")
	switch {
	case breaks[name]:
		h.line = true
	case name == "td" || name == "th" || name == "img":
		h.space = true
	}
}

// rawText looks for the end tag of a hidden element.
func (h *htmlText) rawText(c byte) {
	if h.match == len(h.raw) {
		if c == '>' || c == '/' || c <= ' ' {
			h.state, h.value, h.named = inTag, false, true
			h.name = h.name[:0]
			h.tag(c)
			return
		}
		h.match = 0
	}
	switch {
	case lower(c) == h.raw[h.match]:
		h.match++
	case c == '<':
		h.match = 1
	default:
		h.match = 0
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
