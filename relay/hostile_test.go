package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// at answers text at one stage of every connection.
func at(stage, text string) func(*session, string, string) string {
	return func(_ *session, s, _ string) string {
		if s == stage {
			return text
		}
		return ""
	}
}

// TestServersThatMisbehave has a server go wrong at every step. Whatever it
// does, the mail is deferred or refused within bounds, and never counted as
// delivered.
func TestServersThatMisbehave(t *testing.T) {
	cases := []struct {
		name  string
		stage string
		text  string // what the server answers there
		event Event
		reply string // a part of it
	}{
		{"421 at connect", "CONNECT", "421 4.3.2 busy", Deferred, "421 4.3.2 busy"},
		{"554 at connect", "CONNECT", "554 5.7.1 go away", Failed, "554 5.7.1 go away"},
		{"drop at connect", "CONNECT", drop, Deferred, "waiting for its greeting"},
		{"silence at connect", "CONNECT", hang, Deferred, "it took too long"},
		{"endless greeting", "CONNECT", flood, Deferred, "too long"},
		{"endless 220", "CONNECT", raw + strings.Repeat("220-more\r\n", 1000), Deferred, "too long"},
		{"one endless line", "CONNECT", raw + "220 " + strings.Repeat("x", 1<<20), Deferred, "too long"},
		{"an octet at a time", "CONNECT", drip, Deferred, "it took too long"},
		{"no SMTP", "CONNECT", "HTTP/1.1 400 Bad Request", Deferred, "not SMTP"},
		{"SSH", "CONNECT", "SSH-2.0-OpenSSH_9", Deferred, "not SMTP"},
		{"codes that differ", "CONNECT", "220-one\r\n250 two", Deferred, "not SMTP"},
		{"everything at once", "CONNECT", raw + "220 hi\r\n250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n", Deferred, "before it was asked"},
		{"450 at EHLO", "EHLO", "450 4.3.0 later", Deferred, "450 4.3.0"},
		{"drop at EHLO", "EHLO", drop, Deferred, "saying EHLO"},
		{"endless EHLO", "EHLO", flood, Deferred, "too long"},
		{"our own name", "EHLO", "250 mail.alpha.test hello", Failed, "5.4.6"},
		{"an octet at a time at EHLO", "EHLO", drip, Deferred, "it took too long"},
		{"an octet at a time at the end", "END", drip, Deferred, "may arrive twice"},
		{"endless RCPT", "RCPT", flood, Deferred, "too long"},
		{"endless end", "END", flood, Deferred, "may arrive twice"},
		{"451 at MAIL", "MAIL", "451 4.3.0 later", Deferred, "451 4.3.0"},
		{"550 at MAIL", "MAIL", "550 5.7.1 not from you", Failed, "550 5.7.1"},
		{"421 at MAIL", "MAIL", "421 4.7.0 enough", Deferred, "421 4.7.0"},
		{"drop at MAIL", "MAIL", drop, Deferred, "starting a mail"},
		{"450 at RCPT", "RCPT", "450 4.2.0 greylisted", Deferred, "450 4.2.0"},
		{"550 at RCPT", "RCPT", "550 5.1.1 nobody", Failed, "550 5.1.1"},
		{"550 without a code", "RCPT", "550 nobody", Failed, "550 nobody"},
		{"421 at RCPT", "RCPT", "421 4.7.0 enough", Deferred, "421 4.7.0"},
		{"drop at RCPT", "RCPT", drop, Deferred, "starting a mail"},
		{"silence at RCPT", "RCPT", hang, Deferred, "it took too long"},
		{"garbage at RCPT", "RCPT", "what?", Deferred, "not SMTP"},
		{"451 at DATA", "DATA", "451 4.3.0 no", Deferred, "451 4.3.0"},
		{"554 at DATA", "DATA", "554 5.6.0 no", Failed, "554 5.6.0"},
		{"250 at DATA", "DATA", "250 what data?", Deferred, "250 what data?"},
		{"drop at DATA", "DATA", drop, Deferred, "starting a mail"},
		{"354 and the end too", "DATA", raw + "354 go\r\n250 2.0.0 taken already\r\n", Deferred, "before it was asked"},
		{"drop within the message", "BODY", drop, Deferred, "4.4.2"},
		{"451 at the end", "END", "451 4.3.0 disk full", Deferred, "451 4.3.0 disk full"},
		{"550 at the end", "END", "550 5.7.1 spam", Failed, "550 5.7.1 spam"},
		{"drop at the end", "END", drop, Deferred, "may arrive twice"},
		{"silence at the end", "END", hang, Deferred, "may arrive twice"},
		{"354 at the end", "END", "354 more?", Deferred, "354 more?"},
		{"control characters", "RCPT", "550 5.1.1 \x1b[31mred\x07\r", Failed, "5.1.1 ?[31mred?"},
	}
	for _, c := range cases {
		for _, pipelining := range []bool{true, false} {
			name := c.name
			if !pipelining {
				name += " without pipelining"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, func(config *Config) {
					if c.text == hang || c.text == drip {
						config.Timeouts = hasty(c.stage)
					}
				})
				p := w.beta(at(c.stage, c.text))
				if !pipelining {
					p.offers = []string{"8BITMIME"}
				}
				w.run()
				w.send("bob@beta.test")
				o := w.one()
				if o.Event != c.event || !strings.Contains(o.Reply, c.reply) {
					t.Errorf("%s: %q", o.Event, o.Reply)
				}
				if n := len(p.got()); n != 0 {
					t.Errorf("the server has %d mails", n)
				}
				wantQueue, wantNotices := 1, 0
				if c.event == Failed {
					wantQueue, wantNotices = 0, 1
				}
				if q, n := w.queued(), w.notices(); len(q) != wantQueue || len(n) != wantNotices {
					t.Errorf("%d in the queue, %d notices", len(q), len(n))
				}
			})
		}
	}
}

