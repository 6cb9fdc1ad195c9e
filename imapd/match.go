package imapd

import "strings"

// matches reports whether a mailbox name fits a LIST pattern: "*" is anything,
// "%" anything within one level (RFC 9051 §6.3.9). It takes time proportional
// to the two lengths multiplied; the library's own takes exponential time.
//
// After each octet of the pattern, at says which lengths of the name's
// beginning the pattern so far can have matched.
func matches(pattern, name string) bool {
	at := make([]bool, len(name)+1)
	at[0] = true
	for _, p := range []byte(pattern) {
		alive := false
		switch p {
		case '*', '%':
			for i := range len(name) {
				at[i+1] = at[i+1] || at[i] && (p == '*' || name[i] != delimiter)
			}
			alive = true
		default:
			for i := len(name); i > 0; i-- {
				at[i] = at[i-1] && name[i-1] == p
				alive = alive || at[i]
			}
			at[0] = false
		}
		if !alive {
			return false
		}
	}
	return at[len(name)]
}

// matchesAny is matches for a whole name and several patterns. Case does not
// matter for INBOX. RFC 9051 §5.1
func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if name == "INBOX" {
			p = strings.ToUpper(p)
		}
		if matches(inbox(p), name) {
			return true
		}
	}
	return false
}

// inbox writes INBOX in upper case where it is the first level.
func inbox(name string) string {
	first, rest, nested := strings.Cut(name, string(delimiter))
	if !strings.EqualFold(first, "INBOX") {
		return name
	}
	if !nested {
		return "INBOX"
	}
	return "INBOX" + string(delimiter) + rest
}
