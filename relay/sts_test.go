package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/testdns"
)

// policyServer serves a policy for every domain, and counts.
func policyServer(t *testing.T, policy *string) (*http.Client, *int) {
	t.Helper()
	asked := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/.well-known/mta-sts.txt" || !strings.HasPrefix(r.Host, "mta-sts.") {
			t.Errorf("asked for %s%s", r.Host, r.URL.Path)
		}
		switch *policy {
		case "redirect":
			http.Redirect(w, r, "https://mta-sts.evil.test/.well-known/mta-sts.txt", http.StatusFound)
		case "html":
			w.Header().Set("Content-Type", "text/html")
		case "gone":
			http.NotFound(w, r)
		case "endless":
			w.Header().Set("Content-Type", "text/plain")
			for {
				if _, err := w.Write([]byte(strings.Repeat("mx: a.test\n", 100))); err != nil {
					return
				}
			}
		default:
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, *policy)
		}
	}))
	t.Cleanup(s.Close)
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	transport.TLSClientConfig.InsecureSkipVerify = true // the name is not this server's
	transport.DisableKeepAlives = true
	return &http.Client{Transport: transport}, &asked
}

func TestMTASTS(t *testing.T) {
	a := newAuthority(t)
	good, other := a.server(time.Hour, "mx.beta.test"), a.server(time.Hour, "other.test")
	const enforce, testing_ = "version: STSv1\nmode: enforce\nmx: mx.beta.test\nmax_age: 86400\n", "version: STSv1\r\nmode: testing\r\nmx: mx.beta.test\r\nmax_age: 86400\r\n"
	cases := []struct {
		name, policy string
		server       *tls.Config
		event        Event
		secure       bool
	}{
		{"enforced", enforce, good, Delivered, true},
		{"enforced, wrong certificate", enforce, other, Deferred, false},
		{"enforced, no TLS", enforce, nil, Deferred, false},
		{"enforced, wildcard", strings.Replace(enforce, "mx.beta", "*.beta", 1), good, Delivered, true},
		{"enforced, another server", strings.Replace(enforce, "mx.beta", "mx.gamma", 1), good, Deferred, false},
		{"only tested", testing_, nil, Delivered, false},
		{"none", "version: STSv1\nmode: none\nmax_age: 86400\n", nil, Delivered, false},
		{"no version", "mode: enforce\nmx: mx.gamma.test\nmax_age: 86400\n", nil, Delivered, false},
		{"redirected", "redirect", nil, Delivered, false},
		{"not text", "html", nil, Delivered, false},
		{"not there", "gone", nil, Delivered, false},
		{"endless", "endless", nil, Delivered, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client, asked := policyServer(t, &c.policy)
			w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP, cfg.Roots = false, client, a.pool })
			w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=1;"`)
			p := w.beta(nil)
			p.tls = c.server
			w.run()
			w.send("bob@beta.test")
			if o := w.one(); o.Event != c.event || o.Event == Delivered && (o.TLS != "") != c.secure {
				t.Errorf("%+v", o)
			}
			if *asked != 1 {
				t.Errorf("asked %d times", *asked)
			}
		})
	}
}

// A policy holds until it has run out, even when its domain's record is gone:
// whoever can take that away must not switch it off (RFC 8461 §10.2).
func TestPoliciesAreRemembered(t *testing.T) {
	text := "version: STSv1\nmode: enforce\nmx: mx.beta.test\nmax_age: 86400\n"
	client, asked := policyServer(t, &text)
	w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP = false, client })
	w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=1;"`)
	in := func(want bool, fetches int) {
		t.Helper()
		p := w.relay.sts.policy(t.Context(), "beta.test")
		if (p != nil) != want || *asked != fetches {
			t.Errorf("policy %+v after %d fetches", p, *asked)
		}
	}
	in(true, 1)
	in(true, 1)
	w.zone.Remove("_mta-sts.beta.test", "")
	in(true, 1)
	w.zone.Fail("_mta-sts.beta.test", testdns.Servfail)
	in(true, 1)
	w.zone.Fail("_mta-sts.beta.test", testdns.Healthy)
	w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=2;"`)
	text = "gone"
	in(true, 2)
	in(true, 2) // the server is left alone for a while
	w.clock.Advance(policyRetry)
	text = "version: STSv1\nmode: none\nmax_age: 86400\n"
	in(false, 3)
	in(false, 3)
	w.clock.Advance(25 * time.Hour)
	in(false, 4)
}

