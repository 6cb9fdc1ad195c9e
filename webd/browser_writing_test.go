package webd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A language can be chosen in the midst of a letter.
func TestBrowserWritesOnInAnotherLanguage(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.do(chromedp.Click(`.row[data-uid="6"] a`))
	w.until(`document.querySelector("#reader h1").textContent`)
	w.keys("r")
	w.until(`document.activeElement.id === "text"`)
	w.do(input.InsertText("half a letter"))
	w.do(chromedp.Click(`.top a[data-keep]`))
	w.until(`document.documentElement.lang === "ja" && document.querySelector("#composer.card-over #text").value.startsWith("half a letter")`)
	if at := w.eval(`document.getElementById("reader").dataset.key`); at != "inbox/6" {
		t.Errorf("beneath it is %s", at)
	}
}

func TestBrowserWritesAndUndoes(t *testing.T) {
	s := newMailSite(inBrowser{t}, func(c *Config) { c.UndoSend = 30 * time.Minute })
	s.furnish()
	file := filepath.Join(t.TempDir(), "議事録.txt")
	if err := os.WriteFile(file, []byte("内容\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.visit("/m/inbox/6")
	w.keys("r")
	w.until(`document.activeElement.id === "text" && document.activeElement.value.includes("> 会議は15時からです。")`)
	w.do(input.InsertText("花子様\n\n了解しました。資料を添付します。\n\nアリス\n"))
	// While an input method composes, Enter belongs to it.
	w.eval(`document.getElementById("text").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, isComposing: true, bubbles: true, cancelable: true }))`)
	w.do(chromedp.SetValue(`#composer [name="to"]`, "bob@yubin.test"))
	w.keys(kb.Enter, input.ModifierCtrl)
	w.until(`document.querySelector("#composer .alert").textContent.includes("speaks of an attachment")`)
	w.do(chromedp.SetUploadFiles(`#composer input[type="file"]`, []string{file}))
	w.until(`document.querySelector("#composer .files")?.textContent.includes("議事録.txt") && document.querySelector(".saved").textContent.includes("Draft saved")`)
	if d := s.box(s.alice, "Drafts"); len(d) != 1 || d[0].Attachments != 1 {
		t.Errorf("the draft that other devices see: %+v", d)
	}
	w.shoot("compose-en-light")
	w.do(chromedp.Click(`#composer button[value="send"]`))
	w.until(`!document.getElementById("composer") && document.querySelector("#toasts [data-undo]")`)
	w.shoot("sending-en-light")
	w.keys("z")
	w.until(`document.getElementById("composer")?.elements.text.value.startsWith("花子様")`)
	if len(s.box(s.bob, "INBOX")) != 0 {
		t.Fatal("it was sent all the same")
	}
	w.do(chromedp.Focus(`#composer [name="subject"]`))
	w.keys(kb.Enter, input.ModifierCtrl)
	w.until(`!document.getElementById("composer")`)
	s.later.finish()
	got := s.box(s.bob, "INBOX")
	if len(got) != 1 || got[0].Attachments != 1 || !strings.Contains(s.raw(got[0]), "In-Reply-To: <h1@example.jp>") {
		t.Fatalf("bob has %+v", got)
	}
	w.until(`[...document.querySelectorAll(".folders a")].find(a => a.textContent.includes("Drafts")).querySelector(".count").textContent === ""`)
}

// Ctrl+Enter belongs to the input method as long as it composes.
func TestBrowserLeavesEnterToTheInputMethod(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=ja&theme=light")
	w.keys("c")
	w.until(`document.activeElement.name === "to"`)
	w.do(input.InsertText("bob@yubin.test"), chromedp.Focus(`#text`))
	w.do(input.ImeSetComposition("かいぎ", 3, 3))
	w.until(`document.getElementById("text").value === "かいぎ"`)
	w.eval(`document.addEventListener("keydown", e => document.body.dataset.pressed = e.isComposing + " " + e.ctrlKey)`)
	w.keys(kb.Enter, input.ModifierCtrl)
	w.until(`document.body.dataset.pressed === "true true"`)
	w.do(input.InsertText("会議"))
	w.until(`document.getElementById("text").value === "会議"`)
	if n := len(s.box(s.bob, "INBOX")); n != 0 {
		t.Errorf("sent %d while composing", n)
	}
	w.keys(kb.Enter, input.ModifierCtrl)
	w.until(`!document.getElementById("composer")`)
	if got := s.box(s.bob, "INBOX"); len(got) != 1 {
		t.Errorf("bob has %+v", got)
	}
}

// Files come in by dropping and by pasting, too.
func TestBrowserAttachesWhatIsDroppedAndPasted(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.keys("c")
	w.until(`document.activeElement.name === "to"`)
	with := `const data = new DataTransfer(); data.items.add(new File(["text"], NAME, { type: "text/plain" })); const text = document.getElementById("text"); `
	w.eval(`{ ` + strings.Replace(with, "NAME", `"dropped.txt"`, 1) + `
		text.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }))
		text.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })) }`)
	w.until(`document.querySelector("#composer .files").textContent.includes("dropped.txt") && !document.getElementById("composer").dataset.drop`)
	w.eval(`{ ` + strings.Replace(with, "NAME", `"貼り付け.txt"`, 1) + `text.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })) }`)
	w.until(`document.querySelectorAll("#composer .files .chip").length === 2 && document.querySelector("#composer .files").textContent.includes("貼り付け.txt")`)
	if d := s.box(s.alice, "Drafts"); len(d) != 1 || d[0].Attachments != 2 {
		t.Errorf("the draft: %+v", d)
	}
}

// Whoever is logged out while writing loses nothing: they log in beside the
// letter and go on.
func TestBrowserKeepsALetterWhenTheSessionEnds(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	w := s.open(t)
	w.enter("alice", "lang=ja&theme=light")
	w.keys("c")
	w.until(`document.activeElement.name === "to"`)
	w.do(input.InsertText("bob@yubin.test"), chromedp.Focus(`#text`), input.InsertText("前半"))
	w.do(network.ClearBrowserCookies())
	s.hangUp()
	w.until(`document.getElementById("live").hidden`)
	w.do(input.InsertText("と後半"), chromedp.Click(`#composer a[data-close]`))
	w.until(`document.querySelector("#composer .alert a[href='/login']")`)
	w.shoot("compose-logged-out-ja")
	if text := w.eval(`document.getElementById("text").value`); text != "前半と後半" {
		t.Fatalf("of the letter there is %q", text)
	}
	w.loginBeside("alice")
	w.do(chromedp.Click(`#composer button[value="send"]`))
	w.until(`!document.getElementById("composer")`)
	if got := s.box(s.bob, "INBOX"); len(got) != 1 || !strings.Contains(s.raw(got[0]), "5YmN5Y2K44Go5b6M5Y2K") && !strings.Contains(s.raw(got[0]), "前半と後半") {
		t.Errorf("bob has %+v", got)
	}
	// The page hears of new mail again.
	s.deliver(s.alice, plainMail("carol@example.jp", "news", "text"))
	w.until(`document.querySelector(".row .subject")?.textContent === "news"`)

	// Somebody else has logged in beside it: that is said, and nothing is done.
	w.do(network.ClearBrowserCookies())
	w.loginBeside("bob")
	w.keys("j")
	w.keys("#")
	w.until(`document.querySelector(".me").title === "bob@yubin.test" && document.querySelector(".toast")?.textContent.includes("bob@yubin.test")`)
	if len(s.box(s.alice, "INBOX")) != 1 {
		t.Error("something was done")
	}
}

// A folder that another device makes leaves the letter over the list alone.
func TestBrowserWritesWhileFoldersChange(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.keys("c")
	w.until(`document.activeElement.name === "to"`)
	w.do(chromedp.Focus(`#text`), input.InsertText("a letter"))
	if _, err := s.Store.CreateMailbox(t.Context(), s.alice.ID, "elsewhere", ""); err != nil {
		t.Fatal(err)
	}
	w.until(`document.querySelector('.folders a[data-folder="elsewhere"]')`)
	if err := s.Store.DeleteMailbox(t.Context(), s.alice.ID, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	w.until(`!document.querySelector('.folders a[data-folder="elsewhere"]') && document.querySelector(".folders a")`)
	// Nor does somebody else who logs in change the page around it.
	before := w.eval(`document.querySelector(".folders").textContent`)
	w.do(network.ClearBrowserCookies())
	w.loginBeside("bob")
	s.hangUp()
	w.until(`document.getElementById("live").hidden`)
	w.do(chromedp.Click(`#composer button[value="send"]`))
	w.until(`document.querySelector("#composer .alert").textContent.includes("bob@yubin.test")`)
	if after := w.eval(`document.querySelector(".folders").textContent`); after != before {
		t.Errorf("the folders are %q", after)
	}
	if text := w.eval(`document.getElementById("text")?.value`); text != "a letter" {
		t.Errorf("of the letter there is %q", text)
	}
}

// loginBeside logs in as another tab would.
func (w *window) loginBeside(name string) {
	w.Helper()
	w.eval(`fetch("/login").then(r => r.text()).then(t => {
		const form = new DOMParser().parseFromString(t, "text/html").querySelector("input[type=password]").form
		return fetch("/login", { method: "POST", body: new URLSearchParams({ proof: form.elements.proof.value, address: "` + name + `@yubin.test", password: "` + name + `" }) })
	}).then(() => true)`)
}
