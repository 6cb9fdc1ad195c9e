package webd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// The tests in browser_*_test.go use the pages as people do, in chromium. One
// browser serves them all, and each test begins without cookies. With YUBIN_SCREENSHOTS set to a folder they leave
// pictures there to be looked at.

// Nothing here measures time: these only end tests that hang.
const (
	windowLimit = 6 * time.Minute
	waitLimit   = 30 * time.Second
)

// theBrowser starts chromium when the first test asks for it.
var theBrowser = sync.OnceValues(func() (context.Context, error) {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, errors.New("there is no chromium: apt-get install chromium fonts-noto-cjk")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.WSURLReadTimeout(time.Minute), chromedp.WindowSize(1280, 800), chromedp.Flag("lang", "en"),
		// All that is not on loopback is asked of us, and frames are told of
		// with the page they are in.
		chromedp.ProxyServer(theOutside().URL), chromedp.Flag("disable-features", "site-per-process,Translate,BlinkGenPropertyTrees,IsolateSandboxedIframes"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // chromium refuses to be root with it
	}
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(ctx)
	if err := chromedp.Run(ctx); err != nil {
		return nil, fmt.Errorf("chromium does not start: %w", err)
	}
	closeBrowser = func() { _ = chromedp.Cancel(ctx) } // the tests are over whatever it says
	return ctx, nil
})

var closeBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	os.Exit(code)
}

// inBrowser is a test whose site is not looked at for leaks: the browser and
// its connections outlive it.
type inBrowser struct{ testing.TB }

// window is one browser window, at the pages of one site.
type window struct {
	*testing.T
	URL string // of the site
	ctx context.Context

	mu       sync.Mutex
	requests map[network.RequestID]string // addresses asked for, and not refused by the browser itself
	wrong    []string                     // scripts that failed, dialogs, what is said on the console
}

// newWindow opens a window. Without YUBIN_BROWSER the test is skipped; with it
// a browser that does not start is a failure.
func newWindow(t *testing.T, url string) *window {
	t.Helper()
	if os.Getenv("YUBIN_BROWSER") == "" {
		t.Skip("takes a browser: set YUBIN_BROWSER=1")
	}
	browser, err := theBrowser()
	if err != nil {
		t.Fatal(err)
	}
	w := openWindow(t, url, browser)
	w.do(network.ClearBrowserCookies())
	return w
}

// beside is another window of the same person.
func (w *window) beside() *window { return openWindow(w.T, w.URL, w.ctx) }

func openWindow(t *testing.T, url string, browser context.Context) *window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, windowLimit)
	t.Cleanup(cancel)
	w := &window{T: t, URL: url, ctx: ctx, requests: map[network.RequestID]string{}}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, what := range w.wrong {
			t.Error(what)
		}
		theOutside().take() // the next window begins anew
	})
	chromedp.ListenTarget(ctx, w.hear)
	w.do(network.Enable(), emulation.SetTimezoneOverride("Asia/Tokyo"), chromedp.EmulateViewport(1280, 800))
	return w
}

func (s *mailSite) open(t *testing.T) *window {
	t.Helper()
	return newWindow(t, s.URL)
}

// hear notes what happens in a window.
func (w *window) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		w.wrong = append(w.wrong, fmt.Sprintf("a script has failed: %v", e.ExceptionDetails))
	case *network.EventRequestWillBeSent:
		w.requests[e.RequestID] = e.Request.URL
	case *network.EventLoadingFailed:
		if e.BlockedReason != "" {
			delete(w.requests, e.RequestID)
		}
	case *cdpruntime.EventConsoleAPICalled:
		for _, a := range e.Args {
			w.wrong = append(w.wrong, fmt.Sprintf("on the console: %s", a.Value))
		}
	case *cdppage.EventJavascriptDialogOpening:
		w.wrong = append(w.wrong, "a dialog: "+e.Message)
		go chromedp.Run(w.ctx, cdppage.HandleJavaScriptDialog(true))
	}
}

func (w *window) do(actions ...chromedp.Action) {
	w.Helper()
	if err := chromedp.Run(w.ctx, actions...); err != nil {
		w.fail(err.Error())
	}
}

// fail ends the test, and leaves a picture of what there is to see.
func (w *window) fail(why string) {
	w.Helper()
	w.shoot("failed-" + w.Name())
	w.Fatal(why)
}

// login goes in by the login page.
func (w *window) login(address, password, settings string) {
	w.Helper()
	w.do(chromedp.Navigate(w.URL+"/login?"+settings),
		chromedp.SendKeys(`input[name="address"]:not([type="hidden"])`, address),
		chromedp.SendKeys(`input[type="password"]`, password+kb.Enter))
	w.until(`document.querySelector("nav.tabs")`)
}

// enter logs in to the webmail as somebody whose password is their name.
func (w *window) enter(name, settings string) {
	w.Helper()
	w.login(name+"@yubin.test", name, settings)
	w.ready()
}

