package webd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/yubin-mail/yubin/wiretap"
)

// TestBrowserTellsHowItArrived opens the story of a mail that three devices
// have had in their hands, and goes from there into the wire log.
func TestBrowserTellsHowItArrived(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	s := newMailSite(inBrowser{t}, func(c *Config) { c.Tap, c.Demo = tap, true })
	s.furnish()
	box, err := s.Store.Mailbox(t.Context(), s.alice.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	uid := s.deliver(s.alice, strings.ReplaceAll(meeting, "7c1m", "abcdefgh12345678"))
	name := fmt.Sprintf("%d.%d", box.UIDValidity, uid)
	talk := strings.NewReplacer("example.test", "yubin.test", "hanako@example.com", "hanako@example.jp")
	say(t, tap, "smtp", strings.Split(talk.Replace(strings.Join(delivery, "\n")), "\n")...)
	say(t, tap, "imap", "S: * OK", "C: 1 LOGIN alice@yubin.test x", "=alice@yubin.test", "S: 1 OK", "C: 2 SELECT INBOX", fmt.Sprintf("S: * OK [UIDVALIDITY %d]", box.UIDValidity), "S: 2 OK",
		fmt.Sprintf("C: 3 UID FETCH %d BODY.PEEK[]", uid), fmt.Sprintf("S: * 7 FETCH (UID %d BODY[] NIL)", uid), "S: 3 OK", fmt.Sprintf("C: 4 UID STORE %d +FLAGS (\\Seen)", uid), "S: 4 OK", "C: 5 LOGOUT", "S: 5 OK")
	say(t, tap, "pop3", "S: +OK", "C: USER alice@yubin.test", "S: +OK", "C: PASS x", "=alice@yubin.test", "S: +OK", "C: UIDL 7", "S: +OK 7 "+name, "C: RETR 7", "S: +OK", "S: text", "S: .", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK", "C: DELE 7", "S: +OK", "C: QUIT", "S: +OK")
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.visit(fmt.Sprintf("/m/inbox/%d", uid))
	w.keys("h")
	w.until(`document.querySelectorAll(".since li").length === 7 && document.querySelector(".arrival .lines")`)
	if got := w.eval(`[...document.querySelectorAll(".since li")].map(li => li.querySelector(".badge").textContent).join(" ")`); got != "IMAP IMAP POP3 POP3 POP3 HTTP HTTP" {
		t.Errorf("the devices are %s", got)
	}
	if got := w.eval(`getComputedStyle(document.querySelector(".since .pop .badge")).color === getComputedStyle(document.querySelector(".since .imap .badge")).color`); got != "false" {
		t.Error("protocols have no colours")
	}
	w.fits("how it arrived")
	w.shoot("arrived-story-en-light")
	w.eval(`document.querySelector(".since").scrollIntoView()`)
	w.shoot("arrived-since-en-light")
	w.do(chromedp.Click(`.since .pop a`))
	w.until(`location.pathname === "/wire" && document.querySelector(location.hash)?.textContent.includes("+OK")`)
	w.until(`(() => { const line = document.querySelector(location.hash).getBoundingClientRect(), list = document.querySelector(".talk .lines").getBoundingClientRect(); return line.top >= list.top && line.bottom <= list.bottom && document.querySelector(".talk .lines").scrollHeight > list.height + 10 })()`)
	w.shoot("wire-at-a-line-en-light")
	w.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	w.visit(fmt.Sprintf("/m/inbox/%d/arrived?lang=ja&theme=dark", uid))
	w.until(`document.querySelector(".since")`)
	w.fits("how it arrived, on a phone")
	w.eval(`document.querySelector(".checks").scrollIntoView()`)
	w.shoot("phone-arrived-checks-ja-dark")
	w.eval(`document.querySelector(".since").scrollIntoView()`)
	w.shoot("phone-arrived-since-ja-dark")
	w.visit("/wire")
	w.fits("the wire log, on a phone")
	w.until(`document.querySelectorAll(".wirelist li").length === 4`)
	say(t, tap, "pop3", pop3Of("bob@yubin.test", "hush")...)
	w.until(`document.querySelectorAll(".wirelist li").length === 5`) // it follows
	tap.Enable(false)
	w.do(chromedp.EmulateViewport(1280, 800))
	w.visit("/wire")
	w.until(`document.querySelector(".alert")`)
	w.shoot("wire-off-ja-dark")
}
