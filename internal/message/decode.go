package message

import (
	"bytes"
	"io"
	"strings"

	"golang.org/x/text/transform"
)

// Decode undoes the transfer encoding of the part's body, which raw reads.
// Broken base64 and quoted-printable give what can be read of them; an unknown
// encoding is left as it is.
func (p *Part) Decode(raw io.Reader) io.Reader {
	switch p.Encoding {
	case "base64":
		return transform.NewReader(raw, new(base64State))
	case "quoted-printable":
		return transform.NewReader(raw, new(quotedPrintable))
	}
	return raw
}

// Text is the part's body as UTF-8: transfer encoding undone and, for text,
// charset decoded. HTML stays HTML; see [HTMLText].
func (p *Part) Text(raw io.Reader) io.Reader {
	r := p.Decode(raw)
	if p.Type != "text" {
		return r
	}
	return DecodeText(p.Params["charset"], r)
}

// DecodeText decodes text of the named charset to valid UTF-8. The name is
// believed unless it is missing or unknown, or the octets cannot be of that
// charset: a sample from the first octet on that is not plain ASCII decides.
func DecodeText(charset string, r io.Reader) io.Reader {
	if !holdsASCII(charset) {
		if d := charsetDecoder(charset); d != nil {
			return transform.NewReader(r, d())
		}
	}
	return &textReader{charset: charset, r: r}
}

// sampleSize is how much text is looked at to judge its charset.
const sampleSize = 4 << 10

// textReader hands plain ASCII on and chooses a decoder at the first octet that
// is something else.
type textReader struct {
	charset string
	r       io.Reader
	decoded io.Reader // from that octet on
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.decoded == nil && len(p) > 0 {
		n, err := readSome(t.r, p)
		plain := plainASCII(p[:n])
		if plain == n {
			return n, err
		}
		t.choose(bytes.Clone(p[plain:n]), err)
		if plain > 0 {
			return plain, nil
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	return t.decoded.Read(p)
}

// choose reads on from begun, which err may have ended, until there is a
// sample, and leaves everything to the decoder for it.
func (t *textReader) choose(begun []byte, err error) {
	for more := make([]byte, sampleSize); len(begun) < sampleSize && err == nil; {
		var n int
		n, err = readSome(t.r, more[:sampleSize-len(begun)])
		begun = append(begun, more[:n]...)
	}
	rest := t.r
	if err != nil {
		rest = failed{err}
	}
	d := choose(t.charset, begun[:min(len(begun), sampleSize)], err == io.EOF && len(begun) <= sampleSize)
	t.decoded = transform.NewReader(io.MultiReader(bytes.NewReader(begun), rest), d())
}

// readSome reads once from r, and again when that has brought nothing.
func readSome(r io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// failed is what is left of a reader that has reported its error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// plainASCII is the number of octets before the first escape or 8-bit one, and
// before SO, which opens half-width kana.
func plainASCII(b []byte) int {
	for i, c := range b {
		if c >= 0x80 || c == 0x1b || c == 0x0e {
			return i
		}
	}
	return len(b)
}

// base64Value maps the alphabet to 0…63, everything else to noBase64.
var base64Value = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = noBase64
		if v := strings.IndexByte(alphabet, byte(i)); v >= 0 {
			t[i] = byte(v)
		}
	}
	return t
}()

const noBase64 = 64

// base64State decodes base64 octet by octet. What is not of the alphabet is
// skipped (RFC 2045 §6.8); padding ends a quantum, not the text, because some
// senders encode in pieces.
type base64State struct {
	bits uint32
	n    uint // characters of the quantum so far
}

func (b *base64State) Reset() { *b = base64State{} }

func (b *base64State) add(dst []byte, c byte) []byte {
	v := base64Value[c]
	if v == noBase64 {
		if c == '=' {
			dst = b.flush(dst)
		}
		return dst
	}
	b.bits = b.bits<<6 | uint32(v)
	if b.n++; b.n == 4 {
		dst = append(dst, byte(b.bits>>16), byte(b.bits>>8), byte(b.bits))
		*b = base64State{}
	}
	return dst
}

// flush ends an incomplete quantum.
func (b *base64State) flush(dst []byte) []byte {
	switch b.n {
	case 2:
		dst = append(dst, byte(b.bits>>4))
	case 3:
		dst = append(dst, byte(b.bits>>10), byte(b.bits>>2))
	}
	*b = base64State{}
	return dst
}

// Transform implements [transform.Transformer].
func (b *base64State) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	out := dst[:0]
	for ; nSrc < len(src); nSrc++ {
		if len(out)+3 > len(dst) {
			return len(out), nSrc, transform.ErrShortDst
		}
		out = b.add(out, src[nSrc])
	}
	if atEOF {
		if len(out)+3 > len(dst) {
			return len(out), nSrc, transform.ErrShortDst
		}
		out = b.flush(out)
	}
	return len(out), nSrc, nil
}

// quotedPrintable decodes quoted-printable (RFC 2045 §6.7). An equals sign that
// begins nothing known stays.
type quotedPrintable struct{ transform.NopResetter }

// maxPadding is the white space before a line end that is looked through.
const maxPadding = 256

func (quotedPrintable) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		out, used := c, 1
		switch c {
		case '=':
			n := softBreak(src[nSrc+1:])
			switch {
			case n > 0:
				nSrc += 1 + n
				continue
			case nSrc+2 < len(src) && isHex(src[nSrc+1]) && isHex(src[nSrc+2]):
				out, used = hexValue(src[nSrc+1])<<4|hexValue(src[nSrc+2]), 3
			case atEOF && nSrc+1 == len(src):
				nSrc++ // the text ends in the middle of a line
				continue
			case !atEOF && (n < 0 || nSrc+2 >= len(src)):
				return nDst, nSrc, transform.ErrShortSrc
			}
		case ' ', '\t':
			// white space at the end of a line was added on the way
			n := padding(src[nSrc:])
			if nSrc+n == len(src) && !atEOF && n < maxPadding {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if n < maxPadding && (nSrc+n == len(src) || src[nSrc+n] == '\r' || src[nSrc+n] == '\n') {
				nSrc += n
				continue
			}
			if nDst+n > len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			nDst += copy(dst[nDst:], src[nSrc:nSrc+n])
			nSrc += n
			continue
		}
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		dst[nDst] = out
		nDst++
		nSrc += used
	}
	return nDst, nSrc, nil
}

// padding is the number of blanks that b begins with, up to maxPadding.
func padding(b []byte) int {
	n := 0
	for n < len(b) && n < maxPadding && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	return n
}

// softBreak is the length of a soft line break after its equals sign, 0 when
// there is none and -1 when b ends too early to tell.
func softBreak(b []byte) int {
	n := padding(b)
	switch {
	case n == len(b):
		return -1
	case b[n] == '\n':
		return n + 1
	case b[n] == '\r' && n+1 == len(b):
		return -1
	case b[n] == '\r' && b[n+1] == '\n':
		return n + 2
	}
	return 0
}
