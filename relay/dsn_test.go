package relay

import (
	"encoding/base64"
	"mime"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	jis "golang.org/x/text/encoding/japanese"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// refuser is a peer that knows nobody.
func refuser(_ *session, stage, _ string) string {
	if stage == "RCPT" {
		return "550 5.1.1 there is no such user"
	}
	return ""
}

// fail sends d, which must fail, and returns the notice in its parts.
func (w *world) fail(d store.Delivery) (raw string, s *message.Summary) {
	w.t.Helper()
	w.beta(refuser)
	w.run()
	w.accept(d)
	if o := w.one(); o.Event != Failed {
		w.t.Fatalf("%+v", o)
	}
	n := w.notices()
	if len(n) != 1 {
		w.t.Fatalf("%d notices", len(n))
	}
	s, err := message.Summarize(strings.NewReader(n[0]))
	if err != nil {
		w.t.Fatal(err)
	}
	return n[0], s
}

func to(address string, d store.DSN) []store.Recipient {
	return []store.Recipient{{Address: address, Remote: address, DSN: d}}
}

func TestFailureNotice(t *testing.T) {
	w := newWorld(t, nil)
	raw, s := w.fail(store.Delivery{Sender: "ada@alpha.test",
		Recipients: to("bob@beta.test", store.DSN{Notify: "FAILURE", Original: "rfc822;Bob@old.test", EnvelopID: "QQ314159"})})
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"To": "<ada@alpha.test>", "From": "Mail Delivery System <MAILER-DAEMON@mail.alpha.test>", "Subject": "Undelivered mail: Hello",
		"Auto-Submitted": "auto-replied", "In-Reply-To": "<1@alpha.test>", "References": "<1@alpha.test>", "Date": "Mon, 23 Nov 2026 09:00:00 +0000",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || len(s.Root.Children) != 3 {
		t.Fatalf("%s %v %v, %d parts", kind, params, err, len(s.Root.Children))
	}
	words, status, returned := s.Root.Children[0], s.Root.Children[1], s.Root.Children[2]
	if got := text(words, raw); !strings.Contains(got, "There is no such address.") || !strings.Contains(got, "<bob@beta.test>") ||
		!strings.Contains(got, "The server mx.beta.test said: 550 5.1.1 there is no such user") || !strings.Contains(got, "Subject: Hello") {
		t.Errorf("words: %s", got)
	}
	want := strings.ReplaceAll(`Reporting-MTA: dns; mail.alpha.test
Original-Envelope-Id: QQ314159
Arrival-Date: Mon, 23 Nov 2026 09:00:00 +0000

Original-Recipient: rfc822; Bob@old.test
Final-Recipient: rfc822; bob@beta.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.beta.test
Diagnostic-Code: smtp; 550 5.1.1 there is no such user
Last-Attempt-Date: Mon, 23 Nov 2026 09:00:00 +0000
`, "\n", "\r\n")
	created := w.clock.Now().Format("Mon, 2 Jan 2006 15:04:05 -0700")
	if got := text(status, raw); status.Subtype != "delivery-status" || strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("status at %s: %s", created, got)
	}
	if got := text(returned, raw); returned.Type != "message" || returned.Subtype != "rfc822" || strings.TrimRight(got, "\r\n") != strings.TrimRight(letter[strings.Index(letter, "Received:"):], "\r\n") {
		t.Errorf("returned: %q", got)
	}
}

// RFC 3464 §2.1: what programs read is ASCII, though a server's words and what
// a sender wants to hear again may not be; people see them.
func TestStatusIsASCII(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(func(_ *session, stage, _ string) string {
		if stage == "RCPT" {
			return "550 5.1.1 宛先不明"
		}
		return ""
	})
	w.run()
	w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test", store.DSN{EnvelopID: "é"})})
	w.one()
	raw := w.notices()[0]
	s, err := message.Summarize(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	part := s.Root.Children[1]
	if got := text(part, raw); !isASCII(got) || part.Encoding != "" || part.Subtype != "delivery-status" || !strings.Contains(got, "Diagnostic-Code: smtp; 550 5.1.1 ????\r\n") ||
		!strings.Contains(got, "Original-Envelope-Id: ?\r\n") {
		t.Errorf("%s: %s", part.Encoding, got)
	}
	if words := text(s.Root.Children[0], raw); !strings.Contains(words, "550 5.1.1 宛先不明") {
		t.Errorf("%s", words)
	}
}

func TestReturnedParts(t *testing.T) {
	large := letter + strings.Repeat("A line of a mail that is large.\r\n", 5000)
	huge := letter + strings.Repeat("A line of a mail that is large.\r\n", 50000)
	for _, c := range []struct {
		name, ret, body string
		whole           bool
	}{
		{"small", "", letter, true},
		{"small, whole", "FULL", letter, true},
		{"small, header", "HDRS", letter, false},
		{"large", "", large, false},
		{"large, whole", "FULL", large, true},
		{"huge, whole", "FULL", huge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			raw, s := w.fail(store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(c.body), Recipients: to("bob@beta.test", store.DSN{Return: c.ret})})
			kind := s.Root.Children[2].Type + "/" + s.Root.Children[2].Subtype
			if want := map[bool]string{true: "message/rfc822", false: "text/rfc822-headers"}[c.whole]; kind != want {
				t.Errorf("%s, want %s", kind, want)
			}
			if strings.Contains(text(s.Root.Children[2], raw), "\r\nHi.") != c.whole {
				t.Error("the wrong part is returned")
			}
		})
	}
}

