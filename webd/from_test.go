package webd

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTheAuthorIsOneOfTheUsersAddresses(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	if page := v.get("/compose"); strings.Contains(page, `name="from"`) {
		t.Error("somebody with one address is asked which")
	}
	for _, a := range [][2]string{{"sales@yubin.test", "alice@yubin.test"}, {"shop@yubin.test", "sales@yubin.test"}, {"bobby@yubin.test", "bob@yubin.test"}} {
		if err := s.Store.AddAlias(t.Context(), a[0], a[1]); err != nil {
			t.Fatal(err)
		}
	}
	page := v.get("/compose")
	wants(t, page, `<option value="alice@yubin.test" selected>Alice &lt;alice@yubin.test&gt;</option>`, `<option value="sales@yubin.test">`, `<option value="shop@yubin.test">`)
	if strings.Contains(page, "bobby") {
		t.Error("somebody else's address is offered")
	}

	// An answer comes from the address that was written to.
	s.deliver(s.alice, "From: bob@yubin.test\nTo: Sales <Sales@yubin.test>\nSubject: price\n\n?\n")
	wants(t, v.get("/m/inbox/1/reply"), `<option value="sales@yubin.test" selected>`)
	s.deliver(s.alice, "From: bob@yubin.test\nTo: list@example.jp\nCc: alice+list@yubin.test\nSubject: hi\n\n?\n")
	wants(t, v.get("/m/inbox/2/reply"), `<option value="alice&#43;list@yubin.test" selected>`)
	s.deliver(s.alice, "Received: from x by mail.yubin.test with ESMTP id 1\n\tfor <alice+blind@yubin.test>; Mon, 23 Nov 2026 15:00:00 +0900\nFrom: bob@yubin.test\nTo: list@example.jp\nSubject: blind\n\n?\n")
	wants(t, v.get("/m/inbox/3/reply"), `<option value="alice&#43;blind@yubin.test" selected>`)

	form := url.Values{"from": {"sales@yubin.test"}, "to": {"bob@yubin.test"}, "subject": {"price"}, "text": {"100"}}
	_, page = v.compose("save", form)
	wants(t, page, `<option value="sales@yubin.test" selected>`)
	form.Set("draft", "1")
	if status, page := v.compose("send", form); status != http.StatusOK {
		t.Fatalf("%d %s", status, page)
	}
	got := s.box(s.bob, "INBOX")
	if len(got) != 1 {
		t.Fatalf("bob has %d messages", len(got))
	}
	raw := s.raw(got[0])
	wants(t, raw, "Return-Path: <sales@yubin.test>\r\n", "From: Alice <sales@yubin.test>\r\n")
	if strings.Contains(raw, "alice@yubin.test") {
		t.Errorf("the alias tells the address behind it:\n%s", raw)
	}

	for _, from := range []string{"bob@yubin.test", "bobby@yubin.test", "postmaster@yubin.test", "alice@example.jp", "alice", "@"} {
		form := url.Values{"from": {from}, "to": {"bob@yubin.test"}, "text": {"x"}}
		if status, page := v.compose("send", form); status != http.StatusForbidden || !strings.Contains(page, "not yours") {
			t.Errorf("from %s: %d", from, status)
		}
	}
	if n := len(s.box(s.bob, "INBOX")); n != 1 {
		t.Errorf("bob has %d messages", n)
	}
}
