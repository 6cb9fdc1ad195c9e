package relay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// arrive has a mail confirmed for some addresses, and returns the notice in
// its parts; it is kept together with the mail.
func (w *world) arrive(d store.Delivery, delivered, expanded []store.Recipient) (raw string, s *message.Summary) {
	w.t.Helper()
	if d.Body == nil {
		d.Body = store.Bytes(letter)
	}
	n, ok := w.relay.Notices.Delivered(w.t.Context(), d, delivered, expanded)
	if !ok {
		w.t.Fatal("there is no notice")
	}
	d.Recipients = []store.Recipient{{Address: "bob@alpha.test", User: w.bob().ID}}
	if _, err := w.store.Accept(w.t.Context(), d, n); err != nil {
		w.t.Fatal(err)
	}
	all := w.notices()
	if len(all) != 1 {
		w.t.Fatalf("%d notices", len(all))
	}
	if s, err := message.Summarize(strings.NewReader(all[0])); err == nil {
		return all[0], s
	} else {
		w.t.Fatal(err)
	}
	return
}

// bob is ada's neighbour.
func (w *world) bob() store.User {
	w.t.Helper()
	u, err := w.store.CreateUser(w.t.Context(), store.NewUser{Address: "bob@alpha.test", Password: "secret"})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func TestDeliveredNotice(t *testing.T) {
	w := newWorld(t, nil)
	raw, s := w.arrive(store.Delivery{Sender: "ada@alpha.test"},
		[]store.Recipient{{Address: "Bob+x@alpha.test", DSN: store.DSN{Notify: "SUCCESS", Original: "rfc822;bob@old.test", EnvelopID: "QQ314159", Return: "HDRS"}},
			{Address: "kim@alpha.test", DSN: store.DSN{Notify: "SUCCESS"}}},
		[]store.Recipient{{Address: "staff@alpha.test", DSN: store.DSN{Notify: "SUCCESS"}}})
	for _, want := range []string{"Return-Path: <>\r\n", "To: <ada@alpha.test>\r\n", "Subject: Mail delivered: Hello\r\n", "In-Reply-To: <1@alpha.test>\r\n", "report-type=delivery-status"} {
		if !strings.Contains(raw, want) {
			t.Errorf("%q is missing in\n%s", want, raw)
		}
	}
	words := text(s.Root.Children[0], raw)
	for want, there := range map[string]bool{"has been delivered": true, "<Bob+x@alpha.test>\r\n\r\n<kim@alpha.test>\r\n\r\n<staff@alpha.test>\r\n    This address stands for several": true,
		"Subject: Hello": true, "The header of your message is attached.": true, "server": false, "tried": false} {
		if strings.Contains(words, want) != there {
			t.Errorf("%q: want %v in\n%s", want, there, words)
		}
	}
	want := strings.ReplaceAll(`Reporting-MTA: dns; mail.alpha.test
Original-Envelope-Id: QQ314159
Arrival-Date: Mon, 23 Nov 2026 09:00:00 +0000

Original-Recipient: rfc822; bob@old.test
Final-Recipient: rfc822; Bob+x@alpha.test
Action: delivered
Status: 2.1.5
Last-Attempt-Date: Mon, 23 Nov 2026 09:00:00 +0000

Final-Recipient: rfc822; kim@alpha.test
Action: delivered
Status: 2.1.5
Last-Attempt-Date: Mon, 23 Nov 2026 09:00:00 +0000

Final-Recipient: rfc822; staff@alpha.test
Action: expanded
Status: 2.1.5
Last-Attempt-Date: Mon, 23 Nov 2026 09:00:00 +0000
`, "\n", "\r\n")
	if got := text(s.Root.Children[1], raw); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("status: %s", got)
	}
}

func TestDeliveredNoticeInJapanese(t *testing.T) {
	w := newWorld(t, nil)
	body := store.Bytes("Return-Path: <ada@alpha.test>\r\nFrom: ada@alpha.test\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.Repeat("こんにちは。\r\n", 20000)) // more than is read
	raw, s := w.arrive(store.Delivery{Sender: "ada@alpha.test", Body: body}, to("bob@alpha.test", store.DSN{}), to("staff@alpha.test", store.DSN{}))
	words := text(s.Root.Children[0], raw)
	for _, want := range []string{"配信されました。", "複数の宛先をまとめたもの", "ヘッダーを添付します", "has been delivered", "stands for several"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is missing in %s", want, words)
		}
	}
	if subject := message.DecodeHeader(s.Envelope.Subject); subject != "配信されました: x" {
		t.Errorf("subject %q", subject)
	}
}

