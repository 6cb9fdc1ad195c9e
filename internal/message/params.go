package message

import (
	"slices"
	"strings"
)

// Bounds on the parameters of one field.
const (
	maxParams     = 200
	maxContinued  = 10000   // RFC 2231 pieces in all
	maxParamValue = 8 << 10 // octets of one value
)

// parseParams reads the parameters of Content-Type or Content-Disposition from
// what follows the first value. RFC 2231 pieces are joined and decoded; so are
// encoded words in names of files, which RFC 2047 §5 forbids and everybody
// sends. The first of two equal names wins. It is nil when there are none.
func parseParams(s string) map[string]string {
	var params map[string]string
	var pieces []piece
	for s != "" {
		var name, value string
		name, value, s = cutParam(s)
		name = strings.ToLower(name)
		if name == "" || !isToken(name) {
			continue
		}
		if p, ok := splitName(name, value); ok {
			if len(pieces) < maxContinued {
				pieces = append(pieces, p)
			}
			continue
		}
		if _, ok := params[name]; ok || len(params) >= maxParams {
			continue
		}
		if params == nil {
			params = make(map[string]string)
		}
		if (name == "filename" || name == "name") && strings.Contains(value, "=?") {
			value = DecodeHeader(value)
		}
		params[name] = clean(cut(value, maxParamValue))
	}
	if len(pieces) == 0 {
		return params
	}
	if params == nil {
		params = make(map[string]string)
	}
	joinPieces(params, pieces)
	return params
}

// cutParam reads one name=value up to behind its semicolon.
func cutParam(s string) (name, value, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 || s[i] == ';' {
		if i < 0 {
			i = len(s) - 1
		}
		return "", "", s[i+1:]
	}
	name = strings.Trim(s[:i], " \t")
	s = strings.TrimLeft(s[i+1:], " \t")
	if s != "" && s[0] == '"' {
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '"':
				_, rest, _ = strings.Cut(s[i+1:], ";")
				return name, b.String(), rest
			case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
				i++ // other backslashes are those of a path
			}
			b.WriteByte(s[i])
		}
		return name, b.String(), "" // the quote never closes
	}
	value, rest, _ = strings.Cut(s, ";")
	if i := strings.IndexByte(value, '('); i > 0 && (value[i-1] == ' ' || value[i-1] == '\t') && !strings.ContainsAny(name, "*") && !strings.HasSuffix(name, "name") {
		value = value[:i] // a comment
	}
	return name, strings.Trim(value, " \t"), rest
}

// A piece is one part of a continued or encoded parameter (RFC 2231 §3, §4).
type piece struct {
	name    string
	section int
	encoded bool
	value   string
}

func splitName(name, value string) (p piece, ok bool) {
	base, section, found := strings.Cut(name, "*")
	if !found || base == "" {
		return p, false
	}
	p = piece{name: base, value: value}
	if strings.HasSuffix(name, "*") {
		p.encoded = true
		section = strings.TrimSuffix(section, "*")
	}
	if section == "" {
		return p, p.encoded
	}
	for _, c := range section {
		if c < '0' || c > '9' || p.section > maxContinued {
			return p, false
		}
		p.section = p.section*10 + int(c-'0')
	}
	return p, true
}

// joinPieces puts the joined values into params, over a plain value of the
// same name: who sends both means the plain one for old readers.
func joinPieces(params map[string]string, pieces []piece) {
	slices.SortStableFunc(pieces, func(a, b piece) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return a.section - b.section
	})
	for len(pieces) > 0 {
		n := 1
		for n < len(pieces) && pieces[n].name == pieces[0].name {
			n++
		}
		if pieces[0].section == 0 {
			if _, ok := params[pieces[0].name]; ok || len(params) < maxParams {
				params[pieces[0].name] = joinValue(pieces[:n])
			}
		}
		pieces = pieces[n:]
	}
}

func joinValue(pieces []piece) string {
	var charset string
	var octets []byte
	next, encoded := 0, false
	for _, p := range pieces {
		if p.section < next {
			continue // a second one of the same number
		}
		if p.section > next || len(octets) > maxParamValue {
			break
		}
		value := p.value
		if p.encoded {
			if p.section == 0 {
				if cs, rest, ok := strings.Cut(value, "'"); ok {
					if _, text, ok := strings.Cut(rest, "'"); ok {
						charset, value = cs, text
					}
				}
			}
			encoded = true
			octets = appendPercentDecoded(octets, value)
		} else {
			octets = append(octets, value...)
		}
		next++
	}
	if !encoded {
		value := string(octets)
		if strings.Contains(value, "=?") {
			value = DecodeHeader(value)
		}
		return clean(cut(value, maxParamValue))
	}
	if d := choose(charset, octets, true); d != nil && !is7bit(octets) || hasJISEscape(octets) {
		return clean(cut(decodeAll(d, octets), maxParamValue))
	}
	return clean(cut(toUTF8(string(octets)), maxParamValue))
}

func appendPercentDecoded(out []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// isToken is RFC 2045 §5.1's token.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// parseMediaType reads a Content-Type. ok is false when it names none, which
// means the default (RFC 2045 §5.2).
func parseMediaType(s string) (typ, subtype string, params map[string]string, ok bool) {
	media, rest, _ := strings.Cut(s, ";")
	media = stripComments(media)
	typ, subtype, _ = strings.Cut(media, "/")
	typ = strings.ToLower(strings.Trim(typ, " \t"))
	subtype = strings.ToLower(strings.Trim(subtype, " \t"))
	if i := strings.IndexAny(subtype, " \t,"); i > 0 { // "text/plain charset=utf-8"
		subtype, rest = subtype[:i], media[strings.IndexByte(media, '/')+1:][i:]+";"+rest
	}
	if !isToken(typ) || !isToken(subtype) || len(typ) > 127 || len(subtype) > 127 {
		return "", "", nil, false
	}
	return typ, subtype, parseParams(rest), true
}

// parseDisposition reads a Content-Disposition (RFC 2183).
func parseDisposition(s string) (string, map[string]string) {
	value, rest, _ := strings.Cut(s, ";")
	if strings.Contains(value, "=") { // no type, only parameters
		return "attachment", parseParams(s)
	}
	value = strings.ToLower(strings.Trim(stripComments(value), " \t"))
	if !isToken(value) || len(value) > 127 {
		if value == "" && rest == "" {
			return "", nil
		}
		value = "attachment" // RFC 2183 §2.8
	}
	return value, parseParams(rest)
}

// parseEncoding reads a Content-Transfer-Encoding; "" when it is unreadable.
func parseEncoding(s string) string {
	s = strings.ToLower(strings.Trim(stripComments(s), " \t\";"))
	if i := strings.IndexAny(s, " \t;,"); i > 0 {
		s = s[:i]
	}
	if !isToken(s) || len(s) > 63 {
		return ""
	}
	return s
}

// stripComments removes comments (RFC 5322 §3.2.2) outside quoted strings.
func stripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				b.WriteByte(c)
				b.WriteByte(s[i+1])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && !quoted && depth > 0:
			depth--
			b.WriteByte(' ')
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}
