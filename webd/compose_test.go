package webd

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

func TestALetterArrivesAndACopyIsKept(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, "From: Bob <bob@yubin.test>\nTo: alice@yubin.test, carol@example.jp\nCc: alice+lists@yubin.test, dave@example.jp\nSubject: =?UTF-8?B?5Lya6K2w?=\nMessage-ID: <m2@x>\nReferences: <m1@x>\nDate: Mon, 23 Nov 2026 15:00:00 +0900\n\nWhen?\n> earlier\n")
	v := s.login("alice")

	page := v.get("/m/inbox/1/reply-all")
	wants(t, page, `name="to" value="Bob &lt;bob@yubin.test&gt;"`, `name="cc" value="carol@example.jp, dave@example.jp"`, `name="subject" value="Re: 会議"`, "&gt; When?", "&gt;&gt; earlier", `value="reply-all inbox/1"`)
	if strings.Contains(page, `lists@yubin.test`) {
		t.Error("the answer to all goes to oneself too")
	}

	status, body := v.compose("send", url.Values{
		"to": {"Bob <bob@yubin.test>"}, "bcc": {"alice@yubin.test"}, "subject": {"Re: 会議の件、よろしくお願いいたします。とても長い件名なので折り返されるはずです"},
		"text": {"15時です。\r\n添付しました。\r\n.\r\nFrom here"}, "source": {"reply inbox/1"},
	}, attach{"議事録 2026.txt", "text/plain", "内容"}, attach{"x.html", "text/html", "<b>"})
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	wants(t, body, "Sent")

	got := s.box(s.bob, "INBOX")
	if len(got) != 1 {
		t.Fatalf("bob has %d messages", len(got))
	}
	raw := s.raw(got[0])
	if !message.IsCanonical([]byte(raw)) {
		t.Error("the message is not canonical")
	}
	for line := range strings.SplitSeq(raw, "\r\n") {
		if len(line) > 990 {
			t.Errorf("a line has %d octets", len(line))
		}
	}
	if strings.Contains(strings.ToLower(raw), "\nbcc:") || strings.Contains(raw, sourceField) {
		t.Errorf("what stays in the house has left it:\n%s", raw)
	}
	m := message.DecodeHeader(got[0].Envelope.Subject)
	if m != "Re: 会議の件、よろしくお願いいたします。とても長い件名なので折り返されるはずです" {
		t.Errorf("subject %q", m)
	}
	wants(t, raw, "From: Alice <alice@yubin.test>\r\n", "In-Reply-To: <m2@x>\r\n", "References: <m1@x>\r\n <m2@x>\r\n", "Received: by mail.yubin.test with HTTP id ", "Return-Path: <alice@yubin.test>\r\n")
	if got[0].Attachments != 2 {
		t.Errorf("%d attachments", got[0].Attachments)
	}
	b := s.login("bob")
	page = b.get("/m/inbox/1")
	wants(t, page, "15時です。\n添付しました。\n.\nFrom here", "議事録 2026.txt")
	wants(t, b.get("/m/inbox/1/part/2"), "内容")

	sent := s.box(s.alice, "Sent")
	if len(sent) != 1 || !sent[0].Flags.Has(store.Seen) || len(sent[0].Envelope.Bcc) != 1 {
		t.Errorf("sent has %+v", sent)
	}
	if len(s.box(s.alice, "Drafts")) != 0 {
		t.Error("the draft is still there")
	}
	own := s.box(s.alice, "INBOX")
	if len(own) != 2 || !own[1].Flags.Has(store.Answered) {
		t.Errorf("what was answered is not marked, or the blind copy is missing: %+v", own)
	}
}