// A server that dies before it has the message does not keep it from the next.
func TestAnotherServerIsAskedWhenOneIsLost(t *testing.T) {
	for _, c := range []struct{ stage, text string }{
		{"CONNECT", drop}, {"CONNECT", "421 4.3.2 busy"}, {"CONNECT", "554 5.3.2 no mail here"}, {"EHLO", drop}, {"MAIL", drop},
		{"RCPT", "421 4.3.2 closing"}, {"DATA", drop},
	} {
		t.Run(c.stage+" "+strings.Trim(c.text, "\x00"), func(t *testing.T) {
			w := newWorld(t, nil)
			w.beta(at(c.stage, c.text))
			second := newPeer(t, nil)
			w.dns("beta.test. MX 20 mx2.beta.test.", "mx2.beta.test. A 127.0.0.3")
			w.at("127.0.0.3:25", second)
			w.run()
			w.send("bob@beta.test", "eve@beta.test")
			for _, o := range w.await(2) {
				if o.Event != Delivered || o.Host != "mx2.beta.test" {
					t.Errorf("%+v", o)
				}
			}
			if n := len(second.got()); n != 1 {
				t.Errorf("%d mails", n)
			}
		})
	}
}

// Once the message has been sent, nobody else gets it.
func TestALostConfirmationIsNotSentElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(at("END", drop))
	second := newPeer(t, nil)
	w.dns("beta.test. MX 20 mx2.beta.test.", "mx2.beta.test. A 127.0.0.3")
	w.at("127.0.0.3:25", second)
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Deferred || o.Status != "4.4.2" {
		t.Errorf("%+v", o)
	}
	if n := len(second.got()); n != 0 {
		t.Errorf("the second server has %d mails", n)
	}
}

// A server that reads a large mail very slowly, or not at all, is left.
func TestAServerThatDoesNotRead(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Timeouts = hasty("BODY") })
	p := w.beta(func(_ *session, stage, _ string) string {
		if stage == "BODY" {
			return stall
		}
		return ""
	})
	p.offers = nil
	w.run()
	w.accept(store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(letter + strings.Repeat("a line of text\r\n", 1<<20)), Recipients: to("bob@beta.test", store.DSN{})})
	if o := w.one(); o.Event != Deferred || !strings.Contains(o.Reply, "sending the message: it took too long") {
		t.Errorf("%+v", o)
	}
}

