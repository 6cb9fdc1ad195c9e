package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// A decoder turns octets of one charset into valid UTF-8.
type decoder func() transform.Transformer

func of(e encoding.Encoding) decoder {
	return func() transform.Transformer { return e.NewDecoder() }
}

func decodeUTF8() transform.Transformer { return runes.ReplaceIllFormed() }

// aliases are the names that mail uses and the indexes of x/text lack or read
// too narrowly: gb2312 is GBK in practice, shift_jis is Windows-31J, and
// iso-2022-jp carries the NEC rows of CP50220.
var aliases = map[string]decoder{
	"utf-8": decodeUTF8, "utf8": decodeUTF8, "x-utf_8j": decodeUTF8, "cp65001": decodeUTF8,
	"utf-7": decodeUTF7, "unicode-1-1-utf-7": decodeUTF7, "x-unicode-2-0-utf-7": decodeUTF7, "utf7": decodeUTF7,

	"iso-2022-jp": decodeJIS, "iso-2022-jp-1": decodeJIS, "iso-2022-jp-2": decodeJIS, "iso-2022-jp-3": decodeJIS,
	"iso-2022-jp-2004": decodeJIS, "iso-2022-jp-ms": decodeJIS, "csiso2022jp": decodeJIS, "iso2022jp": decodeJIS,
	"cp50220": decodeJIS, "cp50221": decodeJIS, "cp50222": decodeJIS, "jis": decodeJIS, "x-jis": decodeJIS,

	"shift_jis": of(japanese.ShiftJIS), "shift-jis": of(japanese.ShiftJIS), "shiftjis": of(japanese.ShiftJIS),
	"sjis": of(japanese.ShiftJIS), "x-sjis": of(japanese.ShiftJIS), "cp932": of(japanese.ShiftJIS),
	"windows-31j": of(japanese.ShiftJIS), "ms932": of(japanese.ShiftJIS), "ms_kanji": of(japanese.ShiftJIS),
	"windows-932": of(japanese.ShiftJIS), "sjis-win": of(japanese.ShiftJIS), "shift_jisx0213": of(japanese.ShiftJIS),

	"euc-jp": of(japanese.EUCJP), "eucjp": of(japanese.EUCJP), "x-euc-jp": of(japanese.EUCJP), "x-euc": of(japanese.EUCJP),
	"eucjp-win": of(japanese.EUCJP), "cp51932": of(japanese.EUCJP), "eucjp-ms": of(japanese.EUCJP), "ujis": of(japanese.EUCJP),

	"gb2312": of(simplifiedchinese.GB18030), "gbk": of(simplifiedchinese.GB18030), "gb18030": of(simplifiedchinese.GB18030),
	"cp936": of(simplifiedchinese.GB18030), "euc-cn": of(simplifiedchinese.GB18030), "x-gbk": of(simplifiedchinese.GB18030),
	"hz-gb-2312": of(simplifiedchinese.HZGB2312), "hz": of(simplifiedchinese.HZGB2312),
	"big5": of(traditionalchinese.Big5), "big5-hkscs": of(traditionalchinese.Big5), "cp950": of(traditionalchinese.Big5),
	"euc-kr": of(korean.EUCKR), "ks_c_5601-1987": of(korean.EUCKR), "cp949": of(korean.EUCKR), "uhc": of(korean.EUCKR),
	"ksc5601": of(korean.EUCKR), "windows-949": of(korean.EUCKR),

	"latin1": of(charmap.Windows1252), "iso8859-1": of(charmap.Windows1252), "cp1252": of(charmap.Windows1252),
	"utf-16": of(unicode.UTF16(unicode.BigEndian, unicode.UseBOM)), "utf16": of(unicode.UTF16(unicode.BigEndian, unicode.UseBOM)),
}

// charsetDecoder finds the decoder for a charset name, nil when the name is
// unknown or says nothing (us-ascii, which no longer describes 8-bit text).
func charsetDecoder(name string) decoder {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	if d, ok := aliases[name]; ok {
		return d
	}
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown", "unknown-8bit", "x-unknown", "8bit", "7bit", "_autodetect", "default":
		return nil
	}
	if len(name) > 40 {
		return nil
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return of(e)
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return of(e)
	}
	if number, ok := strings.CutPrefix(name, "cp"); ok {
		if e, err := htmlindex.Get("windows-" + number); err == nil {
			return of(e)
		}
	}
	return nil
}

// holdsASCII tells whether plain ASCII in this charset stands for itself, so
// that the choice of a decoder may wait for the first octet that is not ASCII.
func holdsASCII(name string) bool {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	return !strings.HasPrefix(name, "utf-16") && !strings.HasPrefix(name, "utf-32") && !strings.HasPrefix(name, "utf16") &&
		!strings.Contains(name, "utf-7") && name != "utf7" && !strings.HasPrefix(name, "hz") &&
		!strings.HasPrefix(name, "ibm") && !strings.HasPrefix(name, "ebcdic")
}