// RFC 3461 §4.3: RET is about failures. A notice of success has the header
// only, and never our Return-Path.
func TestDeliveredNoticeReturnsTheHeader(t *testing.T) {
	for _, ret := range []string{"", "HDRS", "FULL"} {
		w := newWorld(t, nil)
		raw, s := w.arrive(store.Delivery{Sender: "ada@alpha.test"}, to("bob@alpha.test", store.DSN{Return: ret}), nil)
		part := s.Root.Children[2]
		if got := text(part, raw); part.Subtype != "rfc822-headers" || !strings.HasPrefix(got, "Received:") || strings.Contains(got, "\r\nHi.") {
			t.Errorf("RET=%s: %s %q", ret, part.Subtype, got)
		}
	}
}

func TestDeliveredNoticeBeyondASCII(t *testing.T) {
	w := newWorld(t, nil)
	raw, s := w.arrive(store.Delivery{Sender: "ada@alpha.test", UTF8: true, RequireTLS: true}, to("郵便@alpha.test", store.DSN{Original: "utf-8;郵便@old.test"}), nil)
	if got := text(s.Root.Children[1], raw); !strings.Contains(raw, "report-type=global-delivery-status") ||
		!strings.Contains(got, "Original-Recipient: utf-8; 郵便@old.test\r\nFinal-Recipient: utf-8; 郵便@alpha.test\r\n") {
		t.Error(raw)
	}
}

func TestNobodyIsToldOfArrival(t *testing.T) {
	w := newWorld(t, nil)
	w.relay.Notices.PerHour = 1
	said := func(sender string, to []store.Recipient) bool {
		d, ok := w.relay.Notices.Delivered(t.Context(), store.Delivery{Sender: sender, Body: store.Bytes(letter)}, to, nil)
		if ok && len(d.Recipients) == 0 {
			t.Errorf("%s: a notice for nobody", sender)
		}
		return ok
	}
	bob := to("bob@alpha.test", store.DSN{})
	for what, told := range map[string]bool{
		"the null sender":            said("", bob),
		"a sender who is gone":       said("nobody@alpha.test", bob),
		"an address that is none":    said("nobody", bob),
		"somebody who has not asked": said("ada@alpha.test", nil),
	} {
		if told {
			t.Errorf("%s is told", what)
		}
	}
	// Strangers get as few of these as of others, all kinds together.
	told := 0
	for range 3 {
		if said("gus@gamma.test", bob) {
			told++
		}
	}
	for i := range 50 {
		if said(fmt.Sprintf("u%d@gamma.test", i), bob) {
			told++
		}
	}
	if told > generous || told < 2 {
		t.Errorf("%d notices to strangers", told)
	}
}

// However often a sender has been told of success, failures are told too.
func TestSuccessLeavesRoomForFailure(t *testing.T) {
	for _, sender := range []string{"ada@alpha.test", "gus@gamma.test"} {
		w := newWorld(t, nil)
		w.relay.Notices.PerHour = 4
		given := map[Event]int{}
		for range 1000 {
			for _, kind := range []Event{arrived, Delivered} {
				if w.relay.Notices.take(sender, kind) {
					given[kind]++
				}
			}
		}
		for range 1000 {
			if w.relay.Notices.take(sender, Failed) {
				given[Failed]++
			}
		}
		if success := given[arrived] + given[Delivered]; success == 0 || given[Failed] != success {
			t.Errorf("%s: %v", sender, given)
		}
	}
}

// take asks for one more notice.
func (n *Notices) take(sender string, kind Event) bool {
	return n.ration.take(sender, strings.HasSuffix(sender, "@alpha.test"), n.limit(kind), start)
}

func TestRemoteMTA(t *testing.T) {
	for host, want := range map[string]string{"mx.beta.test": "mx.beta.test", "127.0.0.1": "[127.0.0.1]", "::1": "[IPv6:::1]", "[192.0.2.1]": "[192.0.2.1]"} {
		if got := mtaName(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
