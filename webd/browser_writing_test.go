package webd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

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
