package message

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/transform"
)

// decodeJIS decodes ISO-2022-JP as mail has it: with half-width kana by escape,
// by shift-out and in 8-bit form, with the rows of CP50220, and with lines that
// forget to return to ASCII, none of which RFC 1468 allows. It rewrites the
// escapes as EUC-JP, whose table holds all of them.
func decodeJIS() transform.Transformer {
	return transform.Chain(new(jisToEUC), japanese.EUCJP.NewDecoder())
}

type jisSet byte

const (
	jisASCII jisSet = iota
	jisKana
	jisKanji
	jisSupplement // JIS X 0212
)

type jisToEUC struct {
	set   jisSet
	shift bool // between SO and SI: half-width kana
}

func (j *jisToEUC) Reset() { *j = jisToEUC{} }

func (j *jisToEUC) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		if c == 0x1b {
			set, n := jisEscape(src[nSrc:])
			if n == 0 && !atEOF {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if n > 0 {
				j.set = set
			}
			nSrc += max(n, 1) // an escape that nobody knows is dropped
			continue
		}
		var out [3]byte
		n, used := 1, 1
		out[0] = c
		switch {
		case c == 0x0e || c == 0x0f:
			j.shift, n = c == 0x0e, 0
		case c == '\r' || c == '\n':
			j.set, j.shift = jisASCII, false
		case c <= ' ' || c == 0x7f:
		case c >= 0xa1 && c <= 0xdf:
			out, n = [3]byte{0x8e, c}, 2
		case c >= 0x80:
			out[0] = 0xff // no character: the decoder replaces it
		case (j.shift || j.set == jisKana) && c <= 0x5f:
			out, n = [3]byte{0x8e, c | 0x80}, 2
		case j.set == jisKanji || j.set == jisSupplement:
			if nSrc+1 == len(src) && !atEOF {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if nSrc+1 == len(src) || src[nSrc+1] <= ' ' || src[nSrc+1] >= 0x7f {
				out[0] = 0xff
				break
			}
			out, n, used = [3]byte{c | 0x80, src[nSrc+1] | 0x80}, 2, 2
			if j.set == jisSupplement {
				out, n = [3]byte{0x8f, c | 0x80, src[nSrc+1] | 0x80}, 3
			}
		}
		if nDst+n > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], out[:n])
		nSrc += used
	}
	return nDst, nSrc, nil
}

// jisEscape reads the escape at the start of b: the set it selects and its
// length. The length is 0 when b ends too early and 1 when it is unknown.
func jisEscape(b []byte) (jisSet, int) {
	if len(b) < 3 {
		return jisASCII, 0
	}
	switch string(b[1:3]) {
	case "$@", "$B":
		return jisKanji, 3
	case "(I":
		return jisKana, 3
	case "(B", "(J", "(H":
		return jisASCII, 3
	case "&@":
		return jisKanji, 3 // RFC 1468 leaves out this announcer of JIS X 0208-1990
	case "$(":
		if len(b) < 4 {
			return jisASCII, 0
		}
		switch b[3] {
		case 'D':
			return jisSupplement, 4
		case '@', 'B', 'O', 'Q':
			return jisKanji, 4
		}
	}
	return jisASCII, 1
}

// decodeUTF7 decodes UTF-7 (RFC 2152).
func decodeUTF7() transform.Transformer { return new(utf7) }

type utf7 struct {
	shifted bool
	empty   bool   // nothing since the plus
	bits    uint32 // not yet a whole code unit
	nbits   uint
	high    rune // first half of a surrogate pair
}

func (u *utf7) Reset() { *u = utf7{} }

func (u *utf7) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if nDst+2*utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		put := func(r rune) { nDst += utf8.EncodeRune(dst[nDst:], r) }
		c := src[nSrc]
		v := base64Value[c]
		switch {
		case !u.shifted && c == '+':
			*u = utf7{shifted: true, empty: true}
		case !u.shifted && c >= 0x80:
			put(utf8.RuneError)
		case !u.shifted:
			put(rune(c))
		case v < 64:
			u.empty = false
			u.bits, u.nbits = u.bits<<6|uint32(v), u.nbits+6
			if u.nbits < 16 {
				continue
			}
			u.nbits -= 16
			unit := rune(u.bits >> u.nbits & 0xffff)
			u.bits &= 1<<u.nbits - 1
			switch {
			case u.high != 0 && unit >= 0xdc00 && unit < 0xe000:
				put(utf16.DecodeRune(u.high, unit))
				u.high = 0
			case unit >= 0xd800 && unit < 0xdc00:
				if u.high != 0 {
					put(utf8.RuneError)
				}
				u.high = unit
			default:
				if u.high != 0 {
					put(utf8.RuneError)
				}
				u.high = 0
				put(unit) // a lone second half becomes RuneError
			}
		default:
			if u.high != 0 {
				put(utf8.RuneError)
			}
			switch {
			case c == '-' && u.empty:
				put('+')
			case c == '-':
			case c >= 0x80:
				put(utf8.RuneError)
			default:
				put(rune(c))
			}
			*u = utf7{}
		}
	}
	if atEOF && u.high != 0 {
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		u.high = 0
	}
	return nDst, nSrc, nil
}
