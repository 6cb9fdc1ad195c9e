package mailauth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Claim is one result in an Authentication-Results field.
type Claim struct {
	Method string // lower case: "spf"
	Value  Value
	// Properties are "header.d" and the like, lower case; "reason" is one.
	Properties map[string]string
}

// ParseResults reads the value of an Authentication-Results field (RFC 8601
// §2.2). It is not ok when whose results they are cannot be said.
func ParseResults(value string) (authservID string, claims []Claim, ok bool) {
	tokens, ok := lex(value)
	if !ok || len(tokens) == 0 || tokens[0].kind != word {
		return "", nil, false
	}
	authservID = tokens[0].text
	var statement []token
	flush := func() {
		if c, ok := parseClaim(statement); ok {
			claims = append(claims, c)
		}
		statement = nil
	}
	rest := tokens[1:]
	for len(rest) > 0 && rest[0].kind == word { // the version
		rest = rest[1:]
	}
	for _, t := range rest {
		if t.kind == ';' {
			flush()
			continue
		}
		statement = append(statement, t)
	}
	flush()
	return authservID, claims, true
}

// parseClaim reads "method/1 = value name = value …".
func parseClaim(tokens []token) (c Claim, ok bool) {
	for i := 0; i+2 < len(tokens); i++ {
		if tokens[i].kind != word || tokens[i+1].kind != '=' || tokens[i+2].kind != word {
			continue
		}
		name, value := strings.ToLower(tokens[i].text), tokens[i+2].text
		if !ok {
			name, _, _ = strings.Cut(name, "/")
			c = Claim{name, Value(strings.ToLower(value)), make(map[string]string)}
			ok = true
		} else if _, twice := c.Properties[name]; !twice {
			c.Properties[name] = value
		}
		i += 2
	}
	return c, ok
}

type token struct {
	kind byte // word, '=' or ';'
	text string
}

const word = 'w'

// lex cuts a structured value into words, equal signs and semicolons, without
// comments and quotes. It is not ok when one of those does not end.
func lex(s string) (tokens []token, ok bool) {
	var b strings.Builder
	open := false // within a word, which may be empty when quoted
	end := func() {
		if open {
			tokens = append(tokens, token{word, b.String()})
			b.Reset()
			open = false
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '(':
			end()
			n := commentLength(s[i:])
			if n == 0 {
				return nil, false
			}
			i += n - 1
		case '"':
			n := quoteInto(&b, s[i:])
			if n == 0 {
				return nil, false
			}
			open = true
			i += n - 1
		case ' ', '\t', '\r', '\n':
			end()
		case '=', ';':
			end()
			tokens = append(tokens, token{kind: c})
		default:
			open = true
			b.WriteByte(c)
		}
	}
	end()
	return tokens, true
}

// commentLength is the length of the comment at the start of s with those in
// it, or 0 when it does not end.
func commentLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// quoteInto writes what the quoted string at the start of s says, and returns
// its length, or 0 when it does not end.
func quoteInto(b *strings.Builder, s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
			if i < len(s) {
				b.WriteByte(s[i])
			}
		case '\r', '\n':
		default:
			b.WriteByte(s[i])
		}
	}
	return 0
}

// StripForged returns a header block without the Authentication-Results that
// claim to be ours, and without those of which nobody can say whose they are:
// readers believe what bears our name (RFC 8601 §5). When there is none it
// returns header itself.
func StripForged(header []byte, authservID string) []byte {
	ours := name(authservID)
	var kept []byte
	forged := false
	for _, f := range fields(header) {
		if f.name == "authentication-results" {
			id, _, ok := ParseResults(f.value())
			if !ok || name(id) == ours {
				forged = true
				continue
			}
		}
		kept = append(kept, f.raw...)
	}
	if !forged {
		return header
	}
	return kept
}

// name makes an authserv-id comparable.
func name(id string) string {
	id, _, _ = strings.Cut(id, "/")
	if a := asciiName(id); a != "" {
		return a
	}
	return strings.ToLower(id)
}

// Strip does the same for a whole message: in place of its first octets, up
// to from, header is to stand. Nothing is to be done when from is 0. It answers
// ErrHeaderSize when anybody's results stand in a header that is too large to
// be gone through field by field.
func Strip(raw io.ReaderAt, size int64, authservID string) (header []byte, from int64, err error) {
	whole, _, err := readHeader(raw, size, ownHeader)
	if errors.Is(err, ErrHeaderSize) && !hasResults(raw, size) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("remove forged results: %w", err)
	}
	header = StripForged(whole, authservID)
	if len(header) == len(whole) {
		return nil, 0, nil
	}
	return header, int64(len(whole)), nil
}

// hasResults reports whether a header has Authentication-Results, or cannot be
// read. It holds little of it in memory.
func hasResults(raw io.ReaderAt, size int64) bool {
	lines := bufio.NewReader(io.NewSectionReader(raw, 0, size))
	for begins := true; ; {
		piece, err := lines.ReadSlice('\n')
		switch {
		case begins && fieldName(piece) == "authentication-results":
			return true
		case begins && string(piece) == "\r\n", err == io.EOF:
			return false
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return true
		}
		begins = err == nil
	}
}
