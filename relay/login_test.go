package relay

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// scramPeer checks logins by SCRAM for the account alpha with a password.
type scramPeer struct {
	t            *testing.T
	password     string
	iterations   int
	lie          bool // says yes without a proof of its own
	conversation *scram.ServerConversation
	done         bool
}

func (p *scramPeer) on(s *session, stage, line string) string {
	encoded := line
	if rest, ok := strings.CutPrefix(line, "AUTH "); ok {
		name, first, _ := strings.Cut(rest, " ")
		encoded = first
		p.begin(s, name)
	} else if p.conversation == nil || stage != strings.ToUpper(line) { // one word, of a login
		return ""
	}
	switch {
	case p.done:
		p.conversation = nil
		return "235 2.7.0 welcome"
	case encoded == "*":
		p.conversation = nil
		return "501 5.7.0 cancelled"
	}
	message, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		p.t.Error(err)
	}
	next, err := p.conversation.Step(string(message))
	if err != nil {
		p.conversation = nil
		return "535 5.7.8 wrong"
	}
	p.done = p.conversation.Done()
	if p.done && p.lie {
		p.conversation = nil
		return "235 2.7.0 welcome"
	}
	return "334 " + base64.StdEncoding.EncodeToString([]byte(next))
}

func (p *scramPeer) begin(s *session, name string) {
	client, err := scram.SHA256.NewClient("alpha", p.password, "")
	if err != nil {
		p.t.Fatal(err)
	}
	credentials, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: p.iterations})
	if err != nil {
		p.t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return credentials, nil })
	if err != nil {
		p.t.Fatal(err)
	}
	p.conversation, p.done = server.NewConversation(), false
	if name == "SCRAM-SHA-256-PLUS" {
		state := s.Conn.(*tls.Conn).ConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			p.t.Error(err)
		}
		p.conversation = server.NewConversationWithChannelBindingRequired(binding)
	}
}

func TestSCRAM(t *testing.T) {
	a := newAuthority(t)
	const both = "AUTH PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS"
	cases := []struct {
		name, offers string
		peer         scramPeer
		version      uint16
		mechanism    string
		event        Event
		reply        string
	}{
		{"bound to TLS", both, scramPeer{password: "secret", iterations: 4096}, tls.VersionTLS13, "SCRAM-SHA-256-PLUS", Delivered, ""},
		{"not bound before TLS 1.3", both, scramPeer{password: "secret", iterations: 4096}, tls.VersionTLS12, "SCRAM-SHA-256", Delivered, ""},
		{"not bound where it is not offered", "AUTH PLAIN SCRAM-SHA-256", scramPeer{password: "secret", iterations: 4096}, tls.VersionTLS13, "SCRAM-SHA-256", Delivered, ""},
		{"another password", both, scramPeer{password: "other", iterations: 4096}, tls.VersionTLS13, "SCRAM-SHA-256-PLUS", Deferred, "535 5.7.8 wrong"},
		{"a server that proves nothing", both, scramPeer{password: "secret", iterations: 4096, lie: true}, tls.VersionTLS13, "SCRAM-SHA-256-PLUS", Deferred, "has not proven"},
		{"too little work", both, scramPeer{password: "secret", iterations: 1000}, tls.VersionTLS13, "SCRAM-SHA-256-PLUS", Deferred, "501"},
		{"too much work", both, scramPeer{password: "secret", iterations: 1000000}, tls.VersionTLS13, "SCRAM-SHA-256-PLUS", Deferred, "501"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.peer.t = t
			p := newPeer(t, c.peer.on)
			p.tls, p.implicit = a.server(time.Hour, "127.0.0.1"), true
			p.tls.MaxVersion = c.version
			p.offers = append(p.offers, c.offers)
			w := newWorld(t, func(cfg *Config) {
				cfg.Roots = a.pool
				cfg.Smarthosts = []NextHop{{Host: "127.0.0.1", Port: 25, Implicit: true, User: "alpha", Password: "secret"}}
			})
			w.at("127.0.0.1:25", p)
			w.run()
			w.send("bob@beta.test")
			if o := w.one(); o.Event != c.event || !strings.Contains(o.Reply, c.reply) {
				t.Errorf("%+v, after %q", o, p.heard())
			}
			said := strings.Join(p.heard(), "\n")
			if !strings.Contains(said, "AUTH "+c.mechanism+" ") || strings.Contains(said, base64.StdEncoding.EncodeToString([]byte("secret"))) {
				t.Errorf("heard %q", said)
			}
		})
	}
}
