package relay

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// TestTheTapSeesNoPassword logs in at smarthosts by every mechanism that we
// know, over every kind of transport, and looks for the password in all that
// is kept. The servers are spiteful and repeat it.
func TestTheTapSeesNoPassword(t *testing.T) {
	a := newAuthority(t)
	const password = "Geheim+Wort/42"
	word := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		name     string
		offers   string
		implicit bool
		refused  bool
		commands []string // the lines of the login as they are kept
	}{
		{"PLAIN under STARTTLS", "AUTH PLAIN", false, false, []string{"C: AUTH PLAIN ••••"}},
		{"PLAIN under TLS", "AUTH PLAIN LOGIN", true, false, []string{"C: AUTH PLAIN ••••"}},
		{"PLAIN, refused", "AUTH PLAIN", true, true, []string{"C: AUTH PLAIN ••••"}},
		{"LOGIN under STARTTLS", "AUTH LOGIN", false, false, []string{"C: AUTH LOGIN ••••", "S: 334 UGFzc3dvcmQ6", "C: ••••"}},
		{"LOGIN, refused", "AUTH LOGIN", true, true, []string{"C: AUTH LOGIN ••••", "S: 334 UGFzc3dvcmQ6", "C: ••••"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer(t, func(s *session, stage, line string) string {
				spite := "you said " + password + " and " + word(password) + " and " + word("\x00alpha\x00"+password)
				switch {
				case strings.HasPrefix(line, "AUTH LOGIN"):
					return "334 " + word("Password:")
				case c.refused && (strings.HasPrefix(line, "AUTH") || line == word(password)):
					return "535 5.7.8 " + spite
				case strings.HasPrefix(line, "AUTH"), line == word(password):
					return "235 2.7.0 " + spite
				case stage == "MAIL":
					return "250 2.1.0 " + spite
				}
				return ""
			})
			p.tls, p.implicit = a.server(time.Hour, "127.0.0.1"), c.implicit
			p.offers = []string{c.offers, "PIPELINING"}
			tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
			w := newWorld(t, func(cfg *Config) {
				cfg.Roots, cfg.Tap = a.pool, tap
				cfg.Smarthosts = []NextHop{{Host: "127.0.0.1", Port: 25, Implicit: c.implicit, User: "alpha", Password: password}}
			})
			events, cancel := tap.Subscribe(wiretap.Filter{})
			defer cancel()
			w.at("127.0.0.1:25", p)
			w.run()
			w.send("bob@beta.test")
			if o := w.one(); c.refused != (o.Event == Deferred) {
				t.Fatalf("%+v, after %q", o, p.heard())
			}
			var told strings.Builder
			for e := range events {
				told.WriteString(e.Line.Text + "\n")
				if e.Ended {
					break
				}
			}
			kept := wiretap.Transcript(tap.Sessions()[0])
			for _, secret := range []string{password, word(password), word("\x00alpha\x00" + password), strings.TrimRight(word("alpha"), "=")} {
				if strings.Contains(kept, secret) || strings.Contains(told.String(), secret) {
					t.Errorf("%q is in\n%s", secret, kept)
				}
			}
			if !strings.Contains(kept, strings.Join(c.commands, "\n")) || !strings.Contains(kept, "# (TLS from here)") {
				t.Errorf("the login is not in\n%s", kept)
			}
			if !c.refused && !strings.Contains(kept, "C: RCPT TO:<bob@beta.test>") {
				t.Errorf("the mail is not in\n%s", kept)
			}
			if _, err := transcript.Parse([]byte("-- talk --\nopen smtp\n" + kept)); err != nil {
				t.Errorf("%v in\n%s", err, kept)
			}
		})
	}
}

