package imapd

import (
	"regexp"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"%", "", true},
		{"*", "a/b/c", true}, {"%", "a", true}, {"%", "a/b", false}, {"%/%", "a/b", true},
		{"a%", "a/b", false}, {"a*", "a/b", true}, {"%b", "a/b", false}, {"*b", "a/b", true},
		{"%/b", "a/b", true}, {"a/%", "a/", true}, {"*%", "a/b", true}, {"%*", "a/b", true},
		{"*a%b", "xa/ayb", true}, {"*a%b", "xa/y/b", false}, {"%会%", "定例会議", true}, {"%", "Résumé", true},
		{"a", "A", false},
	} {
		if got := matches(test.pattern, test.name); got != test.want {
			t.Errorf("matches(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

// A regular expression says the same.
func TestMatchesLikeRegexp(t *testing.T) {
	letters := func(from string, choice []byte) string {
		var b strings.Builder
		for _, c := range choice {
			b.WriteByte(from[int(c)%len(from)])
		}
		return b.String()
	}
	err := quick.CheckEqual(
		func(p, n []byte) bool { return matches(letters("ab/*%", p), letters("ab/", n)) },
		func(p, n []byte) bool {
			expr := strings.NewReplacer("*", ".*", "%", "[^/]*").Replace(letters("ab/*%", p))
			return regexp.MustCompile("^" + expr + "$").MatchString(letters("ab/", n))
		}, &quick.Config{MaxCount: 5000})
	if err != nil {
		t.Error(err)
	}
}

// The library's matcher needs time that doubles with every wildcard.
func TestMatchesInTime(t *testing.T) {
	h := newHouse(t)
	name := strings.Repeat(strings.Repeat("a", 240)+"/", 4)
	c := h.login("INBOX")
	c.ok("CREATE " + name)
	start := time.Now()
	c.ok(`LIST "" "` + strings.Repeat("*a%a", 100) + `b"`)
	if d := time.Since(start); d > 5*time.Second {
		t.Error(d)
	}
}

func TestInbox(t *testing.T) {
	for _, p := range []string{"INBOX", "inbox", "InB*", "%", "i%x"} {
		if !matchesAny([]string{p}, "INBOX") {
			t.Errorf("%q does not find INBOX", p)
		}
	}
	if !matchesAny([]string{"inbox/%"}, "INBOX/x") || matchesAny([]string{"inbox/X"}, "INBOX/x") {
		t.Error("INBOX is a level like no other, but only that level")
	}
}
