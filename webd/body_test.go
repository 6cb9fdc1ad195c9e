package webd

import (
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/message"
)

func TestFlowedTextIsPutTogether(t *testing.T) {
	for _, c := range []struct{ params, in, want string }{
		{"flowed", "one \r\ntwo\r\n\r\nthree\r\n", "one two\n\nthree"},
		{"flowed", "> a \r\n> b\r\n>> c\r\n", "> a b\n>> c"},
		{"flowed", "x \r\n-- \r\nname\r\n", "x \n-- \nname"},
		{"flowed", " From here\r\n", "From here"},
		{"flowed; delsp", "日本 \r\n語\r\n", "日本語"},
		{"", "one \r\ntwo\r\n", "one \ntwo\n"},
	} {
		p := &message.Part{Params: map[string]string{}}
		format, delsp, found := strings.Cut(c.params, "; ")
		if p.Params["format"] = format; found && delsp != "" {
			p.Params["delsp"] = "yes"
		}
		if got := unflow(p, c.in); got != c.want {
			t.Errorf("%q became %q, want %q", c.in, got, c.want)
		}
	}
}

func TestAddressesEndWhereTheTextGoesOn(t *testing.T) {
	for text, want := range map[string]string{
		"see https://example.jp/a?b=1.":             "https://example.jp/a?b=1",
		"(http://example.jp/)":                      "http://example.jp/",
		"https://example.jp/に詳しくあります。":              "https://example.jp/",
		"資料（https://example.jp/x）です":                "https://example.jp/x",
		"https://example.jp/x！":                     "https://example.jp/x",
		"https://ja.wikipedia.org/wiki/郵便 と":        "https://ja.wikipedia.org/wiki/郵便",
		"https://de.wikipedia.org/wiki/Käse, nicht": "https://de.wikipedia.org/wiki/Käse",
	} {
		if got := string(markUp(text)); !strings.Contains(got, `<a href="`+want+`" `) {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestTheBestAlternativeIsShown(t *testing.T) {
	s := newMailSite(t, nil)
	part := func(kind, text string) string { return "--b\nContent-Type: " + kind + "\n\n" + text + "\n" }
	s.deliver(s.alice, "Subject: both\nContent-Type: multipart/alternative; boundary=b\n\n"+part("text/plain", "as text")+part("text/html", "<b>as html</b>")+"--b--\n")
	s.deliver(s.alice, "Subject: html\nContent-Type: text/html\n\n<p>only <b>html</b></p>\n")
	s.deliver(s.alice, "Subject: mixed\nContent-Type: multipart/mixed; boundary=b\n\n"+part("text/plain", "first")+part("text/plain", "second")+"--b--\n")
	s.deliver(s.alice, "Subject: strange\nContent-Type: multipart/alternative; boundary=b\n\n"+part("text/plain", "plain")+part("application/x-unknown", "x")+"--b--\n")
	s.deliver(s.alice, "Subject: nothing\nContent-Type: multipart/mixed; boundary=b\n\n")
	s.deliver(s.alice, "Subject: no charset\n\n\x1b$B$3$s$K$A$O\x1b(B\n")
	v := s.login("alice")
	wants(t, v.get("/m/inbox/1"), "<iframe", "Show as plain text")
	wants(t, v.get("/m/inbox/1/body"), "<b>as html</b>")
	wants(t, v.get("/m/inbox/1?as=text"), "as text", "Show as HTML")
	wants(t, v.get("/m/inbox/2"), "<iframe")
	wants(t, v.get("/m/inbox/2/reply"), "&gt; only html")
	wants(t, v.get("/m/inbox/3"), "first\n\nsecond")
	wants(t, v.get("/m/inbox/4"), `<div class="text">plain`)
	wants(t, v.get("/m/inbox/5"), `<div class="text">`)
	wants(t, v.get("/m/inbox/6"), "こんにちは")
}

func TestHopsAreRead(t *testing.T) {
	h := parseReceived("from mail.example.org (mail.example.org [192.0.2.1] (may be forged))\r\n\tby mx.yubin.test (Postfix) with ESMTPSA id 4F (using TLSv1.3 with cipher X)\r\n\tfor <alice@yubin.test>; Mon, 23 Nov 2026 15:04:02 +0900")
	if h.From != "mail.example.org" || h.By != "mx.yubin.test" || h.With != "ESMTPSA" || !h.Safe || !h.Login || h.ID != "4F" || h.For != "alice@yubin.test" || h.Time.IsZero() {
		t.Errorf("%+v", h)
	}
	for with, want := range map[string][2]bool{"SMTP": {false, false}, "ESMTP": {false, false}, "ESMTPS": {true, false}, "ESMTPA": {false, true}, "UTF8SMTPSA": {true, true}, "LMTPS": {true, false}, "HTTP": {false, false}} {
		if h := parseReceived("by x with " + with + "; x"); h.Safe != want[0] || h.Login != want[1] {
			t.Errorf("%s: %+v", with, h)
		}
	}
	for _, odd := range []string{"", ";", "((((", "from", "from from by by", strings.Repeat("(", 10000), "by x (((TLS"} {
		parseReceived(odd)
	}
}
