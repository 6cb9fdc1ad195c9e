package webd

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const picture = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"

const meeting = "Received: from mx.example.jp (mx.example.jp [192.0.2.7])\n by mail.yubin.test with ESMTPS (TLS1.3 TLS_AES_128_GCM_SHA256) id 7c1m;\n Mon, 23 Nov 2026 15:04:02 +0900\n" +
	"Authentication-Results: mail.yubin.test; spf=pass smtp.mailfrom=example.jp; dkim=pass header.d=example.jp; dmarc=pass header.from=example.jp\n" +
	"Received: from pc.example.jp (pc [192.0.2.99]) by mx.example.jp with ESMTPSA id 5b2;\n Mon, 23 Nov 2026 15:03:58 +0900\n" +
	"From: =?UTF-8?B?5L2Q6JekIOiKseWtkA==?= <hanako@example.jp>\nTo: alice@yubin.test\nSubject: =?UTF-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb77yIMTHmnIgyNeaXpe+8iQ==?=\n" +
	"Message-ID: <h1@example.jp>\nDate: Mon, 23 Nov 2026 15:03:57 +0900\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n" +
	"--b1\nContent-Type: multipart/related; boundary=b2\n\n--b2\nContent-Type: text/html; charset=utf-8\n\n" +
	"<p>アリス様</p><p>会議は15時からです。<br>添付をご確認ください。</p><p><img src=\"cid:logo\" width=60 height=60 alt=logo></p><img src=\"https://tracker.example/a.png\" width=1 height=1><img src=\"https://tracker.example/b.png\"><script>document.title='owned'</script>\n" +
	"--b2\nContent-Type: image/png; name=logo.png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\n" + picture + "\n--b2--\n" +
	"--b1\nContent-Type: text/plain; charset=utf-8\nContent-Disposition: attachment; filename*=utf-8''%E8%AD%B0%E4%BA%8B%E9%8C%B2.txt\n\n議事録\n" +
	"--b1\nContent-Type: image/png\nContent-Disposition: attachment; filename=\"photo.png\"\nContent-Transfer-Encoding: base64\n\n" + picture + "\n--b1--\n"

func (s *mailSite) furnish() {
	at := s.now
	for i, m := range []string{
		plainMail("Bob <bob@yubin.test>", "Welcome aboard", "Hi Alice,\n\nwelcome to yubin. The first steps are at https://example.org/start.\n\nBob"),
		"From: Alice <alice@yubin.test>\nTo: alice@yubin.test\nSubject: Re: Welcome aboard\nMessage-ID: <r1@yubin.test>\nIn-Reply-To: <Welcome-aboard@example.jp>\nDate: Fri, 20 Nov 2026 12:00:00 +0900\n\nThanks! Confirmed.\n",
		plainMail("Library <news@library.example>", "Three books are due", "The books you have borrowed are due on Thursday."),
		"From: keiri@example.jp\nTo: alice@yubin.test\nSubject: =?ISO-2022-JP?B?GyRCQEE1YT1xJE43bxsoQg==?=\nContent-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$3$l$O\x1b(B ISO-2022-JP \x1b$B$N%a!<%k$G$9!#\x1b(B\n",
		"From: ops@example.com\nTo: alice@yubin.test\nSubject: Weekly report: delivery metrics\nContent-Type: text/html; charset=utf-8\n\n<h2 style=\"color:#00694a\">All green</h2><p>Queue depth 0, bounces 2.</p><table border=1 cellpadding=6><tr><th>Day<th>In<th>Out</tr><tr><td>Mon<td>120<td>31</tr></table>\n",
		meeting,
	} {
		s.now = at.Add(time.Duration(i-5) * 9 * time.Hour)
		if i > 3 {
			s.now = at.Add(time.Duration(i-6) * 24 * time.Minute)
		}
		s.deliver(s.alice, m)
	}
	s.now = at
}

func TestBrowserReads(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.until(`document.querySelectorAll(".row").length === 6 && !document.getElementById("live").hidden`)
	w.shoot("inbox-en-light")
	w.do(chromedp.Click(`.row[data-uid="6"] > a`))
	w.until(`location.pathname === "/m/inbox/6" && document.querySelector("#reader h1").textContent.includes("会議")`)
	w.until(`!document.querySelector('.row[data-uid="6"]').classList.contains("unread")`)
	w.until(`document.querySelector(".blk").textContent.includes("2 remote images blocked (tracker.example)")`)
	w.until(`document.querySelector("#reader img").complete && document.querySelector("#reader img").naturalWidth === 10`)
	w.framed()
	w.shoot("read-en-light")

	// The frame has no scripts, no origin, and fetches nothing.
	if got := w.eval(`(() => { try { return document.querySelector("iframe").contentDocument === null } catch { return true } })()`); got != "true" {
		t.Error("the page can look into the frame, so it is not on an opaque origin")
	}
	if title := w.eval("document.title"); strings.Contains(title, "owned") {
		t.Error("a script of the mail has run")
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("requests left the page: %s", left)
	}

	w.keys("h")
	w.until(`location.pathname === "/m/inbox/6/arrived" && document.querySelectorAll(".hops li").length === 4`)
	w.shoot("arrived-en-light")
	w.keys("v")
	w.until(`document.querySelector(".source")?.textContent.includes("multipart/related")`)
	w.do(chromedp.NavigateBack())
	w.until(`location.pathname === "/m/inbox/6/arrived" && document.querySelector(".hops")`)
	w.keys("?")
	w.until(`document.getElementById("help").open`)
	w.shoot("help-en-light")
	w.keys(kb.Escape)
	w.until(`!document.getElementById("help").open`)
	w.keys("u")
	w.until(`location.pathname === "/m/inbox" && document.activeElement.closest(".row")?.dataset.uid === "6"`)
	// The arrows scroll; they do not choose.
	w.keys(kb.ArrowDown)
	w.until(`document.activeElement.closest(".row")?.dataset.uid === "6"`)
	w.keys("j")
	w.until(`document.activeElement.closest(".row")?.dataset.uid === "5"`)
	w.keys(kb.Enter)
	w.until(`location.pathname === "/m/inbox/5"`)
}

func TestBrowserSearches(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.keys("/")
	w.until(`document.activeElement.name === "q"`)
	w.do(chromedp.SendKeys(`.search input`, "from:hanako has:attachment is:unread"+kb.Enter))
	w.until(`document.querySelector(".found code").textContent.startsWith('UID SEARCH FROM "hanako"') && document.querySelectorAll(".row").length === 1`)
	w.do(chromedp.Click(`.row > a`))
	w.until(`location.search.includes("q=from") && document.querySelector("#reader h1")?.textContent.includes("会議") && document.querySelector(".found")`)
	w.shoot("search-en-light")
	w.keys("u")
	w.until(`location.pathname === "/search"`)
}

func TestBrowserShowsConversations(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.do(chromedp.Click(`.bar a[role="button"]`))
	w.ready()
	w.until(`document.querySelector('.row[data-keys="inbox/1 inbox/2"]')`)
	w.do(chromedp.Click(`.row[data-keys="inbox/1 inbox/2"] > a`))
	w.until(`document.querySelectorAll(".thread li").length === 2`)
	w.shoot("thread-en-light")
	s.deliver(s.alice, "From: bob@yubin.test\nSubject: Re: Welcome aboard\nIn-Reply-To: <r1@yubin.test>\n\nagain\n")
	w.until(`document.querySelector('.row[data-keys="inbox/1 inbox/2 inbox/7"].unread')`)
	w.do(chromedp.Click(`.bar a[role="button"]`))
	w.until(`document.querySelectorAll(".row").length === 7`)
}