// When the sender's mail is Japanese, the notice is too, and still English.
func TestNoticesInJapanese(t *testing.T) {
	inJIS, err := jis.ISO2022JP.NewEncoder().String("こんにちは。")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"subject":     "From: ada@alpha.test\r\nSubject: =?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte("会議のお知らせ")) + "?=\r\n\r\nHello.\r\n",
		"text":        "From: ada@alpha.test\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nこんにちは。\r\n",
		"ISO-2022-JP": "From: ada@alpha.test\r\nSubject: x\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + inJIS + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			raw, s := w.fail(store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(body), Recipients: to("bob@beta.test", store.DSN{})})
			got := text(s.Root.Children[0], raw)
			for _, want := range []string{"この宛先は存在しません。", "There is no such address.", "550 5.1.1 there is no such user", "添付します", "is attached"} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in %s", want, got)
				}
			}
			if subject := message.DecodeHeader(s.Envelope.Subject); !strings.HasPrefix(subject, "配信できませんでした: ") {
				t.Errorf("subject %q", subject)
			}
			for line := range strings.Lines(raw[:strings.Index(raw, "\r\n\r\n")]) {
				if len(line) > 100 {
					t.Errorf("a long header line: %q", line)
				}
			}
		})
	}
	w := newWorld(t, nil)
	raw, s := w.fail(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test", store.DSN{})})
	if got := text(s.Root.Children[0], raw); !isASCII(got) {
		t.Errorf("an English mail has a notice with more than English: %s", got)
	}
}

// Both tongues have words for the same things.
func TestLanguagesSayTheSame(t *testing.T) {
	inJapanese := languageOf(true).reasons
	for detail := range languageOf(false).reasons {
		if inJapanese[detail] == "" {
			t.Errorf("no Japanese for %q", detail)
		}
	}
}

func TestWhoWantsWhichNotice(t *testing.T) {
	for _, c := range []struct {
		sender, notify, kind string
		want                 bool
	}{
		{"a@b", "", "FAILURE", true}, {"a@b", "", "DELAY", true}, {"a@b", "", "SUCCESS", false},
		{"a@b", "NEVER", "FAILURE", false}, {"a@b", "NEVER", "DELAY", false},
		{"a@b", "SUCCESS,DELAY", "FAILURE", false}, {"a@b", "success,delay", "DELAY", true}, {"a@b", "SUCCESS", "SUCCESS", true},
		{"", "", "FAILURE", false}, {"", "SUCCESS,FAILURE,DELAY", "FAILURE", false},
	} {
		r := recipient{Queued: store.Queued{Sender: c.sender, DSN: store.DSN{Notify: c.notify}}}
		if got := r.wants(c.kind); got != c.want {
			t.Errorf("<%s> NOTIFY=%s %s: %v", c.sender, c.notify, c.kind, got)
		}
	}
}

func TestNobodyIsToldOfAFailedNotice(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(refuser)
	w.run()
	w.accept(store.Delivery{Recipients: to("bob@beta.test", store.DSN{})})
	if o := w.one(); o.Event != Failed {
		t.Errorf("%+v", o)
	}
	w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test", store.DSN{Notify: "NEVER"})})
	w.one()
	if n := w.notices(); len(n) != 0 || len(w.queued()) != 0 {
		t.Errorf("notices %q, queue %+v", n, w.queued())
	}
}

// A sender who is gone, or never was, gets nothing and stops nothing.
func TestTheSenderIsGone(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(refuser)
	w.run()
	w.accept(store.Delivery{Sender: "nobody@alpha.test", Recipients: to("bob@beta.test", store.DSN{})})
	if o := w.one(); o.Event != Failed || len(w.queued()) != 0 {
		t.Errorf("%+v, %d left", o, len(w.queued()))
	}
}