// ready waits for the modules of a page of the webmail.
func (w *window) ready() {
	w.Helper()
	w.until(`document.readyState === "complete" && !document.getElementById("live").hidden`)
}

func (w *window) visit(path string) {
	w.Helper()
	w.do(chromedp.Navigate(w.URL + path))
	if strings.HasPrefix(path, "/m/") {
		w.ready()
	}
}

// until waits for a condition of the page to come true. A page that is left
// meanwhile takes the waiting with it, which then begins again.
func (w *window) until(condition string) {
	w.Helper()
	script := `(() => { try { return Boolean(` + condition + `) } catch { return false } })()`
	for start := time.Now(); ; {
		var ok bool
		err := chromedp.Run(w.ctx, chromedp.Poll(script, &ok, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(waitLimit)))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "context") && !strings.Contains(err.Error(), "navigated") || w.ctx.Err() != nil || time.Since(start) > waitLimit {
			w.fail(err.Error() + ": " + condition)
		}
	}
}

// eval is the value of an expression, or what it promises, as text.
func (w *window) eval(script string) (value string) {
	w.Helper()
	var v any
	w.do(chromedp.Evaluate(script, &v, func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return fmt.Sprint(v)
}

// keys presses keys, on the page or in a field. Unlike chromedp's KeyEvent it
// leaves it to the browser to make text of a key, which a page may prevent.
func (w *window) keys(text string, modifiers ...input.Modifier) {
	w.Helper()
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

// shoot takes a picture, if pictures are wanted.
func (w *window) shoot(name string) {
	folder := os.Getenv("YUBIN_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	if err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot(&picture)); err != nil {
		w.Log("no picture:", err)
		return
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		w.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, strings.ReplaceAll(name, "/", "-")+".png"), picture, 0o644); err != nil {
		w.Error(err)
	}
}

// look makes the window a phone or a screen, in a theme that the system asks
// for, and takes a picture. The page must not be wider than the window.
func (w *window) look(name string, width, height int64, scheme string) {
	w.Helper()
	w.do(emulation.SetDeviceMetricsOverride(width, height, 1, width < 700),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
	w.drawn()
	w.fits(name)
	w.shoot(name)
}

// fits checks that nothing is outside of the window to the right, but what
// scrolls by itself or is there for screen readers.
func (w *window) fits(where string) {
	w.Helper()
	if wide := w.eval(fitScript); wide != "" {
		w.Errorf("%s is wider than the window: %s", where, wide)
	}
}

const fitScript = `(() => {
  const root = document.documentElement, wide = root.clientWidth // a phone's innerWidth gives way
  const scrolls = e => { for (e = e.parentElement; e; e = e.parentElement) if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX) && e !== document.body && e !== document.documentElement) return true; return false }
  const out = [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest(".sr, .skip, .sprite, svg") && e.getBoundingClientRect().right > wide + 1 && !scrolls(e))
  return (root.scrollWidth > wide ? root.scrollWidth + " of " + wide + " " : "") + out.slice(0, 3).map(e => e.outerHTML.slice(0, 100)).join(" ")
})()`

// drawn waits until the page has been drawn.
func (w *window) drawn() {
	w.Helper()
	w.eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// framed waits until the frame of an HTML mail has been drawn. The page cannot
// look into it, but hears when it has loaded.
func (w *window) framed() {
	w.Helper()
	w.until(`performance.getEntriesByType("resource").some(e => e.initiatorType === "iframe" && e.responseEnd > 0)`)
	w.drawn()
}

// drag drags with the mouse; the browser's own part of it is played.
func (w *window) drag(from, to string) {
	w.Helper()
	at := func(selector string) (x, y float64) {
		var p []float64
		w.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector), &p))
		return p[0], p[1]
	}
	data := make(chan *input.DragData, 10)
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
	w.do(input.SetInterceptDrags(true))
	for start := time.Now(); time.Since(start) < waitLimit; {
		x, y := at(from)
		w.do(mouse(input.MousePressed, x, y), mouse(input.MouseMoved, x+10, y+10), mouse(input.MouseMoved, x+30, y+30))
		w.drawn()
		select {
		case d := <-data:
			tx, ty := at(to)
			w.do(input.DispatchDragEvent(input.DragEnter, tx, ty, d), input.DispatchDragEvent(input.DragOver, tx, ty, d))
			w.until(fmt.Sprintf(`document.querySelector(%q).classList.contains("over")`, to))
			w.shoot("drag-en-light")
			w.do(input.DispatchDragEvent(input.Drop, tx, ty, d), mouse(input.MouseReleased, tx, ty), input.SetInterceptDrags(false))
			return
		default:
			// The row was put anew under the pointer: take the one there is now.
			w.do(mouse(input.MouseMoved, 1, 1), mouse(input.MouseReleased, 1, 1))
		}
	}
	w.fail("nothing is dragged")
}
