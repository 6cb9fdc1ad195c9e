package smtpd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/store"
)

// confirm writes notices that say what they were made of.
func (h *house) confirm(ctx context.Context, d store.Delivery, delivered, expanded []store.Recipient) (store.Delivery, bool) {
	var b strings.Builder
	b.WriteString("Subject: notice\r\n\r\n")
	for _, r := range delivered {
		fmt.Fprintf(&b, "delivered %s %s %s\r\n", r.Address, r.DSN.Original, r.DSN.EnvelopID)
	}
	for _, r := range expanded {
		fmt.Fprintf(&b, "expanded %s\r\n", r.Address)
	}
	to, err := h.store.Resolve(ctx, d.Sender)
	if err != nil {
		to = []store.Recipient{{Remote: d.Sender}}
	}
	return store.Delivery{Recipients: to, Body: store.Bytes(b.String())}, true
}

// TestArrivalIsConfirmed checks which addresses NOTIFY=SUCCESS leads to a
// notice for, and what the next server is asked for. "kim" is the sender, and
// has an account here; ada and eve have one too.
func TestArrivalIsConfirmed(t *testing.T) {
	vouched := []string{`author.test. TXT "v=spf1 ip4:127.0.0.1 -all"`}
	forged := []string{`author.test. TXT "v=spf1 -all"`}
	home := "kim@example.test"
	for _, c := range []struct {
		name, sender string
		login        bool
		dns          []string // of the gate; nil is that there is none
		change       func(*Config)
		rcpt         []string
		told         string // the notice, "" when there is none
		asked        string // NOTIFY of the mail that leaves
	}{
		{name: "a mailbox", sender: home, login: true, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Bada@example.test"},
			told: "delivered ada@example.test rfc822;old+ada@example.test QQ314159"},
		{name: "two, and a third who is not asked for", sender: home, login: true,
			rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS", "<EVE+x@example.test> NOTIFY=SUCCESS", "<kim@example.test> NOTIFY=FAILURE"},
			told: "delivered ada@example.test  QQ314159 delivered EVE+x@example.test  QQ314159"},
		{name: "twice the same", sender: home, login: true, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS", "<ada@example.test> NOTIFY=SUCCESS"},
			told: "delivered ada@example.test  QQ314159"},
		{name: "nobody has asked", sender: home, login: true, rcpt: []string{"<ada@example.test>", "<eve@example.test> NOTIFY=FAILURE,DELAY"}},
		{name: "never", sender: home, login: true, rcpt: []string{"<ada@example.test> NOTIFY=NEVER"}},
		{name: "the null sender", sender: "", login: true, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"}},
		{name: "an alias that stays here", sender: home, login: true, rcpt: []string{"<both@example.test> NOTIFY=SUCCESS"},
			told: "delivered both@example.test  QQ314159"},
		{name: "an alias that leads elsewhere too", sender: home, login: true, rcpt: []string{"<away@example.test> NOTIFY=SUCCESS,DELAY"},
			told: "expanded away@example.test", asked: "DELAY"},
		{name: "an alias that leads elsewhere too, and nothing but success", sender: home, login: true, rcpt: []string{"<away@example.test> NOTIFY=SUCCESS"},
			told: "expanded away@example.test", asked: "NEVER"},
		{name: "an alias for one elsewhere", sender: home, login: true, rcpt: []string{"<far@example.test> NOTIFY=SUCCESS,FAILURE"}, asked: "SUCCESS,FAILURE"},
		{name: "somebody elsewhere", sender: home, login: true, rcpt: []string{"<victor@far.test> NOTIFY=SUCCESS"}, asked: "SUCCESS"},
		{name: "a stranger who is vouched for", sender: "hanako@author.test", dns: vouched, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"},
			told: "delivered ada@example.test  QQ314159"},
		{name: "a stranger who is not", sender: "hanako@author.test", dns: forged, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"}},
		{name: "a stranger in our name", sender: home, dns: forged, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"}},
		// Where the alias leads is not told.
		{name: "a stranger and an alias", sender: "hanako@author.test", dns: vouched, rcpt: []string{"<far@example.test> NOTIFY=SUCCESS,FAILURE"},
			told: "delivered far@example.test  QQ314159", asked: "FAILURE"},
		{name: "a stranger who wants to hear of success only", sender: "hanako@author.test", dns: vouched, rcpt: []string{"<far@example.test> NOTIFY=SUCCESS"},
			told: "delivered far@example.test  QQ314159", asked: "NEVER"},
		{name: "a demonstration", sender: home, change: demonstration, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"},
			told: "delivered ada@example.test  QQ314159"},
		{name: "a demonstration, and a sender elsewhere", sender: "hanako@author.test", change: demonstration, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"}},
		{name: "without a relay", sender: home, login: true, change: func(c *Config) { c.Relay = false }, rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"},
			told: "delivered ada@example.test  QQ314159"},
		{name: "a sender who reads elsewhere, without a relay", sender: "kim-away@example.test", login: true, change: func(c *Config) { c.Relay = false },
			rcpt: []string{"<ada@example.test> NOTIFY=SUCCESS"}, told: "delivered ada@example.test  QQ314159"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := forwarding(t)
			h.user("eve@example.test", "secret")
			h.user(home, "secret")
			for alias, to := range map[string][]string{"both": {"ada@example.test", "eve@example.test"}, "far": {"victor@far.test"}, "kim-away": {home, "kim@far.test"}} {
				for _, to := range to {
					if err := h.store.AddAlias(t.Context(), alias+"@example.test", to); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.dns != nil {
				h.gate(mailauth.Policy{}, c.dns...)
			}
			if c.login {
				h.config.Role = Submission
			}
			if c.change != nil {
				c.change(&h.config)
			}
			k := h.client()
			if c.login {
				k.do("AUTH PLAIN AGtpbUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
			}
			k.do("MAIL FROM:<"+c.sender+"> ENVID=QQ314159", "250")
			for _, r := range c.rcpt {
				k.do("RCPT TO:"+r, "250")
			}
			k.do("DATA", "354")
			k.do("From: "+home+"\r\nSubject: hello\r\n\r\nHello.\r\n.", "250")

			told, asked := "", ""
			keep := func(raw string) {
				if text, ok := strings.CutPrefix(raw, "Subject: notice\r\n\r\n"); ok {
					told = strings.ReplaceAll(strings.TrimSpace(text), "\r\n", " ")
				}
			}
			for _, raw := range h.inbox(home) {
				keep(raw)
			}
			queue, err := h.store.Queue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queue {
				raw, err := h.store.ReadBody(t.Context(), q.Blob, 64<<10)
				if err != nil {
					t.Fatal(err)
				}
				if keep(string(raw)); !strings.HasPrefix(string(raw), "Subject: notice") {
					asked = q.DSN.Notify
				} else if !h.config.Relay {
					t.Errorf("nobody brings the notice to %s", q.Recipient)
				}
			}
			if told != c.told || asked != c.asked {
				t.Errorf("told %q, want %q; asks the next server for %q, want %q", told, c.told, asked, c.asked)
			}
		})
	}
}

func demonstration(c *Config) { c.Relay, c.LoginOnMX = false, true }

// What is promised in EHLO is kept: strangers whom we could not tell are told
// by their own server, which sees no DSN here.
func TestWhoIsOfferedDSN(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*house)
		want   bool
	}{
		"users":                    {func(h *house) { h.config.Role = Submission }, true},
		"a demonstration":          {func(h *house) { h.config.LoginOnMX = true }, true},
		"strangers, no relay":      {func(h *house) { h.gate(mailauth.Policy{}) }, false},
		"strangers, nothing asked": {func(h *house) { h.config.Relay = true }, false},
		"strangers, blocked only":  {func(h *house) { h.config.Relay, h.config.Gate = true, &mailauth.Gate{} }, false},
		"strangers":                {func(h *house) { h.config.Relay = true; h.gate(mailauth.Policy{}) }, true},
		"strangers, not judged": {func(h *house) {
			h.config.Relay = true
			h.gate(mailauth.Policy{})
			h.config.Gate.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}, false},
		"nobody writes notices": {func(h *house) { h.config.Role, h.config.Confirm = Submission, nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.user("ada@example.test", "secret")
			c.change(h)
			k := h.raw(h.open())
			k.want("220")
			if got := k.do("EHLO client.example.test", "250"); strings.Contains(got, "DSN") != c.want {
				t.Errorf("%s", got)
			}
			if h.config.Role == Submission {
				return
			}
			code := map[bool]string{true: "250", false: "555 5.5.4"}[c.want]
			k.do("MAIL FROM:<kim@far.test> ENVID=1", code)
			k.do("MAIL FROM:<kim@far.test> RET=HDRS", map[bool]string{true: "503", false: code}[c.want])
			k.do("RSET", "250")
			k.do("MAIL FROM:<kim@far.test>", "250")
			k.do("RCPT TO:<ada@example.test> NOTIFY=NEVER", code)
			k.do("RCPT TO:<ada@example.test> ORCPT=rfc822;ada", code)
			k.do("RCPT TO:<ada@example.test>", "250")
		})
	}
}

// A notice that cannot be kept does not stop the mail.
func TestTheSenderIsDeletedMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.user("kim@example.test", "secret")
	demonstration(&h.config)
	h.config.Confirm = func(ctx context.Context, d store.Delivery, delivered, expanded []store.Recipient) (store.Delivery, bool) {
		n, ok := h.confirm(ctx, d, delivered, expanded)
		n.Recipients = []store.Recipient{{User: 4711}}
		return n, ok
	}
	k := h.client()
	k.do("MAIL FROM:<kim@example.test>", "250")
	k.do("RCPT TO:<ada@example.test> NOTIFY=SUCCESS", "250")
	k.do("DATA", "354")
	k.do("Subject: hello\r\n\r\nHello.\r\n.", "250")
	if got := h.inbox("ada@example.test"); len(got) != 1 || !strings.Contains(got[0], "Hello.") {
		t.Errorf("ada has %q", got)
	}
}

func TestWordsOfNOTIFY(t *testing.T) {
	for _, c := range [][2]string{{"", ""}, {"NEVER", "NEVER"}, {"SUCCESS", "NEVER"}, {"SUCCESS,FAILURE", "FAILURE"}, {"DELAY,SUCCESS,FAILURE", "DELAY,FAILURE"}, {"FAILURE", "FAILURE"}} {
		if got := without(c[0], "SUCCESS"); got != c[1] {
			t.Errorf("NOTIFY=%s: %q, want %q", c[0], got, c[1])
		}
	}
	if wants("", "SUCCESS") || !slices.Equal([]bool{wants("FAILURE,SUCCESS", "SUCCESS"), wants("NEVER", "SUCCESS")}, []bool{true, false}) {
		t.Error("words are not found")
	}
}