// Mail that an alias led elsewhere fails: its sender may be forged and is not
// told, but the postmaster of the alias is.
func TestThePostmasterHearsOfForwardsThatFail(t *testing.T) {
	w := newWorld(t, nil)
	w.relay.Notices.Original = func(address string) (string, bool) { return "gus@gamma.test", address == "srs0=x@alpha.test" }
	w.beta(refuser)
	w.run()
	w.accept(store.Delivery{Sender: "srs0=x@alpha.test", Recipients: to("bob@beta.test", store.DSN{Notify: "NEVER"})})
	if o := w.one(); o.Event != Failed {
		t.Errorf("%+v", o)
	}
	n := w.notices() // ada is the postmaster
	if len(n) != 1 || len(w.queued()) != 0 {
		t.Fatalf("notices %q, queue %+v", n, w.queued())
	}
	for want, there := range map[string]bool{"To: <postmaster@alpha.test>": true, "Its sender, <gus@gamma.test>, has not been told": true,
		"Final-Recipient: rfc822; bob@beta.test": true, "text/rfc822-headers": true, "Your message": false, "message/rfc822\r\n": false} {
		if strings.Contains(n[0], want) != there {
			t.Errorf("%q: want %v in\n%s", want, there, n[0])
		}
	}
}

// A sender elsewhere is told by mail that is queued itself, and does not see
// the address into which an alias has rewritten his.
func TestSendersElsewhereAreTold(t *testing.T) {
	for _, sender := range []string{"Gus@gamma.test", "srs0=x@alpha.test"} {
		w := newWorld(t, nil)
		w.relay.Notices.Original = func(address string) (string, bool) { return "Gus@gamma.test", address == "srs0=x@alpha.test" }
		w.beta(refuser)
		p := newPeer(t, nil)
		w.dns("gamma.test. MX 10 mx.gamma.test.", "mx.gamma.test. A 127.0.0.5")
		w.at("127.0.0.5:25", p)
		w.run()
		w.accept(store.Delivery{Sender: sender, Recipients: to("bob@beta.test", store.DSN{})})
		all := w.await(2)
		if all[0].Recipient != "Gus@gamma.test" || all[0].Event != Delivered || all[0].Sender != "" {
			t.Errorf("%+v", all)
		}
		if got := p.got(); len(got) != 1 || !strings.HasPrefix(got[0].from, "MAIL FROM:<>") || strings.Contains(got[0].text, "Return-Path") ||
			!strings.Contains(got[0].text, "\r\nTo: <Gus@gamma.test>\r\n") {
			t.Errorf("%+v", got)
		}
	}
}

func TestNoticesAreRationed(t *testing.T) {
	w := newWorld(t, nil)
	w.relay.Notices.PerHour = 1
	w.beta(refuser)
	w.run()
	for range generous + 5 {
		w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test", store.DSN{})})
	}
	w.await(generous + 5)
	if n := len(w.notices()); n != generous {
		t.Errorf("%d notices", n)
	}
	w.clock.Advance(time.Hour)
	w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test", store.DSN{})})
	w.await(1)
	if n := len(w.notices()); n != generous+1 {
		t.Errorf("%d notices an hour later", n)
	}
	var r rationing
	given := 0
	for _, sender := range []string{"a", "a", "a", "b"} {
		if r.take(sender, false, 2, start) {
			given++
		}
	}
	for range 1000 {
		if r.take(message.NewMessageID("x"), false, 2, start) {
			given++
		}
	}
	if given > 2*generous {
		t.Errorf("%d notices to others", given)
	}
}

// SUCCESS is passed on, or answered by us where the next server cannot.
func TestSuccess(t *testing.T) {
	for name, offers := range map[string][]string{"passed on": {"DSN"}, "relayed": {"PIPELINING"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := w.beta(nil)
			p.offers = offers
			w.run()
			w.accept(store.Delivery{Sender: "ada@alpha.test", Recipients: to("bob@beta.test",
				store.DSN{Notify: "SUCCESS,FAILURE", Original: "rfc822;bob+x@beta.test", Return: "HDRS", EnvelopID: "a b=c"})})
			w.one()
			n, got := w.notices(), p.got()
			if name == "passed on" {
				if len(n) != 0 || got[0].from != "MAIL FROM:<ada@alpha.test> RET=HDRS ENVID=a+20b+3Dc" ||
					got[0].to[0] != "RCPT TO:<bob@beta.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+2Bx@beta.test" {
					t.Errorf("%+v, %q", got, n)
				}
				return
			}
			if len(n) != 1 || !strings.Contains(n[0], "Action: relayed\r\nStatus: 2.0.0") || strings.Contains(n[0], "message/rfc822") ||
				!strings.Contains(n[0], "handed over") || !strings.Contains(n[0], "250 2.0.0 taken") {
				t.Errorf("%q", n)
			}
		})
	}
}

func TestAddressesBeyondASCIIInNotices(t *testing.T) {
	w := newWorld(t, nil)
	raw, s := w.fail(store.Delivery{Sender: "ada@alpha.test", UTF8: true, Recipients: to("郵便@beta.test", store.DSN{})})
	status := s.Root.Children[1]
	if !strings.Contains(raw, "report-type=global-delivery-status") || status.Subtype != "global-delivery-status" ||
		!strings.Contains(text(status, raw), "Final-Recipient: utf-8; 郵便@beta.test") {
		t.Error(raw)
	}
}