// TestTheTapKnowsTheSender sends mail of three users over one connection.
func TestTheTapKnowsTheSender(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	w := newWorld(t, func(cfg *Config) { cfg.Tap, cfg.PerDomain, cfg.Timeouts = tap, 1, Timeouts{Idle: time.Minute} })
	release := make(chan struct{})
	p := w.beta(func(s *session, stage, line string) string {
		if stage == "CONNECT" {
			<-release // until all of them wait
		}
		return ""
	})
	yes := true
	agreed := func(address string, tap bool) {
		u, err := w.store.CreateUser(t.Context(), store.NewUser{Address: address, Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if tap {
			if _, err := w.store.UpdateUser(t.Context(), u.ID, store.UserChange{Tap: &yes}); err != nil {
				t.Fatal(err)
			}
		}
	}
	agreed("ann@alpha.test", true)
	agreed("ben@alpha.test", true)
	agreed("cy@alpha.test", false)
	if err := w.store.AddAlias(t.Context(), "both@alpha.test", "ann@alpha.test"); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddAlias(t.Context(), "both@alpha.test", "cy@alpha.test"); err != nil {
		t.Fatal(err)
	}
	senders := []string{"ann@alpha.test", "ben@alpha.test", "cy@alpha.test", "both@alpha.test", "stranger@far.test", ""}
	for _, sender := range senders {
		name := strings.TrimSuffix(strings.Split(sender+"@", "@")[0], "@")
		w.accept(store.Delivery{Sender: sender, Recipients: []store.Recipient{
			{Address: "to-" + name + "@beta.test", Remote: "to-" + name + "@beta.test"},
			{Address: "blind-" + name + "@beta.test", Remote: "blind-" + name + "@beta.test"},
		}, Body: store.Bytes("From: x@alpha.test\r\nSubject: of " + name + "\r\n\r\nbody of " + name + "\r\n")})
	}
	w.run()
	close(release)
	for _, o := range w.await(2 * len(senders)) {
		if o.Event != Delivered {
			t.Errorf("%+v", o)
		}
	}
	if n := len(p.got()); n != len(senders) {
		t.Fatalf("%d mails over %d connections", n, p.sessions)
	}
	var all []wiretap.Session
	for _, s := range tap.Sessions() {
		if s.Proto == "relay" {
			all = append(all, s)
		}
	}
	text := func(part func(wiretap.Session) wiretap.Session) (text string) {
		for _, s := range all {
			text += wiretap.Transcript(part(s))
		}
		return text
	}
	ann := text(func(s wiretap.Session) wiretap.Session { return s.For("ann@alpha.test") })
	for _, want := range []string{"C: EHLO mail.alpha.test", "MAIL FROM:<ann@alpha.test>", "RCPT TO:<blind-ann@beta.test>", "body of ann"} {
		if !strings.Contains(ann, want) {
			t.Errorf("Ann does not see %q in\n%s", want, ann)
		}
	}
	for _, other := range []string{"ben", "cy", "both", "stranger", "FROM:<>"} {
		if strings.Contains(ann, other) {
			t.Errorf("Ann sees %q in\n%s", other, ann)
		}
	}
	admin := text(func(s wiretap.Session) wiretap.Session { return s.ForAdmin("ben@alpha.test") })
	for _, want := range []string{"to-ann@", "to-ben@", "FROM:<>", "body of ben", "# (the message is its sender's)"} {
		if !strings.Contains(admin, want) {
			t.Errorf("an admin does not see %q in\n%s", want, admin)
		}
	}
	for _, hidden := range []string{"body of ann", "of cy", "to-cy", "cy@", "both@", "stranger@"} {
		if strings.Contains(admin, hidden) {
			t.Errorf("an admin sees %q in\n%s", hidden, admin)
		}
	}
}

// TestTheTapSeesNoSCRAM is about the messages of SCRAM, from which the
// password could be guessed at leisure.
func TestTheTapSeesNoSCRAM(t *testing.T) {
	a := newAuthority(t)
	for _, offers := range []string{"AUTH SCRAM-SHA-256", "AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS"} {
		for _, password := range []string{"secret", "another"} {
			peer := scramPeer{t: t, password: password, iterations: 4096}
			p := newPeer(t, peer.on)
			p.tls, p.implicit, p.offers = a.server(time.Hour, "127.0.0.1"), true, []string{offers}
			tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
			w := newWorld(t, func(cfg *Config) {
				cfg.Roots, cfg.Tap = a.pool, tap
				cfg.Smarthosts = []NextHop{{Host: "127.0.0.1", Port: 25, Implicit: true, User: "alpha", Password: "secret"}}
			})
			w.at("127.0.0.1:25", p)
			w.run()
			w.send("bob@beta.test")
			w.one()
			kept := wiretap.Transcript(tap.Sessions()[0])
			if !strings.Contains(kept, "C: AUTH SCRAM-SHA-256") || !strings.Contains(kept, "S: 334 ••••") {
				t.Errorf("there was no SCRAM in\n%s", kept)
			}
			for _, line := range p.heard() {
				for _, word := range strings.Fields(line) {
					if b, err := base64.StdEncoding.DecodeString(word); err == nil && strings.Contains(string(b), "=") && strings.Contains(kept, word) {
						t.Errorf("%q, which is %q, is in\n%s", word, b, kept)
					}
				}
			}
		}
	}
}
