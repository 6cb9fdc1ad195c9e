package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/testdns"
	"github.com/yubin-mail/yubin/store"
)

// authority signs certificates for peers.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// server is a configuration with a certificate for names; a negative validity
// is one that has run out.
func (a *authority) server(validity time.Duration, names ...string) *tls.Config {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(validity)}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw, a.cert.Raw}, PrivateKey: key}}}
}

func leaf(t *testing.T, c *tls.Config) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	good, expired, other := a.server(time.Hour, "mx.beta.test"), a.server(-time.Hour, "mx.beta.test"), a.server(time.Hour, "mx.other.test")
	broken := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, fmt.Errorf("no") }}
	cases := []struct {
		name     string
		server   *tls.Config // nil does not offer TLS
		on       func(*session, string, string) string
		security Security
		event    Event
		secure   bool // it went under TLS
		proven   bool
		reply    string
	}{
		{"opportunistic", good, nil, Opportunistic, Delivered, true, true, ""},
		{"opportunistic with an expired certificate", expired, nil, Opportunistic, Delivered, true, false, ""},
		{"opportunistic with a wrong name", other, nil, Opportunistic, Delivered, true, false, ""},
		{"opportunistic without TLS", nil, nil, Opportunistic, Delivered, false, false, ""},
		{"opportunistic when the handshake fails", broken, nil, Opportunistic, Delivered, false, false, ""},
		{"opportunistic when STARTTLS is refused", good, at("STARTTLS", "454 4.7.0 not now"), Opportunistic, Delivered, false, false, ""},
		{"opportunistic with an injected reply", good, at("STARTTLS", raw+"220 go\r\n250 injected\r\n"), Opportunistic, Deferred, false, false, "before it was asked"},
		{"none", good, nil, Plain, Delivered, false, false, ""},
		{"encrypted", expired, nil, Encrypted, Delivered, true, false, ""},
		{"encrypted without TLS", nil, nil, Encrypted, Deferred, false, false, "4.7.5"},
		{"encrypted when the handshake fails", broken, nil, Encrypted, Deferred, false, false, "4.7.5"},
		{"encrypted when STARTTLS is refused", good, at("STARTTLS", "554 5.7.0 never"), Encrypted, Deferred, false, false, "554 5.7.0 never"},
		{"verified", good, nil, Verified, Delivered, true, true, ""},
		{"verified with an expired certificate", expired, nil, Verified, Deferred, false, false, "4.7.5"},
		{"verified with a wrong name", other, nil, Verified, Deferred, false, false, "4.7.5"},
		{"verified without TLS", nil, nil, Verified, Deferred, false, false, "4.7.5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.TLS, cfg.Roots = c.security, a.pool })
			p := w.beta(c.on)
			p.tls = c.server
			w.run()
			w.send("bob@beta.test")
			o := w.one()
			if o.Event != c.event || !strings.Contains(o.Reply, c.reply) || o.Event == Delivered && (o.TLS != "") != c.secure || o.Proven != c.proven {
				t.Errorf("%+v", o)
			}
			got := p.got()
			if (len(got) == 1) != (c.event == Delivered) || len(got) == 1 && got[0].tls != c.secure {
				t.Errorf("%+v", got)
			}
		})
	}
}

// limited is a connection whose deadline a test can see, and reach.
type limited struct {
	net.Conn
	mu       sync.Mutex
	deadline time.Time
}

func (l *limited) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	return l.Conn.SetDeadline(t)
}

// expire has the deadline come, which is to be at most limit away.
func (l *limited) expire(t *testing.T, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := time.Until(l.deadline); l.deadline.IsZero() || left > limit {
		t.Errorf("the deadline is in %v, want at most %v", left, limit)
	}
	_ = l.Conn.SetDeadline(time.Unix(1, 0))
}

// A server that does not answer STARTTLS is given up like at any command.
func TestSTARTTLSHangs(t *testing.T) {
	a := newAuthority(t)
	dialed := make(chan *limited, 1)
	w := newWorld(t, func(cfg *Config) {
		cfg.TLS, cfg.Roots, cfg.Timeouts.Command = Opportunistic, a.pool, time.Minute
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			l := &limited{Conn: nc}
			dialed <- l
			return l, nil
		}
	})
	p := w.beta(func(_ *session, stage, _ string) string {
		if stage != "STARTTLS" {
			return ""
		}
		(<-dialed).expire(t, time.Minute)
		return hang
	})
	p.tls = a.server(time.Hour, "mx.beta.test")
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Deferred || o.TLS != "" || !strings.Contains(o.Reply, "saying STARTTLS") {
		t.Errorf("%+v", o)
	}
	if n := len(p.got()); n != 0 {
		t.Errorf("the server has %d mails", n)
	}
}

