package smtpd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/store"
)

// forwarding is a house whose alias away@example.test leads to ada and to
// somebody at far.test.
func forwarding(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	for _, to := range []string{"ada@example.test", "victor@far.test"} {
		if err := h.store.AddAlias(t.Context(), "away@example.test", to); err != nil {
			t.Fatal(err)
		}
	}
	h.config.Relay = true
	h.config.Rewrite = [][]byte{[]byte("a secret of thirty-two octets...")}
	return h
}

// queued is the only row of the queue, with its message.
func (h *house) queued() (store.Queued, string) {
	h.Helper()
	all, err := h.store.Queue(h.Context())
	if err != nil || len(all) != 1 {
		h.Fatalf("the queue has %d rows: %v", len(all), err)
	}
	body, err := h.store.OpenBody(h.Context(), all[0].Blob)
	if err != nil {
		h.Fatal(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		h.Fatal(err)
	}
	return all[0], string(raw)
}

func (c *client) toAlias(message string) {
	c.house.Helper()
	c.do("MAIL FROM:<hanako@author.test>", "250")
	c.do("RCPT TO:<away@example.test>", "250")
	c.do("DATA", "354")
	c.do(strings.ReplaceAll(message, "\n", "\r\n")+"\r\n.", "250")
}

func TestAliasesLeadElsewhere(t *testing.T) {
	h := forwarding(t)
	h.client().toAlias("From: hanako@author.test\nSubject: hello\n\nHello.")
	if n := len(h.mailbox("INBOX")); n != 1 {
		t.Errorf("ada has %d mails", n)
	}
	q, _ := h.queued()
	original, err := mailauth.SRS{Domain: "example.test", Secrets: h.config.Rewrite, Now: h.config.Now}.Reverse(q.Sender)
	if q.Recipient != "victor@far.test" || err != nil || original != "hanako@author.test" {
		t.Errorf("to %s from %s, which is %q, %v", q.Recipient, q.Sender, original, err)
	}
	if q.DSN.Notify != "NEVER" {
		t.Errorf("a sender nobody vouches for would get notices: %q", q.DSN.Notify)
	}
}

func TestForwardedMailIsSealedAndVouchedFor(t *testing.T) {
	h := forwarding(t)
	resolver := h.gate(mailauth.Policy{}, `author.test. TXT "v=spf1 ip4:127.0.0.1 -all"`)
	private, err := mailauth.GenerateKey(mailauth.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key := mailauth.Key{Domain: "example.test", Selector: "s", Private: private}
	h.config.Signer = &mailauth.Signer{Keys: func(domain string) []mailauth.Key {
		if domain == "example.test" {
			return []mailauth.Key{key}
		}
		return nil
	}}
	h.client().toAlias(letter)
	q, raw := h.queued()
	if q.DSN.Notify != "FAILURE" {
		t.Errorf("SPF vouches for the sender, who gets %q", q.DSN.Notify)
	}
	if strings.Count(raw, "ARC-Seal: i=1;") != 1 || strings.Count(raw, "ARC-Authentication-Results: i=1;") != 1 {
		t.Fatalf("%s", raw)
	}
	// What leaves can be verified by whoever gets it.
	zone := &mailauth.Verifier{Resolver: resolver, Hostname: "far.test"}
	got, err := zone.CheckSignatures(t.Context(), bytes.NewReader([]byte(raw)), int64(len(raw)))
	if err != nil || got.ARC.Value == mailauth.Pass {
		t.Errorf("without the key in DNS: %v %v", got.ARC.Value, err)
	}
	zone.Resolver = h.gate(mailauth.Policy{}, key.DNSRecord())
	if got, err = zone.CheckSignatures(t.Context(), bytes.NewReader([]byte(raw)), int64(len(raw))); err != nil || got.ARC.Value != mailauth.Pass {
		t.Errorf("with it: %v %v\n%s", got.ARC.Value, err, raw)
	}
}

// Junk does not leave by way of an alias: it is refused, so that nobody loses
// mail without being told.
func TestJunkIsNotForwarded(t *testing.T) {
	h := forwarding(t)
	h.gate(mailauth.Policy{DMARC: mailauth.FollowJunk}, `author.test. TXT "v=spf1 -all"`, `_dmarc.author.test. TXT "v=DMARC1; p=quarantine"`)
	c := h.client()
	c.do("MAIL FROM:<hanako@author.test>", "250")
	c.do("RCPT TO:<away@example.test>", "250")
	c.do("DATA", "354")
	if got := c.do("From: hanako@author.test\r\n\r\nBuy!\r\n.", "550 5.7.26"); !strings.Contains(got, "an alias would lead it elsewhere") {
		t.Errorf("%s", got)
	}
	if q, err := h.store.Queue(t.Context()); err != nil || len(q) != 0 || len(h.mailbox("Junk")) != 0 {
		t.Errorf("%d in the queue, %v", len(q), err)
	}
	c.deliver("From: hanako@author.test\n\nBuy!", "250") // at home it is only put aside
	if n := len(h.mailbox("Junk")); n != 1 {
		t.Errorf("%d in Junk", n)
	}
}

func TestNoticesFindTheirWayBack(t *testing.T) {
	h := forwarding(t)
	srs := mailauth.SRS{Domain: "example.test", Secrets: h.config.Rewrite, Now: h.config.Now}
	back, err := srs.Forward("hanako@author.test")
	if err != nil {
		t.Fatal(err)
	}
	second, err := srs.Forward("SRS0=abcd=ef=first.test=kim@other.test")
	if err != nil {
		t.Fatal(err)
	}
	srs.Now = func() time.Time { return h.config.Now().AddDate(0, 0, -60) }
	stale, err := srs.Forward("hanako@author.test")
	if err != nil {
		t.Fatal(err)
	}
	c := h.client()
	// It is a way for notices, and for nothing else.
	c.do("MAIL FROM:<spammer@bad.test>", "250")
	c.do("RCPT TO:<"+back+">", "550 5.1.1")
	c.do("RSET", "250")
	c.do("MAIL FROM:<>", "250")
	c.do("RCPT TO:<"+stale+">", "550 5.1.1")
	c.do("RCPT TO:<"+strings.Replace(back, "author.test", "victim.test", 1)+">", "550 5.1.1")
	c.do("RCPT TO:<"+strings.Replace(back, "@example.test", "@elsewhere.test", 1)+">", "550 5.7.1")
	c.do("RCPT TO:<"+second+">", "250")
	c.do("RSET", "250")
	c.do("MAIL FROM:<>", "250")
	c.do("RCPT TO:<"+strings.ToUpper(back[:4])+back[4:]+">", "250")
	c.do("DATA", "354")
	c.do("Subject: undelivered\r\n\r\nSorry.\r\n.", "250")
	q, _ := h.queued()
	if q.Recipient != "hanako@author.test" || q.Sender != "" || q.DSN.Notify != "NEVER" {
		t.Errorf("%+v", q)
	}
}

func TestAliasesStayAtHomeWithoutRelay(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no relay":  func(c *Config) { c.Relay = false },
		"no secret": func(c *Config) { c.Rewrite = nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := forwarding(t)
			change(&h.config)
			c := h.client()
			c.do("MAIL FROM:<hanako@author.test>", "250")
			c.do("RCPT TO:<away@example.test>", "550 5.7.1")
		})
	}
}
