package imapd

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
)

// savesOnly matches a SEARCH that wants no answer. RFC 5182 §2.1
var savesOnly = regexp.MustCompile(`(?i)^\S+ (UID )?SEARCH RETURN ?\( *SAVE *\)`)

// maxSearchTerms bounds NOT, OR and parentheses in one SEARCH: the library
// and whatever runs the search recurse into them.
const maxSearchTerms = 500

// A searchLine follows the arguments of a SEARCH through its lines, and mends
// what the library gets wrong: "SMALLER n" is forgotten as soon as a date or
// LARGER follows it, and "SMALLER 0" finds everything. NOT LARGER m, with m
// one less than n, means the same and survives.
type searchLine struct {
	skip  int // arguments of the last key that are still to come
	terms int
}

// searchArguments says how many arguments a search key has. RFC 9051 §6.4.4
var searchArguments = map[string]int{
	"BCC": 1, "BEFORE": 1, "BODY": 1, "CC": 1, "CHARSET": 1, "FROM": 1, "HEADER": 2,
	"KEYWORD": 1, "LARGER": 1, "ON": 1, "SENTBEFORE": 1, "SENTON": 1, "SENTSINCE": 1,
	"SINCE": 1, "SMALLER": 1, "SUBJECT": 1, "TEXT": 1, "TO": 1, "UID": 1, "UNKEYWORD": 1,
}

// rewrite changes a line of a SEARCH, of which the keys begin at from. It
// reports false when the search is too deep. A literal, when one follows, is
// an argument.
func (s *searchLine) rewrite(line *[]byte, from int, literal bool) bool {
	rest := (*line)[from:]
	out := slices.Clone((*line)[:from])
	smaller := false // SMALLER has been held back
	for len(rest) > 0 {
		token := searchToken(rest)
		rest = rest[len(token):]
		key := string(bytes.ToUpper(token))
		if smaller {
			if key == " " {
				continue
			}
			token, smaller = notLarger(token), false
		}
		switch {
		case key == " " || key == ")" || key == "\r" || key == "\n" || key[0] == '{':
		case key == "(":
			s.terms++
		case s.skip > 0:
			s.skip--
		case key == "SMALLER":
			s.skip, smaller = 1, true
			continue
		case key == "NOT" || key == "OR":
			s.terms++
		default:
			s.skip = searchArguments[key]
		}
		out = append(out, token...)
	}
	if literal && s.skip > 0 {
		s.skip--
	}
	*line = out
	return s.terms <= maxSearchTerms
}

func notLarger(number []byte) []byte {
	n, err := strconv.ParseInt(string(number), 10, 64)
	switch {
	case err != nil:
		return append([]byte("SMALLER "), number...)
	case n <= 1: // no message has so few octets
		return []byte("NOT ALL")
	}
	return strconv.AppendInt([]byte("NOT LARGER "), n-1, 10)
}

// searchToken is the first token of rest, which is not empty: a delimiter, a
// quoted string, a literal's announcement or an atom.
func searchToken(rest []byte) []byte {
	switch rest[0] {
	case ' ', '(', ')', '\r', '\n':
		return rest[:1]
	case '"':
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return rest[:i+1]
			}
		}
		return rest
	}
	if i := bytes.IndexAny(rest, " ()\r\n\""); i > 0 {
		return rest[:i]
	}
	return rest
}