// A handshake that does not end costs no more than any other step.
func TestAHandshakeThatHangs(t *testing.T) {
	a := newAuthority(t)
	for security, want := range map[Security]Event{Opportunistic: Delivered, Encrypted: Deferred} {
		released := make(chan struct{})
		config := a.server(time.Hour, "mx.beta.test")
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			<-released
			return nil, nil
		}
		w := newWorld(t, func(cfg *Config) {
			cfg.TLS, cfg.Roots, cfg.Timeouts.Connect = security, a.pool, soon
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				return dial(context.WithoutCancel(ctx), network, address) // only the handshake is late
			}
		})
		p := w.beta(nil)
		p.tls = config
		t.Cleanup(func() { close(released) })
		w.run()
		w.send("bob@beta.test")
		if o := w.one(); o.Event != want || o.TLS != "" || want == Deferred && !strings.Contains(o.Reply, "it took too long") {
			t.Errorf("%v: %+v", security, o)
		}
	}
}

func TestSmarthost(t *testing.T) {
	a := newAuthority(t)
	login := base64.StdEncoding.EncodeToString([]byte("\x00alpha\x00secret"))
	cases := []struct {
		name     string
		implicit bool
		user     string
		offers   string
		cert     string
		auth     string
		event    Event
		reply    string
	}{
		{"without a login", false, "", "", "127.0.0.1", "", Delivered, ""},
		{"PLAIN under STARTTLS", false, "alpha", "AUTH LOGIN PLAIN", "127.0.0.1", "AUTH PLAIN " + login, Delivered, ""},
		{"PLAIN under TLS", true, "alpha", "AUTH PLAIN", "127.0.0.1", "AUTH PLAIN " + login, Delivered, ""},
		{"a refused password waits", true, "alpha", "AUTH PLAIN", "127.0.0.1", "", Deferred, "535 5.7.8 wrong"},
		{"no known mechanism", true, "alpha", "AUTH GSSAPI", "127.0.0.1", "", Deferred, "4.7.0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer(t, func(s *session, stage, line string) string {
				switch {
				case stage == "AUTH" && line == c.auth:
					return "235 2.7.0 welcome"
				case stage == "AUTH":
					return "535 5.7.8 wrong"
				}
				return ""
			})
			p.tls, p.implicit = a.server(time.Hour, c.cert), c.implicit
			p.offers = append(p.offers, c.offers)
			w := newWorld(t, func(cfg *Config) {
				cfg.Roots = a.pool
				cfg.Smarthosts = []NextHop{{Host: "127.0.0.1", Port: 25, Implicit: c.implicit, User: c.user, Password: "secret"}}
			})
			w.at("127.0.0.1:25", p)
			w.run()
			w.send("bob@beta.test")
			w.send("eve@gamma.test")
			for _, o := range w.await(2) {
				if o.Event != c.event || !strings.Contains(o.Reply, c.reply) {
					t.Errorf("%+v", o)
				}
			}
		})
	}
}

// LOGIN asks for the password in a step of its own.
func TestLoginInSteps(t *testing.T) {
	word := base64.StdEncoding.EncodeToString
	p := newPeer(t, func(s *session, stage, line string) string {
		switch line {
		case "AUTH LOGIN " + word([]byte("alpha")):
			return "334 " + word([]byte("Password:"))
		case word([]byte("secret")):
			return "235 2.7.0 welcome"
		}
		return ""
	})
	p.offers = []string{"AUTH LOGIN"}
	w := newWorld(t, func(cfg *Config) {
		cfg.Smarthosts = []NextHop{{Host: "127.0.0.1", Port: 25, User: "alpha", Password: "secret"}}
	})
	w.at("127.0.0.1:25", p)
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Delivered {
		t.Errorf("%+v, after %q", o, p.heard())
	}
}

// A password never goes to a server that has not proven who it is.
func TestPasswordsAreKept(t *testing.T) {
	a := newAuthority(t)
	for name, c := range map[string]*tls.Config{"without TLS": nil, "with a wrong name": a.server(time.Hour, "other.test")} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, nil)
			p.tls = c
			p.offers = append(p.offers, "AUTH PLAIN LOGIN")
			w := newWorld(t, func(cfg *Config) {
				cfg.Roots = a.pool
				cfg.Smarthosts = []NextHop{{Host: "smart.test", Port: 25, Security: Plain, User: "alpha", Password: "secret"}}
			})
			w.dns("smart.test. A 127.0.0.7")
			w.at("127.0.0.7:25", p)
			w.run()
			w.send("bob@beta.test")
			if o := w.one(); o.Event != Deferred {
				t.Errorf("%+v", o)
			}
			for _, line := range p.heard() {
				if strings.HasPrefix(line, "AUTH") {
					t.Errorf("the server heard %q", line)
				}
			}
		})
	}
}

func tlsa(usage, selector int, cert *x509.Certificate) string {
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	sum := sha256.Sum256(data)
	return fmt.Sprintf("_25._tcp.mx.beta.test. TLSA %d %d 1 %s", usage, selector, hex.EncodeToString(sum[:]))
}

