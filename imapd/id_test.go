package imapd

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// What clients call themselves is shown to people, and cannot deceive them.
func TestDeviceNames(t *testing.T) {
	for _, test := range []struct {
		say  string
		want string
	}{
		{`NIL`, ""},
		{`("support-url" "https://example.test/")`, ""},
		{`("name" "Pigeon" "version" "3.1")`, "Pigeon 3.1"},
		{`("NAME" "Pigeon" "version" NIL "os" "Tori" "os-version" "26")`, "Pigeon (Tori 26)"},
		{`("device" "phone" "os" "Tori")`, "phone Tori"},
		{`("name" "郵便 アプリ")`, "郵便 アプリ"},
		{"(\"name\" \"a\x1b[31m\tb\u202ec\x80\")", "a [31m b c"},
		{`("name" "` + strings.Repeat("長", 200) + `")`, strings.Repeat("長", 79) + "…"},
	} {
		fields, ok := parseID([]byte(" " + test.say + "\r\n"))
		if got := deviceName(fields); !ok || got != test.want || !utf8.ValidString(got) {
			t.Errorf("%s: %q, %v", test.say, got, ok)
		}
	}
}