// Between two mails a server may close the connection; that is no failure.
func TestAConnectionClosedBetweenMails(t *testing.T) {
	for name, stage := range map[string]string{"after the mail": "END", "at the next": "MAIL"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.PerDomain = 1; c.Timeouts.Idle = 10 * time.Second })
			p := w.beta(func(s *session, at, _ string) string {
				switch {
				case at == "MAIL" && stage == at && s.n == 1:
					return "421 4.4.2 idle for too long"
				case at == "END" && stage == at && s.n == 1:
					return drop // which loses the second mail's confirmation
				}
				return ""
			})
			w.run()
			w.send("bob@beta.test")
			w.send("bob@beta.test")
			delivered := 0
			for _, o := range w.await(2) {
				if o.Event == Delivered {
					delivered++
				}
			}
			if want := map[string]int{"END": 1, "MAIL": 2}[stage]; delivered != want || len(p.got()) != want {
				t.Errorf("%d delivered, %d taken", delivered, len(p.got()))
			}
		})
	}
}

// RFC 5321 §4.5.3.1.10: too many recipients at once are no reason to wait.
func TestTooManyRecipientsGoInTwoTransactions(t *testing.T) {
	for _, refusal := range []string{"452 4.5.3 too many", "552 5.5.3 too many"} {
		w := newWorld(t, nil)
		p := w.beta(func(s *session, stage, _ string) string {
			if stage == "RCPT" && len(s.to) == 2 {
				return refusal
			}
			return ""
		})
		w.run()
		w.send("a@beta.test", "b@beta.test", "c@beta.test", "d@beta.test", "e@beta.test")
		for _, o := range w.await(5) {
			if o.Event != Delivered {
				t.Errorf("%+v", o)
			}
		}
		if n := len(p.got()); n != 3 {
			t.Errorf("%d transactions", n)
		}
	}
}

// A server that takes one kind of recipient never is not asked for ever.
func TestARecipientThatIsNeverTakenWaits(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(func(_ *session, _, line string) string {
		if strings.HasPrefix(line, "RCPT TO:<full@") {
			return "452 4.2.2 mailbox full"
		}
		return ""
	})
	w.run()
	w.send("bob@beta.test", "full@beta.test")
	all := w.await(2)
	if all[0].Event != Delivered || all[1].Event != Deferred || all[1].Status != "4.2.2" {
		t.Errorf("%+v", all)
	}
	if n := len(p.got()); n != 1 {
		t.Errorf("%d transactions", n)
	}
}

// RFC 5321 §3.2: a server without extensions is spoken to in plain SMTP.
func TestServersWithoutExtensions(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(at("EHLO", "502 5.5.1 what?"))
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Delivered {
		t.Errorf("%+v", o)
	}
	if got := p.got(); len(got) != 1 || got[0].from != "MAIL FROM:<ada@alpha.test>" {
		t.Errorf("%+v", got)
	}
}

// RFC 2920 §3.1: a server that wants a message for nobody gets an empty one.
func TestAPipelinedDataForNobody(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(func(_ *session, stage, _ string) string {
		switch stage {
		case "RCPT":
			return "550 5.1.1 nobody"
		case "DATA":
			return "354 go on"
		case "END":
			return "554 5.5.1 no recipients"
		}
		return ""
	})
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Failed || o.Status != "5.1.1" {
		t.Errorf("%+v", o)
	}
	if n := len(p.got()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// An address can hold no command.
func TestAddressesBecomeNoCommands(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(nil)
	w.run()
	w.accept(store.Delivery{Sender: "ada@alpha.test\r\nRCPT TO:<eve@beta.test>", Recipients: []store.Recipient{{Remote: "bob@beta.test"}}})
	if o := w.one(); o.Event != Failed {
		t.Errorf("%+v", o)
	}
	for _, c := range p.heard() {
		if strings.Contains(c, "eve@") {
			t.Errorf("the server heard %q", c)
		}
	}
}
