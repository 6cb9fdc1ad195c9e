package webd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Reading, searching, writing, folders and undoing need no scripts.
func TestBrowserWithoutScripts(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte("agenda\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := s.open(t)
	w.do(emulation.SetScriptExecutionDisabled(true))
	w.do(chromedp.Navigate(s.URL+"/login?lang=en&theme=light"),
		chromedp.SendKeys(`input[name="address"]:not([type="hidden"])`, "alice@yubin.test"),
		chromedp.SendKeys(`input[type="password"]`, "alice"+kb.Enter),
		chromedp.WaitVisible(`#list .row`),
		chromedp.Click(`.row[data-uid="6"] > a`),
		chromedp.WaitVisible(`#reader h1`))
	w.shoot("no-scripts")
	w.do(chromedp.SendKeys(`.search input`, "from:library"+kb.Enter),
		chromedp.WaitVisible(`.found code`), chromedp.Click(`.row > a`), chromedp.WaitVisible(`#reader[data-title="Three books are due"]`))

	w.do(chromedp.Click(`.acts [href$="/reply"]`), chromedp.WaitVisible(`#composer`),
		chromedp.SetValue(`#composer [name="to"]`, "bob@yubin.test"),
		chromedp.SetUploadFiles(`#composer input[type="file"]`, []string{file}),
		chromedp.Click(`#composer button[value="send"].pri`), chromedp.WaitVisible(`.toast`))
	if sent := s.box(s.bob, "INBOX"); len(sent) != 1 || sent[0].Attachments != 1 {
		t.Errorf("bob has %+v", sent)
	}

	w.do(chromedp.Navigate(s.URL+"/m/inbox/5"), chromedp.WaitVisible(`#reader h1`),
		chromedp.Click(`.acts button[value="delete"]`), chromedp.WaitVisible(`.toast button`))
	if len(s.box(s.alice, "Trash")) != 1 {
		t.Error("not deleted")
	}
	w.do(chromedp.Click(`.toast button`), chromedp.WaitVisible(`.row:nth-child(6)`))

	w.do(chromedp.Click(`.foldermenu summary`), chromedp.SendKeys(`form[action="/folders/create"] input[name="name"]`, "仕事"+kb.Enter),
		chromedp.WaitReady(`.folders a[data-folder="`+slug("仕事")+`"]`))
	w.do(chromedp.Click(`.top > .switches a[hreflang="ja"]`), chromedp.WaitReady(`html[lang="ja"] #list`))

	// The session ends while a letter is written: it comes back until its
	// author has logged in beside it and sent it once more.
	w.do(chromedp.Navigate(s.URL+"/compose?lang=en&to=bob@yubin.test"), chromedp.WaitVisible(`#composer`),
		chromedp.SendKeys(`#text`, "not to be lost"), network.ClearBrowserCookies(),
		chromedp.Click(`#composer button[value="send"].pri`), chromedp.WaitVisible(`#composer .alert a[href="/login"]`))
	w.shoot("no-scripts-logged-out")
	beside := w.beside()
	beside.do(emulation.SetScriptExecutionDisabled(true))
	beside.do(chromedp.Navigate(s.URL+"/login"), chromedp.SendKeys(`input[name="address"]:not([type="hidden"])`, "alice@yubin.test"),
		chromedp.SendKeys(`input[type="password"]`, "alice"+kb.Enter), chromedp.WaitVisible(`#list .row`))
	w.do(chromedp.Click(`#composer button[value="send"].pri`), chromedp.WaitNotPresent(`#composer .alert a`), chromedp.WaitVisible(`#composer .alert`),
		chromedp.Click(`#composer button[value="send"].pri`), chromedp.WaitVisible(`.toast`))
	if sent := s.box(s.bob, "INBOX"); len(sent) != 2 || !strings.Contains(s.raw(sent[0]), "not to be lost") {
		t.Errorf("bob has %+v", sent)
	}
}
