package transcript

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes are the bytes that have a letter of their own.
var escapes = map[byte]byte{'r': '\r', 'n': '\n', 't': '\t', '0': 0, '\\': '\\'}

// Quote writes bytes as the text of a C: or S: line, so that reading the
// line back gives these bytes and nothing is taken for a capture. What a
// terminal would not print as a character becomes an escape.
func Quote(text string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\\':
			if next := text[i+1:]; next == "" || meansEscape(next) {
				b.WriteByte('\\')
			}
			b.WriteByte('\\')
		case r == '{' && holeAt(text[i:]) != "", r == '<' && i == 0, r == ' ' && i == len(text)-1:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r):
			b.WriteString(escaped(text[i : i+size]))
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// isPlain reports that quoting changes nothing, which is so for most lines.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '\\' || c == '{' {
			return false
		}
	}
	return !strings.HasPrefix(text, "<") && !strings.HasSuffix(text, " ")
}

// meansEscape reports whether a backslash before text would be read as the
// start of an escape, or text itself is written as one.
func meansEscape(text string) bool {
	c := text[0]
	if _, ok := escapes[c]; ok || c == 'x' || c == 'c' {
		return true
	}
	r, _ := utf8.DecodeRuneInString(text)
	return r == utf8.RuneError || !unicode.IsGraphic(r) || c == '{' || text == " "
}

func escaped(raw string) string {
	switch raw {
	case "\r":
		return `\r`
	case "\n":
		return `\n`
	case "\t":
		return `\t`
	case "\x00":
		return `\0`
	}
	var b strings.Builder
	for i := range len(raw) {
		fmt.Fprintf(&b, `\x%02x`, raw[i])
	}
	return b.String()
}

// holeAt returns the hole that text starts with, braces included, or "".
// A hole is {…}, {...}, {name}, {<file} or {<file+}.
func holeAt(text string) string {
	end := strings.IndexByte(text, '}')
	if !strings.HasPrefix(text, "{") || end < 2 {
		return ""
	}
	inside := text[1:end]
	if inside == "…" || inside == "..." || isName(inside) {
		return text[:end+1]
	}
	if len(inside) > 1 && inside[0] == '<' && !strings.ContainsAny(inside, "{\\") {
		return text[:end+1]
	}
	return ""
}

// isName reports whether s can name a connection or a capture.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
