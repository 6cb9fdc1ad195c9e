package smtpd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/internal/testdns"
	"github.com/yubin-mail/yubin/store"
)

// gate gives the server a gate that asks a DNS server with these records.
func (h *house) gate(p mailauth.Policy, records ...string) resolve.Net {
	h.Helper()
	zone, err := testdns.New(records...)
	if err != nil {
		h.Fatal(err)
	}
	server, err := testdns.Start(zone)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { server.Close() })
	resolver := resolve.Net{DNS: &resolve.DNS{Servers: []string{server.Addr}}}
	h.config.Gate = &mailauth.Gate{
		Verifier: &mailauth.Verifier{Resolver: resolver, Hostname: "mx.example.test"},
		Policy:   func(string) mailauth.Policy { return p },
	}
	return resolver
}

// mailbox is every message in one of ada's mailboxes.
func (h *house) mailbox(name string) (raw []string) {
	h.Helper()
	u, err := h.store.UserByAddress(h.Context(), "ada@example.test")
	if err != nil {
		h.Fatal(err)
	}
	m, err := h.store.Mailbox(h.Context(), u.ID, name)
	if err != nil {
		h.Fatal(err)
	}
	return h.messages(m.ID)
}

// deliver sends a message from somebody else's server.
func (c *client) deliver(message, code string) string {
	c.house.Helper()
	c.do("MAIL FROM:<hanako@author.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	return c.do(strings.ReplaceAll(message, "\n", "\r\n")+"\r\n.", code)
}

const letter = "Authentication-Results: mx.example.test; dmarc=pass\nFrom: hanako@author.test\nAuthentication-Results: other.test; spf=pass\nSubject: hello\n\nHello."

// signing is a house where ada may log in and the mail of example.test is signed.
func signing(t *testing.T) (*house, mailauth.Key) {
	t.Helper()
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.config.LoginOnMX = true
	private, err := mailauth.GenerateKey(mailauth.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key := mailauth.Key{Domain: "example.test", Selector: "s", Private: private}
	h.config.Signer = &mailauth.Signer{Keys: func(d string) []mailauth.Key {
		if d != key.Domain {
			return nil
		}
		return []mailauth.Key{key}
	}}
	return h, key
}

// submit sends ada a message that she has written herself.
func (h *house) submit(message string) {
	h.Helper()
	c := h.client()
	c.do("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
	c.do("MAIL FROM:<ada@example.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	c.do(message+".", "250")
}

func TestResultsAreWritten(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.gate(mailauth.Policy{DMARC: mailauth.Follow, SPF: mailauth.Refuse},
		`author.test. TXT "v=spf1 ip4:127.0.0.1 -all"`, `_dmarc.author.test. TXT "v=DMARC1; p=reject"`)
	h.client().deliver(letter, "250")
	raw := h.mailbox("INBOX")[0]
	trace, own, ok := strings.Cut(raw, "Authentication-Results: mx.example.test;")
	if !ok || !strings.Contains(trace, "Return-Path:") || !strings.Contains(trace, "Received:") || !strings.Contains(own, "spf=pass smtp.mailfrom=hanako@author.test") || !strings.Contains(own, "dmarc=pass header.from=author.test (p=reject)") {
		t.Errorf("%s", raw)
	}
	if strings.Count(raw, "mx.example.test; dmarc=pass") > 0 || !strings.HasSuffix(raw, "\r\nFrom: hanako@author.test\r\nAuthentication-Results: other.test; spf=pass\r\nSubject: hello\r\n\r\nHello.\r\n") {
		t.Errorf("forged results: %s", raw)
	}
}

// What bears our name is ours, whoever sends it and whether or not we look.
func TestNobodyWritesResultsInOurName(t *testing.T) {
	h, key := signing(t)
	h.client().deliver(letter, "250") // nobody looks
	h.submit("From: ada@example.test\r\nAuthentication-Results: MX.example.test (x);\r\n dmarc=pass\r\nSubject: me\r\n\r\nHello.\r\n")
	for i, raw := range h.mailbox("INBOX") {
		if strings.Contains(raw, "dmarc=pass") || !strings.Contains(raw, "From: ") || !strings.HasSuffix(raw, "\r\n\r\nHello.\r\n") {
			t.Errorf("%d: %s", i, raw)
		}
	}
	// The signature is over what is kept.
	raw := []byte(h.mailbox("INBOX")[1])
	v := &mailauth.Verifier{Resolver: h.gate(mailauth.Policy{}, key.DNSRecord()), Hostname: "far.test"}
	r, err := v.CheckSignatures(t.Context(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil || len(r.DKIM) != 1 || r.DKIM[0].Value != mailauth.Pass {
		t.Errorf("%+v %v", r.DKIM, err)
	}
}

// A first line that begins with a blank would continue what we write above it.
func TestOurResultsAreNotContinued(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.gate(mailauth.Policy{}, `author.test. TXT "v=spf1 -all"`)
	for i, sent := range []string{
		"\t; dmarc=pass header.from=bank.test\nFrom: hanako@author.test\n\nHello.",
		"Authentication-Results: mx.example.test;\n spf=pass\n ; dmarc=pass header.from=bank.test\nFrom: hanako@author.test\n\nHello.",
		" \nAuthentication-Results: mx.example.test; dmarc=pass header.from=bank.test\nFrom: hanako@author.test\n\nHello.",
	} {
		h.client().deliver(sent, "250")
		raw := h.mailbox("INBOX")[i]
		header, _, _ := strings.Cut(raw, "\r\n\r\n")
		results := message.Field([]byte(header+"\r\n\r\n"), "Authentication-Results")
		if len(results) != 1 || !strings.Contains(results[0], "spf=fail") || strings.Contains(results[0], "bank.test") {
			t.Errorf("%q in %s", results, raw)
		}
		if trace := message.Field([]byte(header+"\r\n\r\n"), "Received"); len(trace) != 1 || strings.Contains(trace[0], "bank.test") {
			t.Errorf("%q", trace)
		}
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.gate(mailauth.Policy{DMARC: mailauth.Follow}, `author.test. TXT "v=spf1 -all"`, `_dmarc.author.test. TXT "v=DMARC1; p=reject"`)
	got := h.client().deliver(letter, "550")
	if !strings.HasPrefix(got, "550 5.7.26 author.test asks for rejection") {
		t.Errorf("%s", got)
	}
	if n := len(h.mailbox("INBOX")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestJunkGoesToJunk(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.gate(mailauth.Policy{DMARC: mailauth.Follow}, `author.test. TXT "v=spf1 -all"`, `_dmarc.author.test. TXT "v=DMARC1; p=quarantine"`)
	h.client().deliver(letter, "250")
	if in, junk := len(h.mailbox("INBOX")), len(h.mailbox("Junk")); in != 0 || junk != 1 {
		t.Errorf("%d in INBOX, %d in Junk", in, junk)
	}
}

func TestDNSThatIsDownDefers(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	resolver := h.gate(mailauth.Policy{SPF: mailauth.Refuse})
	resolver.DNS.Servers = []string{"127.0.0.1:0"} // where nobody can be
	if got := h.client().deliver(letter, "451"); !strings.HasPrefix(got, "451 4.7.24 ") {
		t.Errorf("%s", got)
	}
}

func TestNewcomersComeAgain(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.config.Gate = &mailauth.Gate{Greylist: &mailauth.Greylist{Newcomers: new(store.Memory), Known: new(store.Memory), Now: func() time.Time { return now }}}
	c := h.client()
	c.do("MAIL FROM:<hanako@author.test>", "250")
	if got := c.do("RCPT TO:<ada@example.test>", "451"); !strings.HasPrefix(got, "451 4.7.1 ") {
		t.Errorf("%s", got)
	}
	c.do("RSET", "250")
	now = now.Add(5 * time.Minute)
	c.deliver(letter, "250")
	// RFC 8601 §5: what claims to be ours goes, whether we have checked or not.
	_, honest, _ := strings.Cut(strings.ReplaceAll(letter, "\n", "\r\n"), "\r\n")
	if raw := h.mailbox("INBOX")[0]; !strings.HasSuffix(raw, "\r\n"+honest+"\r\n") || strings.Contains(raw, "dmarc=pass") {
		t.Errorf("without a verifier: %s", raw)
	}
}

// TestUsersMailIsSigned delivers what a user has sent as if it had come from
// elsewhere.
func TestUsersMailIsSigned(t *testing.T) {
	h, key := signing(t)
	h.gate(mailauth.Policy{DKIM: mailauth.Refuse, DMARC: mailauth.Follow}, key.DNSRecord(), `_dmarc.example.test. TXT "v=DMARC1; p=reject"`)
	h.submit("From: ada@example.test\r\nSubject: signed\r\n\r\nHello.\r\n")
	sent := h.mailbox("INBOX")[0]
	if strings.Contains(sent, "Authentication-Results") {
		t.Errorf("a user's mail was judged: %s", sent)
	}
	_, signed, ok := strings.Cut(sent, "DKIM-Signature:")
	if !ok || !strings.Contains(signed, "\r\nMessage-ID:") {
		t.Fatalf("not signed: %s", sent)
	}
	message := strings.ReplaceAll(strings.TrimSuffix("DKIM-Signature:"+signed, "\r\n"), "\r\n", "\n")
	h.client().deliver(message, "250")
	if raw := h.mailbox("INBOX")[1]; !strings.Contains(raw, "dkim=pass header.d=example.test") || !strings.Contains(raw, "dmarc=pass") {
		t.Errorf("%s", raw)
	}
	h.client().deliver(strings.Replace(message, "Hello", "Hullo", 1), "550")
}

func TestSubmissionHasAnAllowance(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.config.Role, h.config.Relay, h.config.PlaintextOK = Submission, true, true
	h.config.Allowance = &auth.Allowance{UserHour: 1}
	c := h.client()
	c.do("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
	c.do("MAIL FROM:<ada@example.test>", "250")
	c.do("RCPT TO:<victor@far.test>", "250")
	c.do("RCPT TO:<kim@far.test>", "452 4.7.28 You have written to 1 recipient elsewhere")
	c.do("RCPT TO:<ada@example.test>", "250") // at home there is no limit
}
