package webd

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// These tests use the webmail as people do, in chromium. One browser serves
// them all; each test has a window without cookies. With
// YUBIN_SCREENSHOTS set to a folder they leave pictures there to be looked at.

// window is one browser window.
type window struct {
	*testing.T
	*mailSite
	ctx context.Context

	mu       sync.Mutex
	requests []string // addresses asked for
}

// browserStarted is set once a test has asked for the browser.
var browserStarted atomic.Bool

var theBrowser = sync.OnceValues(func() (context.Context, error) {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, fmt.Errorf("there is no chromium: apt-get install chromium fonts-noto-cjk")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 800), chromedp.Flag("lang", "en"))
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(ctx)
	return ctx, chromedp.Run(ctx) // closed by TestMain
})

func TestMain(m *testing.M) {
	code := m.Run()
	if browserStarted.Load() {
		if ctx, err := theBrowser(); err == nil {
			_ = chromedp.Cancel(ctx) // the tests are over whatever it says
		}
	}
	os.Exit(code)
}

// inBrowser is a test whose site is not looked at for leaks: the browser and
// its connections outlive it.
type inBrowser struct{ testing.TB }

// open gives a test a window of the browser.
func (s *mailSite) open(t *testing.T) *window {
	t.Helper()
	if os.Getenv("YUBIN_BROWSER") == "" {
		t.Skip("takes a browser: set YUBIN_BROWSER=1")
	}
	browserStarted.Store(true)
	browser, err := theBrowser()
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	w := &window{T: t, mailSite: s, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *cdpruntime.EventExceptionThrown:
			t.Errorf("a script has failed: %v", e.ExceptionDetails)
		case *network.EventRequestWillBeSent:
			w.mu.Lock()
			w.requests = append(w.requests, e.Request.URL)
			w.mu.Unlock()
		case *cdppage.EventJavascriptDialogOpening:
			t.Errorf("a dialog: %s", e.Message)
			go chromedp.Run(ctx, cdppage.HandleJavaScriptDialog(true))
		}
	})
	w.do(network.Enable(), network.ClearBrowserCookies(), emulation.SetTimezoneOverride("Asia/Tokyo"), chromedp.EmulateViewport(1280, 800))
	return w
}

func (w *window) do(actions ...chromedp.Action) {
	w.T.Helper()
	if err := chromedp.Run(w.ctx, actions...); err != nil {
		w.shoot("failed-" + w.T.Name())
		w.T.Fatalf("%v", err)
	}
}

// login goes in by the login page.
func (w *window) enter(name string, settings string) {
	w.T.Helper()
	w.do(chromedp.Navigate(w.URL+"/login?"+settings),
		chromedp.SendKeys(`input[name="address"]:not([type="hidden"])`, name+"@yubin.test"),
		chromedp.SendKeys(`input[type="password"]`, name+kb.Enter),
		chromedp.WaitVisible(`#list`))
	w.ready()
}

// ready waits for the modules of the page.
func (w *window) ready() {
	w.T.Helper()
	w.until(`document.readyState === "complete" && !document.getElementById("live").hidden`)
}

func (w *window) visit(path string) {
	w.T.Helper()
	w.do(chromedp.Navigate(w.URL + path))
	if strings.HasPrefix(path, "/m/") {
		w.ready()
	}
}

// until waits for a condition of the page to come true. A page that is left
// meanwhile takes the waiting with it, which then begins again.
func (w *window) until(condition string) {
	w.T.Helper()
	script := `(() => { try { return Boolean(` + condition + `) } catch { return false } })()`
	for start := time.Now(); ; {
		var ok bool
		err := chromedp.Run(w.ctx, chromedp.Poll(script, &ok, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(15*time.Second)))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "context") && !strings.Contains(err.Error(), "navigated") || w.ctx.Err() != nil || time.Since(start) > 15*time.Second {
			w.shoot("failed-" + w.T.Name())
			w.T.Fatalf("%v: %s", err, condition)
		}
	}
}

