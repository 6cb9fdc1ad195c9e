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