func TestDraftsAreSavedAndGoOn(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	form := url.Values{"id": {"aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "to": {"bob@yubin.test, half-an-add"}, "bcc": {"carol@example.jp"}, "subject": {"草稿"}, "text": {"途中"}}
	_, page := v.compose("save", form, attach{"a.txt", "text/plain", "one"})
	wants(t, page, `name="draft" value="1"`, `name="keep" value="Drafts/1/2"`, "a.txt", `name="bcc" value="carol@example.jp"`, "途中")

	if to := s.box(s.alice, "Drafts")[0].Envelope.To; len(to) != 1 || to[0].Mailbox != "bob" {
		t.Errorf("an address that is not complete takes the others with it: %v", to)
	}
	wants(t, v.get("/compose?draft=1"), `name="to" value="bob@yubin.test, half-an-add"`)
	form.Set("draft", "1")
	form["keep"] = []string{"Drafts/1/2"}
	form.Set("to", "bob@yubin.test")
	form.Set("text", "できた")
	_, page = v.compose("save", form, attach{"b.txt", "text/plain", "two"})
	wants(t, page, `name="draft" value="2"`, "a.txt", "b.txt")
	drafts := s.box(s.alice, "Drafts")
	if len(drafts) != 1 || !drafts[0].Flags.Has(store.Draft|store.Seen) || drafts[0].Attachments != 2 {
		t.Fatalf("drafts are %+v", drafts)
	}
	wants(t, v.get("/m/Drafts"), `href="/compose?draft=2"`, "草稿")

	form.Set("draft", "2")
	form["keep"] = []string{"Drafts/2/2", "Drafts/2/3"}
	form["drop"] = []string{"Drafts/2/2"}
	form.Del("bcc")
	v.compose("send", form)
	got := s.box(s.bob, "INBOX")
	if len(got) != 1 || got[0].Attachments != 1 || !strings.Contains(s.raw(got[0]), "b.txt") || strings.Contains(s.raw(got[0]), "a.txt") {
		t.Fatalf("bob has %+v", got)
	}
	if strings.Contains(s.raw(got[0]), typedField) {
		t.Error("what stays in the house has left it")
	}
	v.compose("send", form) // twice
	if n := len(s.box(s.bob, "INBOX")); n != 1 {
		t.Errorf("the same letter was sent %d times", n)
	}

	v.compose("save", url.Values{"id": {"bbbbbbbbbbbbbbbbbbbbbbbbbb"}, "text": {"x"}})
	uid := fmt.Sprint(s.box(s.alice, "Drafts")[0].UID)
	_, page = v.compose("discard", url.Values{"id": {"bbbbbbbbbbbbbbbbbbbbbbbbbb"}, "draft": {uid}})
	wants(t, page, "Draft discarded", `name="undo"`)
	if len(s.box(s.alice, "Drafts")) != 0 || len(s.box(s.alice, "Trash")) != 1 {
		t.Error("a discarded draft is not in the trash")
	}
}

func TestSendingIsUndone(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.UndoSend = time.Hour })
	v := s.login("alice")
	v.head.Set("Accept", "application/json")
	_, body := v.compose("send", url.Values{"to": {"bob@yubin.test"}, "subject": {"hasty"}, "text": {"x"}})
	v.head.Del("Accept")
	if len(s.box(s.bob, "INBOX")) != 0 {
		t.Fatal("it has gone already")
	}
	d := s.box(s.alice, "Drafts")
	if len(d) != 1 || !d[0].Flags.HasKeyword(waitingKeyword) {
		t.Fatalf("drafts are %+v", d)
	}
	undo := strings.Split(strings.SplitAfter(body, `"undo":"`)[1], `"`)[0]
	n := v.told("/undo", url.Values{"undo": {undo}})
	if n.URL != "/compose?draft=1" || n.Bad {
		t.Errorf("%+v", n)
	}
	if d = s.box(s.alice, "Drafts"); len(d) != 1 || d[0].Flags.HasKeyword(waitingKeyword) {
		t.Errorf("drafts are %+v", d)
	}
	s.later.finish()
	if len(s.box(s.bob, "INBOX")) != 0 {
		t.Error("what was taken back was sent")
	}

	// What waits when the server stops is sent then, even without its draft.
	v.compose("send", url.Values{"id": {"cccccccccccccccccccccccccc"}, "to": {"bob@yubin.test"}, "subject": {"slow"}, "text": {"x"}})
	s.later.finish()
	if len(s.box(s.bob, "INBOX")) != 1 || len(s.box(s.alice, "Sent")) != 1 {
		t.Error("a shutdown swallowed a letter")
	}
}

