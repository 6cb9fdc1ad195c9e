package mailauth

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
)

// canonical is one of the two forms in which a message is signed (RFC 6376
// §3.4).
type canonical string

const (
	simple  canonical = "simple"
	relaxed canonical = "relaxed"
)

// appendField appends a field's canonical form.
func (c canonical) appendField(b, raw []byte) []byte {
	if c == simple {
		return append(b, raw...)
	}
	name, value, _ := bytes.Cut(raw, []byte(":"))
	b = append(b, bytes.ToLower(bytes.TrimRight(name, " \t\r\n"))...)
	b = append(b, ':')
	space, begun := false, false
	for _, c := range value {
		switch c {
		case '\r', '\n': // of a fold; white space follows
		case ' ', '\t':
			space = true
		default:
			if space && begun {
				b = append(b, ' ')
			}
			space, begun = false, true
			b = append(b, c)
		}
	}
	return append(b, '\r', '\n')
}

// body hashes what is written to it in canonical form. Empty lines are counted
// until it is known whether they are the last ones.
type body struct {
	form  canonical
	hash  hash.Hash
	size  int64 // octets of the canonical form
	out   []byte
	empty int  // line ends not yet written
	space bool // so is white space
	cr    bool // the last octet was a CR
}

func newBody(form canonical) *body { return &body{form: form, hash: sha256.New()} }

// special marks what ends a run of ordinary octets.
var special = [2][256]bool{
	{'\r': true, '\n': true},
	{'\r': true, '\n': true, ' ': true, '\t': true},
}

func (b *body) Write(p []byte) (int, error) {
	stops := &special[0]
	if b.form == relaxed {
		stops = &special[1]
	}
	for i := 0; i < len(p); {
		run := i
		for run < len(p) && (!stops[p[run]] || run > i && p[run] == ' ' && run+1 < len(p) && !stops[p[run+1]]) {
			run++ // a single blank between words stays
		}
		if run > i {
			b.pending()
			b.out = append(b.out, p[i:run]...)
			i = run
			continue
		}
		switch c := p[i]; {
		case c == '\n' && b.cr:
			b.cr, b.space = false, false
			b.empty++
		case c == '\r':
			b.bareCR()
			b.cr = true
		case c == '\n':
			b.pending()
			b.out = append(b.out, c)
		default:
			b.bareCR()
			b.space = true
		}
		i++
	}
	b.flush()
	return len(p), nil
}

// flush hashes what is known to belong to the body.
func (b *body) flush() {
	b.size += int64(len(b.out))
	b.hash.Write(b.out)
	b.out = b.out[:0]
}

// pending writes what has been held back, since text follows.
func (b *body) pending() {
	for ; b.empty > 0; b.empty-- {
		b.out = append(b.out, '\r', '\n')
		if len(b.out) > 32<<10 {
			b.flush()
		}
	}
	if b.space {
		b.out = append(b.out, ' ')
		b.space = false
	}
	b.bareCR()
}

// bareCR writes a CR that no LF followed. Canonical messages have none.
func (b *body) bareCR() {
	if b.cr {
		b.cr = false
		b.pending()
		b.out = append(b.out, '\r')
	}
}

// sum ends the body: exactly one line end, except that in relaxed form an
// empty body stays empty (RFC 6376 §3.4.3, §3.4.4).
func (b *body) sum() []byte {
	b.bareCR()
	b.flush()
	if b.form == simple || b.size > 0 {
		b.out = append(b.out, '\r', '\n')
		b.flush()
	}
	return b.hash.Sum(nil)
}

// bodies hashes one body in the forms that are asked for.
type bodies map[canonical]*body

func (b bodies) need(form canonical) {
	if b[form] == nil {
		b[form] = newBody(form)
	}
}

// Write makes bodies a Writer of the raw body.
func (b bodies) Write(p []byte) (int, error) {
	for _, one := range b {
		_, _ = one.Write(p)
	}
	return len(p), nil
}

var _ io.Writer = bodies(nil)