func (w *window) eval(script string) (value string) {
	w.T.Helper()
	var v any
	w.do(chromedp.Evaluate(script, &v, func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return fmt.Sprint(v)
}

// keys presses keys, on the page or in a field. Unlike chromedp's KeyEvent it
// leaves it to the browser to make text of a key, which a page may prevent.
func (w *window) keys(text string, modifiers ...input.Modifier) {
	w.T.Helper()
	for _, r := range text {
		events := kb.Encode(r)
		down := events[0]
		for _, e := range events {
			if e.Type == input.KeyChar {
				down.Type, down.Text = input.KeyDown, e.Text
			}
		}
		for _, m := range modifiers {
			down.Modifiers |= m
			down.Text = ""
		}
		w.do(down, events[len(events)-1])
	}
}

func (w *window) shoot(name string) {
	folder := os.Getenv("YUBIN_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	if err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot(&picture)); err == nil {
		_ = os.MkdirAll(folder, 0o755)
		_ = os.WriteFile(filepath.Join(folder, strings.ReplaceAll(name, "/", "-")+".png"), picture, 0o644)
	}
}

// framed waits until the frame of an HTML mail has been drawn. The page cannot
// look into it, but hears when it has loaded.
func (w *window) framed() {
	w.T.Helper()
	w.until(`performance.getEntriesByType("resource").some(e => e.initiatorType === "iframe" && e.responseEnd > 0)`)
	w.eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))`)
}

const picture = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"

const meeting = "Received: from mx.example.jp (mx.example.jp [192.0.2.7])\n by mail.yubin.test with ESMTPS (TLS1.3 TLS_AES_128_GCM_SHA256) id 7c1m;\n Mon, 23 Nov 2026 15:04:02 +0900\n" +
	"Received: from pc.example.jp (pc [192.0.2.99]) by mx.example.jp with ESMTPSA id 5b2;\n Mon, 23 Nov 2026 15:03:58 +0900\n" +
	"Authentication-Results: mail.yubin.test; spf=pass smtp.mailfrom=example.jp; dkim=pass header.d=example.jp; dmarc=pass header.from=example.jp\n" +
	"From: =?UTF-8?B?5L2Q6JekIOiKseWtkA==?= <hanako@example.jp>\nTo: alice@yubin.test\nSubject: =?UTF-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb77yIMTHmnIgyNeaXpe+8iQ==?=\n" +
	"Message-ID: <h1@example.jp>\nDate: Mon, 23 Nov 2026 15:03:57 +0900\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n" +
	"--b1\nContent-Type: multipart/related; boundary=b2\n\n--b2\nContent-Type: text/html; charset=utf-8\n\n" +
	"<p>アリス様</p><p>会議は15時からです。<br>添付をご確認ください。</p><p><img src=\"cid:logo\" width=60 height=60 alt=logo></p><img src=\"https://tracker.example/a.png\" width=1 height=1><img src=\"https://tracker.example/b.png\"><script>document.title='owned'</script>\n" +
	"--b2\nContent-Type: image/png; name=logo.png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\n" + picture + "\n--b2--\n" +
	"--b1\nContent-Type: text/plain; charset=utf-8\nContent-Disposition: attachment; filename*=utf-8''%E8%AD%B0%E4%BA%8B%E9%8C%B2.txt\n\n議事録\n" +
	"--b1\nContent-Type: image/png\nContent-Disposition: attachment; filename=\"photo.png\"\nContent-Transfer-Encoding: base64\n\n" + picture + "\n--b1--\n"

// furnish fills an inbox as a person's may be.
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
	w.mu.Lock()
	for _, r := range w.requests {
		if u, err := url.Parse(r); err == nil && u.Scheme != "data" && !strings.HasPrefix(r, w.URL) && u.Host != "" {
			t.Errorf("a request left the page: %s", r)
		}
	}
	w.mu.Unlock()

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

func TestBrowserHearsOfArrivalsWhileReading(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	for i := range 60 {
		s.deliver(s.alice, plainMail("list@example.jp", fmt.Sprint("digest ", i), "text"))
	}
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.visit("/m/inbox/40")
	w.until(`!document.getElementById("live").hidden`)
	w.eval(`document.getElementById("list").scrollTop = 900; document.querySelector('.row[data-uid="40"] a').focus({ preventScroll: true })`)
	where := `Math.round(document.querySelector('.row[data-uid="48"]').getBoundingClientRect().top)`
	before := w.eval(where)
	s.deliver(s.alice, plainMail("Carol <carol@example.jp>", "just in", "text"))
	w.until(`document.querySelector('.row[data-uid="61"]') && document.querySelector('[data-folder="inbox"] .count').textContent === "60"`)
	if after := w.eval(where); after != before {
		t.Errorf("what was read has moved from %s to %s", before, after)
	}
	if at := w.eval(`document.activeElement.closest(".row").dataset.uid + " " + location.pathname`); at != "40 /m/inbox/40" {
		t.Errorf("the focus is at %s", at)
	}
	w.until(`document.querySelector('.sr[role="status"]').textContent.includes("Carol")`)

	// Another device reads, stars and deletes.
	box, err := s.Store.Mailbox(t.Context(), s.alice.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	s.star(box.ID, 50)
	s.remove(box.ID, 49)
	w.until(`document.querySelector('.row[data-uid="50"]').classList.contains("starred") && !document.querySelector('.row[data-uid="49"]')`)
}

func TestBrowserMovesByKeyboardAndByDrag(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	if _, err := s.Store.CreateMailbox(t.Context(), s.alice.ID, "仕事", ""); err != nil {
		t.Fatal(err)
	}
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.keys("j")
	w.keys("x")
	w.keys("j")
	w.keys("x")
	w.until(`document.querySelector(".chosen").textContent === "2 selected"`)
	w.shoot("selected-en-light")
	w.keys("b")
	w.until(`document.activeElement.matches(".bulk select")`)
	w.eval(`document.activeElement.value = "仕事"`)
	w.keys(kb.Enter)
	w.until(`document.querySelectorAll(".row").length === 4 && document.querySelector(".toast").textContent.includes("Moved 2 messages to 仕事")`)
	if len(s.box(s.alice, "仕事")) != 2 {
		t.Error("the folder lacks them")
	}
	w.keys("z")
	w.until(`document.querySelectorAll(".row").length === 6`)

	w.drag(`.row:nth-child(3)`, `.folders a[data-folder="Archive"]`)
	w.until(`document.querySelectorAll(".row").length === 5`)
	if got := s.subjects(s.alice, "Archive"); len(got) != 1 {
		t.Errorf("the archive has %v", got)
	}
	w.keys("j")
	w.keys("#")
	w.until(`document.querySelectorAll(".row").length === 4`)
	if len(s.box(s.alice, "Trash")) != 1 {
		t.Error("the trash is empty")
	}
}

// drag drags with the mouse; the browser's own part of it is played.
func (w *window) drag(from, to string) {
	w.T.Helper()
	at := func(selector string) (x, y float64) {
		var p []float64
		w.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector), &p))
		return p[0], p[1]
	}
	x, y := at(from)
	tx, ty := at(to)
	data := make(chan *input.DragData, 1)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*input.EventDragIntercepted); ok {
			data <- e.Data
		}
	})
	mouse := func(kind input.MouseType, x, y float64) chromedp.Action {
		return input.DispatchMouseEvent(kind, x, y).WithButton(input.Left).WithButtons(1).WithClickCount(1)
	}
	w.do(input.SetInterceptDrags(true), mouse(input.MousePressed, x, y), mouse(input.MouseMoved, x+10, y+10), mouse(input.MouseMoved, x+30, y+30))
	select {
	case d := <-data:
		w.do(input.DispatchDragEvent(input.DragEnter, tx, ty, d), input.DispatchDragEvent(input.DragOver, tx, ty, d))
		w.until(fmt.Sprintf(`document.querySelector(%q).classList.contains("over")`, to))
		w.shoot("drag-en-light")
		w.do(input.DispatchDragEvent(input.Drop, tx, ty, d), mouse(input.MouseReleased, tx, ty), input.SetInterceptDrags(false))
	case <-time.After(10 * time.Second):
		w.T.Fatal("nothing is dragged")
	}
}

func TestBrowserOnAPhone(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	w.enter("alice", "lang=ja&theme=light")
	fits := func(where string) {
		t.Helper()
		if wide := w.eval(`document.documentElement.scrollWidth + " " + Math.max(...[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest(".sr, .skip, .sprite, .acts, .views, svg")).map(e => Math.floor(e.getBoundingClientRect().right)))`); wide != "390 390" {
			t.Errorf("%s is wider than the phone: %s", where, wide)
		}
	}
	fits("the list")
	w.shoot("phone-list-ja")
	w.do(chromedp.Click(".menu"))
	w.until(`document.querySelector("#side:popover-open")`)
	w.shoot("phone-menu-ja")
	w.do(chromedp.Click(`.folders a[data-folder="inbox"]`))
	w.until(`!document.querySelector("#side:popover-open")`)
	w.do(chromedp.Click(`.row[data-uid="6"] > a`))
	w.until(`document.querySelector(".reading #reader h1") && !document.getElementById("list").checkVisibility()`)
	fits("a message")
	w.framed()
	w.shoot("phone-read-ja")
	w.do(chromedp.Click(`[data-view="arrived"]`))
	w.until(`document.querySelector(".hops")`)
	fits("how it arrived")
	w.shoot("phone-arrived-ja")
	w.do(chromedp.Click("[data-back]"))
	w.until(`document.getElementById("list").checkVisibility()`)
	w.visit("/compose")
	w.do(chromedp.WaitVisible("#composer"))
	fits("writing")
	w.shoot("phone-compose-ja")
	w.do(chromedp.NavigateBack())
}

func TestBrowserInTheDarkAndInJapanese(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=ja&theme=dark")
	w.visit("/m/inbox/6")
	w.framed()
	w.shoot("read-ja-dark")
	w.do(chromedp.Click("[data-darken]"))
	w.until(`document.querySelector(".darkened")`)
	w.shoot("read-ja-darkened")
	w.visit("/m/inbox/4")
	w.shoot("text-ja-dark")
	if missing := w.eval(`[...document.querySelectorAll("button, a, input, textarea, select, iframe, nav, section, article")].filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length || e.getAttribute("aria-labelledby") || e.placeholder)).map(e => e.outerHTML.slice(0, 80)).join("\n")`); missing != "" {
		t.Errorf("without a name:\n%s", missing)
	}
	if twice := w.eval(`(() => { const ids = [...document.querySelectorAll("[id]")].map(e => e.id); return ids.filter((x, i) => ids.indexOf(x) !== i).join() })()`); twice != "" {
		t.Errorf("identifiers given twice: %s", twice)
	}
	// English words that stayed: whatever is in the catalogue has been translated.
	w.do(chromedp.Click(`.top > .switches a[hreflang="en"]`))
	w.until(`document.documentElement.lang === "en" && location.pathname === "/m/inbox/4"`)
	w.do(chromedp.Click(`.top > .switches [data-theme-switch]`))
	w.until(`!document.documentElement.dataset.theme`)
	w.visit("/settings")
	w.shoot("settings-en")
}

func TestBrowserWelcomesANewcomer(t *testing.T) {
	s := newMailSite(inBrowser{t}, func(c *Config) {
		c.Demo, c.DemoAccounts = true, []DemoAccount{{"alice@yubin.test", "alice"}, {"bob@yubin.test", "bob"}}
	})
	w := s.open(t)
	w.visit("/login?lang=ja&theme=light")
	w.until(`document.querySelectorAll(".demo button").length === 2`)
	w.shoot("login-ja")
	w.visit("/login?lang=en")
	w.do(chromedp.Click(`.demo form:nth-of-type(2) button`))
	w.ready()
	w.until(`document.querySelector(".try").textContent.includes("--mail-rcpt bob@yubin.test")`)
	w.shoot("empty-en")
	w.do(chromedp.Click(`button[formaction="/sample"]`))
	w.until(`document.querySelector(".row .subject")?.textContent === "Welcome to yubin"`)
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

// Contrast as WCAG 2.2 has it, of all text that is seen, in both themes.
func TestBrowserSeesEnoughContrast(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	for _, theme := range []string{"light", "dark"} {
		if theme == "light" {
			w.enter("alice", "lang=en&theme=light")
		}
		for _, path := range []string{"/m/inbox/6?theme=" + theme, "/m/inbox/6/arrived", "/compose", "/search?q=is:unread", "/settings", "/m/Trash"} {
			w.visit(path)
			if poor := w.eval(contrastScript); poor != "" {
				t.Errorf("%s in the %s theme:\n%s", path, theme, poor)
			}
		}
	}
}

// contrastScript lists texts whose contrast with what is behind them is poor.
const contrastScript = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data] }
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0)
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c } return [255, 255, 255, 255] }
  const poor = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.closest(".sr, .skip, script")) continue
    const style = getComputedStyle(e), a = light(rgb(style.color)), b = light(behind(e))
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05)
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700
    if (ratio < (large ? 3 : 4.5)) poor.push(ratio.toFixed(2) + " " + walk.currentNode.textContent.trim().slice(0, 40))
  }
  return poor.join("\n")
})()`

func TestBrowserWithoutScripts(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.do(emulation.SetScriptExecutionDisabled(true))
	w.do(chromedp.Navigate(s.URL+"/login?lang=en&theme=light"),
		chromedp.SendKeys(`input[name="address"]:not([type="hidden"])`, "alice@yubin.test"),
		chromedp.SendKeys(`input[type="password"]`, "alice"+kb.Enter),
		chromedp.WaitVisible(`#list .row`),
		chromedp.Click(`.row[data-uid="6"] > a`),
		chromedp.WaitVisible(`#reader h1`))
	w.shoot("no-scripts")
	w.do(chromedp.Click(`.acts [href$="/reply"]`), chromedp.WaitVisible(`#composer`),
		chromedp.SetValue(`#composer [name="to"]`, "bob@yubin.test"),
		chromedp.Click(`#composer button[value="send"].pri`), chromedp.WaitVisible(`.toast`))
	if len(s.box(s.bob, "INBOX")) != 1 {
		t.Error("not sent")
	}
	w.do(chromedp.Click(`.acts button[value="delete"]`), chromedp.WaitVisible(`.toast button`))
	w.do(chromedp.Click(`.toast button`), chromedp.WaitVisible(`.row:nth-child(6)`))
}