func TestWhatCannotBeSentIsSaid(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.MaxSize = 1 << 20 })
	full := int64(1)
	carol, err := s.Store.CreateUser(t.Context(), store.NewUser{Address: "carol@yubin.test", Password: "x", Quota: full})
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(carol, plainMail("x@example.jp", "full", "now"))
	if err := s.Store.AddAlias(t.Context(), "away@yubin.test", "someone@example.org"); err != nil {
		t.Fatal(err)
	}
	v := s.login("alice")
	for to, want := range map[string]string{
		"":                              "Nobody is named as a recipient.",
		"nobody@yubin.test":             "nobody@yubin.test: There is no such user here.",
		"someone@example.org":           "someone@example.org: Delivery to other servers is not set up on this system.",
		"away@yubin.test":               "away@yubin.test: Delivery to other servers is not set up",
		"carol@yubin.test":              "carol@yubin.test: The mailbox is full.",
		"half-an-address":               "That is not a mail address.",
		"bob@yubin.test, x@@yubin.test": "",
	} {
		status, page := v.compose("send", url.Values{"to": {to}, "subject": {"x"}, "text": {"keep me"}})
		if status < 400 || status >= 600 || !strings.Contains(page, want) || !strings.Contains(page, "keep me") {
			t.Errorf("to %q: %d, and the page lacks %q", to, status, want)
		}
	}
	status, _ := v.compose("send", url.Values{"to": {"bob@yubin.test"}, "text": {"x"}}, attach{"big", "", strings.Repeat("x", 900_000)})
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("a file that is too large once encoded: %d", status)
	}
	status, page := v.compose("send", url.Values{"to": {"bob@yubin.test"}, "text": {"please see the attached file"}})
	if status != http.StatusOK || !strings.Contains(page, "speaks of an attachment") {
		t.Errorf("a forgotten file: %d", status)
	}
	if len(s.box(s.bob, "INBOX")) != 0 {
		t.Error("something was sent all the same")
	}
	status, _ = v.compose("send-anyway", url.Values{"to": {"bob@yubin.test"}, "text": {"please see the attached file"}})
	if status != http.StatusOK || len(s.box(s.bob, "INBOX")) != 1 {
		t.Errorf("sent anyway: %d", status)
	}
}

func TestRelayQueuesForElsewhere(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.Relay = true })
	v := s.login("alice")
	status, _ := v.compose("send", url.Values{"to": {"Someone@Example.ORG, bob@yubin.test"}, "subject": {"x"}, "text": {"x"}})
	q, err := s.Store.Queue(t.Context())
	if status != http.StatusOK || err != nil || len(q) != 1 || q[0].Recipient != "Someone@example.org" || q[0].Sender != "alice@yubin.test" {
		t.Errorf("%d: the queue has %+v, %v", status, q, err)
	}
	if len(s.box(s.bob, "INBOX")) != 1 {
		t.Error("the local recipient has nothing")
	}
}

// TestLettersCountAgainstTheAllowance: what SMTP refuses, the browser and the
// API do too, and all of it counts together.
func TestLettersCountAgainstTheAllowance(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.Relay, c.Allowance = true, &auth.Allowance{UserHour: 2} })
	v := s.login("alice")
	send := func(to string, want int) {
		t.Helper()
		status, said := v.compose("send", url.Values{"to": {to}, "subject": {"x"}, "text": {"x"}})
		if status != want || want == http.StatusTooManyRequests && !strings.Contains(said, "as many people elsewhere as you may") {
			t.Errorf("to %s: %d %s", to, status, said)
		}
	}
	send("a@far.test, b@far.test, c@far.test", http.StatusTooManyRequests)
	send("a@far.test", http.StatusOK)
	if err := s.Allowance.Spend(store.User{Address: "alice@yubin.test"}, 1); err != nil {
		t.Error(err)
	}
	send("b@far.test", http.StatusTooManyRequests)
	send("bob@yubin.test", http.StatusOK) // at home there is no limit
	if q, err := s.Store.Queue(t.Context()); err != nil || len(q) != 1 {
		t.Errorf("the queue has %+v, %v", q, err)
	}
}

