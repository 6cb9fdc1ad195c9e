package mailauth

import (
	"strings"
	"unicode/utf8"
)

// Value is what a method found (RFC 8601 §2.7).
type Value string

const (
	None      Value = "none"
	Pass      Value = "pass"
	Fail      Value = "fail"
	SoftFail  Value = "softfail"
	Neutral   Value = "neutral"
	Refused   Value = "policy" // valid, but not acceptable here
	TempError Value = "temperror"
	PermError Value = "permerror"
)

// problem is a value with its reason, which may be shown to anybody.
type problem struct {
	value  Value
	reason string
}

func (p *problem) Error() string { return string(p.value) + ": " + p.reason }

func permanent(reason string) *problem { return &problem{PermError, reason} }
func failed(reason string) *problem    { return &problem{Fail, reason} }

// harmless makes a piece of text that others chose fit for a reply line, a
// comment or a quoted string: printable ASCII, and not much of it.
func harmless(s string) string {
	const enough = 120
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || r < ' ' || r >= 0x7f:
			return '?'
		case strings.ContainsRune(`"\()`, r):
			return '\''
		}
		return r
	}, s)
	if len(s) > enough {
		s = s[:enough]
	}
	return s
}
