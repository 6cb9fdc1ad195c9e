package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestCanonicalDomain(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".")
	for in, want := range map[string]string{
		"Example.TEST":          "example.test",
		"example.test.":         "example.test",
		"localhost":             "localhost",
		"例え.テスト":                "xn--r8jz45g.xn--zckzah",
		"bücher.example":        "xn--bcher-kva.example",
		"XN--BCHER-KVA.example": "xn--bcher-kva.example",
		"straße.example":        "xn--strae-oqa.example", // not strasse: RFC 5891, no transition
		label + ".test":         label + ".test",
		long:                    long,
		"[192.0.2.1]":           "[192.0.2.1]",
		"[IPv6:2001:DB8::1]":    "[ipv6:2001:db8::1]",
	} {
		if got, err := store.CanonicalDomain(in); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", "far..test", ".test", "test..", "a b.test", "a_b.test", "-a.test", "a-.test", "xn--.test", "xn--a.test",
		label + "a.test", long + "a", "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやまけふこえてあさきゆめみしゑひもせす.test", strings.Repeat("a.", 2000), "a\x00b.test", "a\nb", "[1.2.3]", "[::1", "a@b",
	} {
		if got, err := store.CanonicalDomain(in); !errors.Is(err, store.ErrBadDomain) || !errors.Is(err, store.ErrBadAddress) {
			t.Errorf("%.40q: %q, %v", in, got, err)
		}
	}
	if _, err := store.CanonicalAddress("dan@far..test"); !errors.Is(err, store.ErrBadDomain) {
		t.Error(err)
	}
}

// A canonical address can be read again: what a dot-string cannot hold stays quoted.
func TestCanonicalAddressStaysAnAddress(t *testing.T) {
	for in, want := range map[string]string{
		`"Ada"@example.test`:       "ada@example.test",
		`"Ada B"@Example.test`:     `"ada b"@example.test`,
		`"a\"b\\c"@example.test`:   `"a\"b\\c"@example.test`,
		`".a..b."@example.test`:    `".a..b."@example.test`,
		`"a@other.test"@here.test`: `"a@other.test"@here.test`,
	} {
		got, err := store.CanonicalAddress(in)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
		if again, err := store.CanonicalAddress(got); err != nil || again != got {
			t.Errorf("%s: %s, %v", got, again, err)
		}
	}
}

func TestQuotedAddressIsInItsDomain(t *testing.T) {
	s, _ := open(t, store.Options{})
	if _, err := s.CreateUser(t.Context(), store.NewUser{Address: `"ada b"@example.test`, Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	domains, err := s.Domains(t.Context())
	if err != nil || len(domains) != 1 || domains[0].Name != "example.test" {
		t.Errorf("%+v, %v", domains, err)
	}
	if err := s.AddAlias(t.Context(), `"ada c"@example.test`, `"ada b"@example.test`); err != nil {
		t.Error(err)
	}
	to, err := s.Resolve(t.Context(), `"ada c"@example.test`)
	if err != nil || len(to) != 1 || to[0].User == 0 {
		t.Errorf("%+v, %v", to, err)
	}
}