// choose picks the decoder for a sample of text that begins with its first
// octet that is not plain ASCII. The declared charset is believed unless the
// octets contradict it. With whole set the sample is the rest of the text, so
// a character that is cut off at its end counts against a charset.
func choose(declared string, sample []byte, whole bool) decoder {
	d := charsetDecoder(declared)
	if hasJISEscape(sample) && is7bit(sample) {
		return decodeJIS // no other charset has these escapes
	}
	is := func(names ...string) bool {
		name := strings.ToLower(strings.Trim(declared, " \t\"'"))
		for _, n := range names {
			if strings.Contains(name, n) {
				return true
			}
		}
		return false
	}
	switch {
	case d == nil:
		return guess(sample, whole)
	case is("2022", "cp5022", "jis") && !is("shift", "sjis", "x0213"):
		if is7bit(sample) || hasJISEscape(sample) {
			return d
		}
		if isUTF8(sample, whole) {
			return decodeUTF8
		}
		if g := guessJapanese(sample, whole); g != nil {
			return g
		}
	case is("utf-8", "utf8") && !isUTF8(sample, whole),
		is("euc-jp", "eucjp", "euc") && !is("kr", "cn", "tw") && !validEUC(sample, whole),
		is("sjis", "shift", "932", "31j") && !validShiftJIS(sample, whole):
		if isUTF8(sample, whole) {
			return decodeUTF8
		}
		if g := guessJapanese(sample, whole); g != nil {
			return g
		}
	}
	return d
}

// guess picks a decoder for text whose charset nobody named.
func guess(b []byte, whole bool) decoder {
	switch {
	case hasJISEscape(b):
		return decodeJIS
	case isUTF8(b, whole):
		return decodeUTF8
	}
	if g := guessJapanese(b, whole); g != nil {
		return g
	}
	return of(charmap.Windows1252)
}

// guessJapanese tells EUC-JP from Shift_JIS, and either from anything else by
// their kana: Japanese of any length has some.
func guessJapanese(b []byte, whole bool) decoder {
	euc, eucOK := scoreEUC(b, whole)
	sjis, sjisOK := scoreShiftJIS(b, whole)
	switch {
	case eucOK && (!sjisOK || euc >= sjis):
		return of(japanese.EUCJP)
	case sjisOK && sjis > 0:
		return of(japanese.ShiftJIS)
	}
	return nil
}

func validEUC(b []byte, whole bool) bool {
	_, ok := scoreEUC(b, whole)
	return ok
}

func validShiftJIS(b []byte, whole bool) bool {
	_, ok := scoreShiftJIS(b, whole)
	return ok
}

// scoreEUC counts what makes EUC-JP likely, and whether b is EUC-JP at all.
func scoreEUC(b []byte, whole bool) (score int, ok bool) {
	high := func(i int) bool { return b[i] >= 0xa1 && b[i] <= 0xfe }
	for i := 0; i < len(b); {
		n := 1
		switch c := b[i]; {
		case c < 0x80:
			i++
			continue
		case c == 0x8f:
			n = 3
		case c == 0x8e || high(i):
			n = 2
		default:
			return 0, false
		}
		if i+n > len(b) {
			return score, !whole
		}
		for j := i + 1; j < i+n; j++ {
			if !high(j) {
				return 0, false
			}
		}
		switch b[i] {
		case 0xa4, 0xa5: // hiragana, katakana
			score += 3
		case 0x8e, 0x8f:
		default:
			score++
		}
		i += n
	}
	return score, true
}

// scoreShiftJIS does the same for Shift_JIS. Half-width kana count against it:
// they are what EUC-JP looks like. So do pairs whose second octet is a letter,
// which is what an accented letter before another looks like.
func scoreShiftJIS(b []byte, whole bool) (score int, ok bool) {
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c < 0x80:
			i++
			continue
		case c >= 0xa1 && c <= 0xdf:
			score--
			i++
			continue
		case c == 0x80 || c == 0xa0 || c > 0xfc:
			return 0, false
		}
		if i+1 >= len(b) {
			return score, !whole
		}
		t := b[i+1]
		if t < 0x40 || t == 0x7f || t > 0xfc {
			return 0, false
		}
		switch {
		case c == 0x82 && t >= 0x9f, c == 0x83:
			score += 3
		case t >= 0x80:
			score++
		case c >= 0xe0 || c == 0x91 || c == 0x92 || c == 0x93 || c == 0x94 || c == 0x96:
			score--
		}
		i += 2
	}
	return score, true
}

// hasJISEscape looks for an escape of ISO-2022-JP that selects another set.
func hasJISEscape(b []byte) bool {
	for {
		i := bytes.IndexByte(b, 0x1b)
		if i < 0 || i+2 >= len(b) {
			return false
		}
		if b[i+1] == '$' && (b[i+2] == 'B' || b[i+2] == '@' || b[i+2] == '(') || b[i+1] == '(' && (b[i+2] == 'I' || b[i+2] == 'J') {
			return true
		}
		b = b[i+1:]
	}
}

func is7bit(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// isUTF8 forgives a character that is cut off at the end of a sample, and damage
// as long as most is well formed: no other charset looks like UTF-8 by chance.
func isUTF8(b []byte, whole bool) bool {
	if utf8.Valid(b) {
		return true
	}
	good, bad := 0, 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r != utf8.RuneError || n > 1:
			good++
		case whole || utf8.FullRune(b[i:]):
			bad++
		}
		i += n
	}
	return good >= bad
}

// toUTF8 makes raw header octets readable: nothing names their charset.
func toUTF8(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 || s[i] == 0x1b {
			plain = false
			break
		}
	}
	if plain || utf8.ValidString(s) && strings.IndexByte(s, 0x1b) < 0 {
		return s
	}
	return decodeAll(guess([]byte(s), true), []byte(s))
}

// decodeAll decodes all of b.
func decodeAll(d decoder, b []byte) string {
	out, _, err := transform.Bytes(d(), b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return string(out)
}
