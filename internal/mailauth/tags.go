package mailauth

import (
	"strings"
)

// parseTags reads a tag list (RFC 6376 §3.2), which is also what DMARC records
// look like (RFC 7489 §6.4). Values have lost the white space around them.
func parseTags(s string) (map[string]string, bool) {
	tags := make(map[string]string)
	for piece := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(piece, "=")
		name = trim(name)
		if !ok {
			if name != "" {
				return nil, false
			}
			continue // after the last semicolon
		}
		if !isTagName(name) {
			return nil, false
		}
		if _, twice := tags[name]; twice {
			return nil, false
		}
		tags[name] = trim(value)
	}
	return tags, true
}

func isTagName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

const fws = " \t\r\n"

func trim(s string) string { return strings.Trim(s, fws) }

// compact removes the white space that folding may have put anywhere.
func compact(s string) string {
	if !strings.ContainsAny(s, fws) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(fws, r) {
			return -1
		}
		return r
	}, s)
}

// colonList cuts a value at its colons.
func colonList(s string) []string { return strings.Split(compact(s), ":") }

// withoutSignature is a signature field whose b= has lost its value, with the
// white space around it (RFC 6376 §3.7). Nothing else changes.
func withoutSignature(raw string) string {
	colon := strings.IndexByte(raw, ':') + 1
	start := colon
	for start <= len(raw) {
		end := len(raw)
		if i := strings.IndexByte(raw[start:], ';'); i >= 0 {
			end = start + i
		}
		name, _, ok := strings.Cut(raw[start:end], "=")
		if ok && trim(name) == "b" {
			tail := raw[end:]
			if tail == "" {
				tail = "\r\n"
			}
			return raw[:start+len(name)+1] + tail
		}
		start = end + 1
	}
	return raw
}