// RFC 8461 §3.3: a policy in use is fetched again every day, so that it does
// not run out while somebody is in the way.
func TestPoliciesAreRefreshed(t *testing.T) {
	text := "version: STSv1\nmode: enforce\nmx: mx.beta.test\nmax_age: 2592000\n"
	client, asked := policyServer(t, &text)
	w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP = false, client })
	w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=1;"`)
	for day := range 60 {
		if w.relay.sts.policy(t.Context(), "beta.test") == nil || *asked != day+1 {
			t.Fatalf("day %d: %d fetches", day, *asked)
		}
		w.clock.Advance(policyRefresh)
	}
	text = "gone"
	for range 29 {
		if w.relay.sts.policy(t.Context(), "beta.test") == nil {
			t.Fatal("the policy was in force")
		}
		w.clock.Advance(policyRefresh)
	}
	if w.relay.sts.policy(t.Context(), "beta.test") != nil {
		t.Error("the policy has run out")
	}
}

func TestPoliciesOutliveARestart(t *testing.T) {
	text := "version: STSv1\nmode: enforce\nmx: mx.beta.test\nmax_age: 86400\n"
	client, asked := policyServer(t, &text)
	dir := filepath.Join(t.TempDir(), "mta-sts")
	w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP, cfg.PolicyDir = false, client, dir })
	again := func() *policies {
		c := w.relay.Config
		return newPolicies(c)
	}
	for _, d := range []string{"beta.test", "gamma.new"} {
		w.dns("_mta-sts." + d + `. TXT "v=STSv1; id=1;"`)
	}
	for _, d := range []string{"beta.test", "gamma.new"} {
		if w.relay.sts.policy(t.Context(), d) == nil {
			t.Fatal(d)
		}
	}
	w.relay.sts.remember("a/../b.test", remembered{policy: &policy{enforce: true}, until: w.clock.Now().Add(time.Hour)})
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, damage := range []string{"damaged.test", ".half.test"} {
		if err := os.WriteFile(filepath.Join(dir, damage), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = "version: STSv1\nmode: none\nmax_age: 86400\n"
	w.zone.Remove("_mta-sts.beta.test", "")
	w.zone.Fail("_mta-sts.gamma.new", testdns.Servfail)
	p := again()
	for _, d := range []string{"beta.test", "gamma.new"} {
		if found := p.policy(t.Context(), d); found == nil || !found.enforce || !found.allows("mx.beta.test") || found.allows("mx.gamma.test") {
			t.Errorf("%s: %+v", d, found)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 || *asked != 2 {
		t.Errorf("%v, %v, %d fetches", all, err, *asked)
	}
	// Nothing is kept that has run out.
	w.clock.Advance(25 * time.Hour)
	if p = again(); len(p.known) != 0 {
		t.Errorf("%+v", p.known)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestPoliciesAreBounded(t *testing.T) {
	dir := t.TempDir()
	client, _ := policyServer(t, new(string))
	w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP, cfg.PolicyDir = false, client, dir })
	for i := range maxPolicies + 10 {
		k := remembered{until: w.clock.Now().Add(time.Duration(i+1) * time.Second)}
		if i < 20 {
			k.policy = &policy{enforce: true}
		}
		w.relay.sts.remember(fmt.Sprintf("d%d.test", i), k)
	}
	if n := len(w.relay.sts.known); n != maxPolicies {
		t.Errorf("%d policies", n)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 10 {
		t.Errorf("%d files, %v", len(all), err)
	}
}

// Without a client of the caller's, policies are fetched by the way mail goes.
func TestPoliciesAreFetchedThroughTheSameNetwork(t *testing.T) {
	a := newAuthority(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "version: STSv1\nmode: enforce\nmx: mx.beta.test\nmax_age: 86400\n")
	}))
	s.TLS = a.server(time.Hour, "mta-sts.beta.test")
	s.StartTLS()
	t.Cleanup(s.Close)
	cases := []struct {
		name, addr string
		private    bool
		roots      *x509.CertPool
		found      bool
	}{
		{"public", "192.0.2.7", false, a.pool, true},
		{"not public", "127.0.0.7", false, a.pool, false},
		{"not public, and that is fine", "127.0.0.7", true, a.pool, true},
		{"a certificate that nobody knows", "192.0.2.7", false, x509.NewCertPool(), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.AllowPrivate, cfg.Roots = false, c.private, c.roots })
			w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=1;"`, "mta-sts.beta.test. CNAME www.beta.test.", "www.beta.test. A "+c.addr)
			w.other[c.addr+":443"] = s.Listener.Addr().String()
			if p := w.relay.sts.policy(t.Context(), "beta.test"); (p != nil) != c.found {
				t.Errorf("%+v", p)
			}
		})
	}
}
