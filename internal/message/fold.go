package message

import (
	"io"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Fold makes text comparable for search: compatibility forms and widths made
// one (NFKC), lower case, every run of white space one space. A line break
// between two characters of scripts that write no spaces goes altogether, since
// mail is wrapped in the middle of Japanese words. Invalid UTF-8 becomes U+FFFD.
func Fold(s string) string {
	t, _, err := transform.String(newFolder(), s)
	if err != nil {
		return s // never: folder has no errors of its own
	}
	return t
}

// FoldReader is [Fold] for a stream.
func FoldReader(r io.Reader) io.Reader { return transform.NewReader(r, newFolder()) }

func newFolder() transform.Transformer { return new(folder) }

// folder folds plain ASCII by itself, which most mail is to its end, and leaves
// everything from the first other character on to the tables.
type folder struct {
	spaces spaces
	rest   transform.Transformer
}

func (f *folder) Reset() { *f = folder{} }

func (f *folder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	if f.rest == nil {
		n := 0
		for n < len(src) && src[n] < utf8.RuneSelf {
			n++
		}
		plain := n == len(src)
		if n > 0 && !(plain && atEOF) {
			n-- // what follows may combine with it
		}
		nDst, nSrc = f.spaces.ascii(dst, src[:n])
		switch {
		case nSrc < n:
			return nDst, nSrc, transform.ErrShortDst
		case plain && atEOF:
			nFlush, _, err := f.spaces.Transform(dst[nDst:], nil, true)
			return nDst + nFlush, nSrc, err
		case plain && len(src) > 0:
			return nDst, nSrc, transform.ErrShortSrc
		case plain:
			return nDst, nSrc, nil
		}
		// Lower case can compose where upper case could not (J and caron), and
		// compatibility forms can hold upper case, hence before and after. What a
		// line break kept apart can compose too, hence NFC at the end.
		lower := runes.Map(unicode.ToLower)
		f.rest = transform.Chain(lower, norm.NFKC, lower, &f.spaces, norm.NFC)
	}
	d, s, err := f.rest.Transform(dst[nDst:], src[nSrc:], atEOF)
	return nDst + d, nSrc + s, err
}

func asciiSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// spaces collapses white space.
type spaces struct {
	last    rune // before the white space
	pending bool
	broken  bool // it holds a line break
}

func (w *spaces) Reset() { *w = spaces{} }

// ascii takes plain ASCII and makes it lower case.
func (w *spaces) ascii(dst, src []byte) (nDst, nSrc int) {
	for _, c := range src {
		if asciiSpace(c) {
			w.pending = true
			w.broken = w.broken || c == '\n'
			nSrc++
			continue
		}
		if nDst+2 > len(dst) {
			break
		}
		if w.pending {
			dst[nDst] = ' '
			nDst++
			w.pending, w.broken = false, false
		}
		dst[nDst] = lower(c)
		w.last = rune(c)
		nDst++
		nSrc++
	}
	return nDst, nSrc
}

func (w *spaces) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		r, n := rune(src[nSrc]), 1
		if r >= utf8.RuneSelf {
			if !atEOF && !utf8.FullRune(src[nSrc:]) {
				return nDst, nSrc, transform.ErrShortSrc
			}
			r, n = utf8.DecodeRune(src[nSrc:])
		}
		if unicode.IsSpace(r) {
			w.pending = true
			w.broken = w.broken || r == '\n'
			nSrc += n
			continue
		}
		if nDst+1+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		if w.pending && !(w.broken && unspaced(w.last) && unspaced(r)) {
			dst[nDst] = ' '
			nDst++
		}
		w.pending, w.broken, w.last = false, false, r
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	if atEOF && w.pending {
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		dst[nDst] = ' '
		nDst++
		w.pending = false
	}
	return nDst, nSrc, nil
}

// unspaced tells whether r is of a script without spaces between words.
func unspaced(r rune) bool {
	return r >= 0x3001 && (r <= 0x30ff || r >= 0x31f0 && r <= 0x31ff || r >= 0x3400 && r <= 0x4dbf ||
		r >= 0x4e00 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff || r >= 0x20000 && r <= 0x3ffff)
}