func TestNoHeaderIsInjected(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	for _, field := range []string{"from", "to", "cc", "bcc", "subject", "source", "draft"} {
		for _, end := range []string{"\r\n", "\n", "\r", "\x00", "\u2028"} {
			form := url.Values{"to": {"bob@yubin.test"}, "subject": {"x"}, "text": {"x"}}
			form.Set(field, "bob@yubin.test"+end+"Bcc: carol@example.jp")
			if status, _ := v.compose("send", form); status != http.StatusBadRequest {
				t.Errorf("%s with %q: %d", field, end, status)
			}
		}
	}
	if len(s.box(s.bob, "INBOX"))+len(s.box(s.alice, "Drafts")) != 0 {
		t.Fatal("something was kept")
	}
	// Encoded words that hold a line end are text, not what they decode to.
	word := "=?utf-8?Q?x=0D=0ABcc:_carol@example.jp?="
	v.compose("send", url.Values{"to": {`"` + word + `" <bob@yubin.test>`}, "subject": {word}, "text": {"x"}}, attach{word + "\r\nBcc: carol@example.jp", "text/plain\r\nX-Evil: 1", "x"}, attach{"a\"; x=y", "multipart/mixed", "x"})
	got := s.box(s.bob, "INBOX")
	if len(got) != 1 {
		t.Fatal("not sent")
	}
	raw := s.raw(got[0])
	header, _, _ := strings.Cut(raw, "\r\n\r\n")
	for line := range strings.SplitSeq(raw, "\r\n") {
		if lower := strings.ToLower(line); strings.HasPrefix(lower, "bcc") || strings.HasPrefix(lower, "x-evil") {
			t.Errorf("injected: %s", line)
		}
	}
	if strings.Contains(header, word) {
		t.Errorf("an encoded word of the user's is in the header as it is:\n%s", header)
	}
	// An answer to such a mail does not give its line ends on.
	s.deliver(s.alice, "From: "+word+" <a@yubin.test>\nSubject: "+word+"\nMessage-ID: <a b@x>\nReferences: <x@y>\tz <"+strings.Repeat("l", 300)+"@x>\n\nx\n")
	page := v.get("/m/inbox/1/reply")
	if strings.Contains(page, "carol@example.jp\n") {
		t.Error("a decoded line end is in the form")
	}
}

func TestALetterIsWellFormed(t *testing.T) {
	l := &letter{
		ID: "id@mail.yubin.test", Date: time.Date(2026, 11, 23, 15, 4, 0, 0, time.UTC), From: message.Address{Name: `Ada "the" Lovelace, Esq.`, Mailbox: "ada", Host: "例え.jp"},
		To:      []message.Address{{Name: "佐藤 花子", Mailbox: "hanako", Host: "example.jp"}, {Mailbox: "a b", Host: "example.jp"}},
		Subject: strings.Repeat("word ", 60), Text: "tail \nFrom x\n\x00" + strings.Repeat("y", 3000), References: []string{"a@x", "b@x"}, InReplyTo: "b@x",
	}
	var b bytes.Buffer
	if err := l.write(&b); err != nil {
		t.Fatal(err)
	}
	if !message.IsCanonical(b.Bytes()) {
		t.Fatalf("not canonical:\n%q", b.String())
	}
	for line := range strings.SplitSeq(b.String(), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	sum, err := message.Summarize(&b)
	if err != nil {
		t.Fatal(err)
	}
	e := sum.Envelope
	if e.From[0].Name != `Ada "the" Lovelace, Esq.` || e.From[0].Host != "xn--r8jz45g.jp" || message.DecodeHeader(e.To[0].Name) != "佐藤 花子" || e.To[1].Mailbox != "a b" ||
		strings.TrimSpace(e.Subject) != strings.TrimSpace(l.Subject) || e.MessageID != l.ID || len(sum.References) < 2 || !e.Date.Equal(l.Date) {
		t.Errorf("it reads as %+v %v", e, sum.References)
	}
}
