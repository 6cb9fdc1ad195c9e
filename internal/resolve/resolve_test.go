package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/testdns"
)

func newDNS(t *testing.T, records ...string) (*testdns.Zone, *DNS) {
	t.Helper()
	z, err := testdns.New(records...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := testdns.Start(z)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return z, &DNS{Servers: []string{s.Addr}, Trusted: true}
}

func TestNamesThatAreAbsentAndNamesNobodyKnows(t *testing.T) {
	z, d := newDNS(t, "beta.test. TXT a", "broken.test. A 127.0.0.1", "silent.test. A 127.0.0.1")
	z.Fail("broken.test", testdns.Servfail)
	z.Fail("silent.test", testdns.Silent)
	ctx := t.Context()
	if mx, _, err := d.LookupMX(ctx, "beta.test"); err != nil || mx != nil {
		t.Errorf("a name without MX: %v %v", mx, err)
	}
	for _, name := range []string{"gone.test", "bad..test", strings.Repeat("x", 64) + ".test", strings.Repeat("long.", 60) + "test"} {
		if _, _, err := d.LookupMX(ctx, name); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := d.LookupAddr(ctx, name); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	hasty := &DNS{Servers: d.Servers, Timeout: 200 * time.Millisecond}
	for name, d := range map[string]*DNS{"broken.test": d, "silent.test": hasty} {
		before := z.Asked(name)
		if _, _, err := d.LookupMX(ctx, name); err == nil || errors.Is(err, ErrNoSuchName) {
			t.Errorf("%s: %v", name, err)
		}
		// A question that gets no answer may still be on its way.
		for late := time.Now().Add(10 * time.Second); z.Asked(name)-before < 2 && time.Now().Before(late); {
			runtime.Gosched()
		}
		if n := z.Asked(name) - before; n != 2 {
			t.Errorf("%s was asked for %d times", name, n)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := d.LookupMX(ended, "beta.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheNextResolverIsAsked(t *testing.T) {
	_, good := newDNS(t, "beta.test. MX 10 mx.beta.test.")
	broken, bad := newDNS(t)
	broken.Fail("beta.test", testdns.Servfail)
	d := &DNS{Servers: append(bad.Servers, good.Servers...)}
	if mx, _, err := d.LookupMX(t.Context(), "beta.test"); err != nil || len(mx) != 1 || mx[0] != (MX{"mx.beta.test", 10}) {
		t.Errorf("%v %v", mx, err)
	}
}

func TestLargeAnswersAreWhole(t *testing.T) {
	z, d := newDNS(t)
	for i := range 100 {
		if err := z.Add(fmt.Sprintf("beta.test. MX 10 a-rather-long-name-%d.beta.test.", i)); err != nil {
			t.Fatal(err)
		}
	}
	if mx, _, err := d.LookupMX(t.Context(), "beta.test"); err != nil || len(mx) != 100 {
		t.Errorf("%d, %v", len(mx), err)
	}
}

// Only whom we trust can say that an answer is authentic, and only all of it.
func TestAuthenticAnswers(t *testing.T) {
	z, d := newDNS(t, "beta.test. MX 10 mx.beta.test.", "mx.beta.test. CNAME host.test.", "host.test. A 127.0.0.2", "_25._tcp.host.test. TLSA 3 1 1 AB", `beta.test. TXT "a" "b"`)
	z.Authenticate("beta.test", "mx.beta.test")
	ctx := t.Context()
	if _, authentic, err := d.LookupMX(ctx, "beta.test"); err != nil || !authentic {
		t.Errorf("%v %v", authentic, err)
	}
	if addrs, authentic, err := d.LookupAddr(ctx, "mx.beta.test"); err != nil || authentic || len(addrs) != 1 {
		t.Errorf("%v %v %v", addrs, authentic, err)
	}
	if texts, _, err := d.LookupTXT(ctx, "beta.test"); err != nil || len(texts) != 1 || texts[0] != "ab" {
		t.Errorf("%q %v", texts, err)
	}
	if records, _, err := d.LookupTLSA(ctx, "_25._tcp.host.test"); err != nil || len(records) != 1 || records[0] != (TLSA{3, 1, 1, "ab"}) {
		t.Errorf("%v %v", records, err)
	}
	d.Trusted = false
	if _, authentic, _ := d.LookupMX(ctx, "beta.test"); authentic {
		t.Error("a resolver far away is believed")
	}
}

// TestNamesOfAnyOctets asks for what SPF's macros make of addresses, and reads
// what is written with escapes.
func TestNamesOfAnyOctets(t *testing.T) {
	_, d := newDNS(t, `%\(odd\)\032\;\\\@\255.test. TXT "a\"b\\c\009d"`, `plain.test. CNAME %\(odd\)\032\;\\\@\255.test.`,
		"beta.test. MX 10 mx.beta.test.", `beta.test. MX 20 m\"x.beta.test.`, "null.test. MX 0 .",
		"7.2.0.192.in-addr.arpa. PTR out.beta.test.", `7.2.0.192.in-addr.arpa. PTR \010evil.test.`)
	n, ctx := Net{d}, t.Context()
	if texts, err := n.LookupTXT(ctx, "plain.test."); err != nil || !slices.Equal(texts, []string{"a\"b\\c\td"}) {
		t.Errorf("%q %v", texts, err)
	}
	if texts, err := n.LookupTXT(ctx, "%(odd) ;\\@\xff..test."); err == nil {
		t.Errorf("a name that cannot be one: %q", texts)
	}
	if texts, err := n.LookupTXT(ctx, "%(odd) ;\\@\xff.test."); err != nil || len(texts) != 1 {
		t.Errorf("%q %v", texts, err)
	}
	for _, name := range []string{"gone.test.", "a..test.", "beta.test."} {
		var e *net.DNSError
		if _, err := n.LookupTXT(ctx, name); !errors.As(err, &e) || !e.IsNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if mx, err := n.LookupMX(ctx, "beta.test."); err != nil || len(mx) != 1 || *mx[0] != (net.MX{Host: "mx.beta.test.", Pref: 10}) {
		t.Errorf("%v %v", mx, err)
	}
	if mx, err := n.LookupMX(ctx, "null.test."); err != nil || len(mx) != 1 || mx[0].Host != "." {
		t.Errorf("%v %v", mx, err)
	}
	if names, err := n.LookupAddr(ctx, "192.0.2.7"); err != nil || !slices.Equal(names, []string{"out.beta.test."}) {
		t.Errorf("%q %v", names, err)
	}
}

// TestTheSystemsResolvers reads resolv.conf as it is at the time.
func TestTheSystemsResolvers(t *testing.T) {
	was := systemFile
	t.Cleanup(func() { systemFile = was })
	systemFile = filepath.Join(t.TempDir(), "resolv.conf")
	d := new(DNS)
	for _, c := range []struct {
		file    string
		servers []string
		local   bool
	}{
		{"", []string{"127.0.0.1:53"}, true},
		{"nameserver 127.0.0.53\nnameserver ::1\n", []string{"127.0.0.53:53", "[::1]:53"}, true},
		{"nameserver 127.0.0.53\nnameserver 192.0.2.1\n", []string{"127.0.0.53:53", "192.0.2.1:53"}, false},
	} {
		if c.file != "" {
			if err := os.WriteFile(systemFile, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d.read = time.Time{}
		if servers, local := d.servers(); !slices.Equal(servers, c.servers) || local != c.local {
			t.Errorf("%q: %v %v", c.file, servers, local)
		}
	}
}
