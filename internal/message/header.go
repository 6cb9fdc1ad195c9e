package message

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// nextField cuts the first field, with its folded lines, off a header block.
// The name is nil for the blank line and for lines that belong to no field.
func nextField(b []byte) (name, field, rest []byte) {
	end := lineEnd(b)
	name = fieldName(b[:end])
	if name != nil {
		for end < len(b) && (b[end] == ' ' || b[end] == '\t') {
			end += lineEnd(b[end:])
		}
	}
	return name, b[:end], b[end:]
}

// lineEnd is the length of the first line with its line end.
func lineEnd(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// fieldName is the name of the field that a line begins, or nil. White space
// before the colon is obsolete, but read (RFC 5322 §4.5).
func fieldName(line []byte) []byte {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil
	}
	name := bytes.TrimRight(line[:colon], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	if len(name) == 0 {
		return nil
	}
	return name
}

// Field returns the values of the named field in a header block, in order and
// unfolded, otherwise as they are. A field that is absent has none.
func Field(header []byte, name string) []string {
	var values []string
	for len(header) > 0 {
		n, field, rest := nextField(header)
		if n != nil && strings.EqualFold(string(n), name) {
			values = append(values, unfold(string(fieldValue(field))))
		}
		header = rest
	}
	return values
}

func fieldValue(field []byte) []byte {
	return bytes.TrimLeft(field[bytes.IndexByte(field, ':')+1:], " \t")
}

// HeaderFields is what IMAP calls BODY[HEADER.FIELDS (…)], and with not set
// BODY[HEADER.FIELDS.NOT (…)]: the original octets of those fields that are
// named, or of all others, and a blank line (RFC 9051 §6.4.5.1).
func HeaderFields(header []byte, names []string, not bool) []byte {
	named := make(map[string]bool, len(names))
	for _, n := range names {
		named[strings.ToLower(n)] = true
	}
	var out []byte
	for len(header) > 0 {
		name, field, rest := nextField(header)
		header = rest
		if name == nil {
			if len(bytes.TrimRight(field, "\r\n")) == 0 {
				break
			}
			continue
		}
		if named[strings.ToLower(string(name))] != not {
			out = append(out, field...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\r', '\n') // the block was cut
	}
	return append(out, '\r', '\n')
}

var lineBreaks = strings.NewReplacer("\r", "", "\n", "")

// unfold removes the line ends of folding (RFC 5322 §2.2.3) and the white
// space around the value.
func unfold(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = lineBreaks.Replace(s)
	}
	return strings.Trim(s, " \t")
}

// fieldText is the value of a field as readable UTF-8 on one line, encoded
// words left alone.
func fieldText(raw string) string { return clean(toUTF8(unfold(raw))) }

// clean makes s valid UTF-8 without control characters, which become spaces.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r // RuneError for each invalid octet
			}, s)
		}
	}
	return s
}

// DecodedHeader is a header block as a reader would see it: one line per field,
// encoded words decoded, for search. It reads at most MaxHeader octets.
func DecodedHeader(header []byte) string {
	header = header[:min(len(header), MaxHeader)]
	var b strings.Builder
	for len(header) > 0 {
		name, field, rest := nextField(header)
		header = rest
		if name == nil {
			continue
		}
		b.Write(name)
		b.WriteString(": ")
		b.WriteString(DecodeHeader(unfold(string(fieldValue(field)))))
		b.WriteByte('\n')
	}
	return b.String()
}

// cut shortens s to at most n octets at a character's boundary.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