func TestDANE(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	good, expired := a.server(time.Hour, "mx.beta.test"), a.server(-time.Hour, "elsewhere.test")
	domain, other := a.server(time.Hour, "beta.test"), a.server(time.Hour, "elsewhere.test")
	cases := []struct {
		name   string
		server *tls.Config
		record string
		signed bool // the zone
		event  Event
		secure bool
	}{
		{"the server's own key", good, tlsa(3, 1, leaf(t, good)), true, Delivered, true},
		{"the server's own certificate", good, tlsa(3, 0, leaf(t, good)), true, Delivered, true},
		{"names and dates do not count for it", expired, tlsa(3, 1, leaf(t, expired)), true, Delivered, true},
		{"another key", good, tlsa(3, 1, leaf(t, other)), true, Deferred, false},
		{"an authority", good, tlsa(2, 0, a.cert), true, Delivered, true},
		{"an authority, and the domain's name", domain, tlsa(2, 1, a.cert), true, Delivered, true},
		{"an authority, and another name", other, tlsa(2, 0, a.cert), true, Deferred, false},
		{"another authority", good, tlsa(2, 0, stranger.cert), true, Deferred, false},
		{"no TLS", nil, tlsa(3, 1, leaf(t, good)), true, Deferred, false},
		{"records nobody can use ask for TLS", expired, tlsa(1, 1, leaf(t, good)), true, Delivered, true},
		{"records nobody can use, and no TLS", nil, tlsa(1, 1, leaf(t, good)), true, Deferred, false},
		{"a zone that is not signed", nil, tlsa(3, 1, leaf(t, other)), false, Delivered, false},
		{"records that cannot be asked for", good, "fail", true, Deferred, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := w.beta(nil)
			p.tls = c.server
			if c.record == "fail" {
				w.zone.Fail("_25._tcp.mx.beta.test", testdns.Servfail)
			} else {
				w.dns(c.record)
			}
			if c.signed {
				w.zone.Authenticate("beta.test", "mx.beta.test", "_25._tcp.mx.beta.test")
			}
			w.run()
			w.send("bob@beta.test")
			if o := w.one(); o.Event != c.event || o.Event == Delivered && (o.TLS != "") != c.secure {
				t.Errorf("%+v", o)
			}
			if got := p.got(); (len(got) == 1) != (c.event == Delivered) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRequireTLS(t *testing.T) {
	a := newAuthority(t)
	good := a.server(time.Hour, "mx.beta.test")
	cases := []struct {
		name   string
		server *tls.Config
		offers string
		signed bool
		event  Event
		reply  string
	}{
		{"kept", good, "REQUIRETLS", true, Delivered, ""},
		{"not offered", good, "X-NOTHING", true, Failed, "5.7.30"},
		{"the server's name is not safe", good, "REQUIRETLS", false, Failed, "says that mx.beta.test is the server of beta.test"},
		{"wrong certificate", a.server(time.Hour, "other.test"), "REQUIRETLS", true, Failed, "5.7.10"},
		{"no TLS", nil, "REQUIRETLS", true, Failed, "5.7.10"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.Roots = a.pool; cfg.PerDomain = 1 })
			p := w.beta(nil)
			p.tls = c.server
			p.offers = append(p.offers, c.offers)
			if c.signed {
				w.zone.Authenticate("beta.test", "mx.beta.test")
			}
			w.run()
			w.accept(store.Delivery{Sender: "ada@alpha.test", RequireTLS: true, Recipients: []store.Recipient{{Remote: "bob@beta.test"}}})
			if o := w.one(); o.Event != c.event || !strings.Contains(o.Reply, c.reply) {
				t.Errorf("%+v", o)
			}
			if got := p.got(); c.event == Delivered && (len(got) != 1 || !got[0].tls || !strings.Contains(got[0].from, " REQUIRETLS")) {
				t.Errorf("%+v", got)
			}
			if n := w.notices(); c.event == Failed && (len(n) != 1 || strings.Contains(n[0], "Hi.") || !strings.Contains(n[0], "text/rfc822-headers")) {
				t.Errorf("notices %q", n)
			}
			// Others are not held to it.
			w.send("eve@beta.test")
			if o := w.one(); o.Event != Delivered {
				t.Errorf("%+v", o)
			}
		})
	}
}

// RFC 8689 §5: a notice does not get lost because its way back is not as safe.
func TestNoticesNeedNoTLS(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(nil)
	w.run()
	w.accept(store.Delivery{RequireTLS: true, Recipients: []store.Recipient{{Remote: "bob@beta.test"}}})
	if o := w.one(); o.Event != Delivered {
		t.Errorf("%+v", o)
	}
}

// RFC 8689 §3: who writes "TLS-Required: No" prefers that it arrives.
func TestTLSRequiredNo(t *testing.T) {
	text := "version: STSv1\nmode: enforce\nmx: mx.gamma.test\nmax_age: 86400\n"
	client, _ := policyServer(t, &text)
	w := newWorld(t, func(cfg *Config) { cfg.NoSTS, cfg.HTTP = false, client })
	w.dns(`_mta-sts.beta.test. TXT "v=STSv1; id=1;"`)
	w.beta(nil)
	w.run()
	w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: []store.Recipient{{Remote: "bob@beta.test"}}, Body: store.Bytes("TLS-Required: No\r\n" + letter[strings.Index(letter, "From:"):])})
	if o := w.one(); o.Event != Delivered {
		t.Errorf("%+v", o)
	}
}
