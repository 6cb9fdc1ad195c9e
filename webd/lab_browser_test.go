package webd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// labBrowser opens a window of the browser, logged in.
func labBrowser(t *testing.T, site *labSite) context.Context {
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
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page's script has failed: %v", e.ExceptionDetails)
		}
	})
	run(t, ctx, network.ClearBrowserCookies())
	run(t, ctx,
		chromedp.Navigate(site.base+"/login?lang=en"),
		chromedp.SetValue(`input[name="address"]`, "alice@example.test"),
		chromedp.SetValue(`input[name="password"]`, "secret"),
		chromedp.Click(`.card form .pri`),
		chromedp.WaitVisible(`nav.tabs`),
	)
	return ctx
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// shoot takes a picture, at a width and in a theme.
func shoot(t *testing.T, ctx context.Context, name string, width, height int64, dark bool) {
	t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	var picture []byte
	run(t, ctx,
		emulation.SetDeviceMetricsOverride(width, height, 1, width < 700),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}),
		chromedp.Evaluate(`document.documentElement.scrollWidth <= innerWidth`, nil),
		chromedp.CaptureScreenshot(&picture),
	)
	var fits bool
	run(t, ctx, chromedp.Evaluate(`document.documentElement.scrollWidth <= innerWidth + 1`, &fits))
	if !fits {
		t.Errorf("%s: the page is wider than %d", name, width)
	}
	if dir := os.Getenv("YUBIN_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// atStep waits until the page shows so many steps played.
func atStep(n string) chromedp.Action {
	return chromedp.WaitVisible(`.player[data-played="` + n + `"]:not(.busy)`)
}

func TestLabInABrowser(t *testing.T) {
	site := newLabSite(t, nil)
	ctx := labBrowser(t, site)
	run(t, ctx,
		emulation.SetDeviceMetricsOverride(1440, 900, 1, false),
		chromedp.Navigate(site.base+"/lab/read-sync?lang=en"),
		chromedp.WaitVisible(`#next`),
	)
	shoot(t, ctx, "lab-idle-en", 1440, 900, false)
	run(t, ctx, chromedp.Click(`#next`), atStep("1"), chromedp.KeyEvent(kb.ArrowRight), atStep("2"))
	// A deep link plays up to its step, in the language that it asks for.
	run(t, ctx, chromedp.Click(`#player [value="stop"]`), chromedp.Poll(`document.getElementById("player").dataset.live === "false"`, nil))
	run(t, ctx, chromedp.Navigate(site.base+"/lab/read-sync?step=4&lang=ja"), atStep("4"))
	var state struct {
		Lang, Say, Phone, Wrong string
		Tabs                    int
	}
	read := `({Lang: document.documentElement.lang, Say: document.querySelector(".say").innerText, Wrong: document.querySelector("td.wrong, .facts .wrong")?.innerText ?? "",
		Phone: [...document.querySelectorAll(".lcard.imap .mails")].at(-1).innerText, Tabs: document.querySelectorAll(".talktabs a").length})`
	run(t, ctx, chromedp.Evaluate(read, &state))
	if state.Lang != "ja" || !strings.Contains(state.Say, "アリスのスマホ") || state.Wrong != "" {
		t.Errorf("step 4 in Japanese: %+v", state)
	}
	shoot(t, ctx, "lab-ja-light", 1440, 900, false)
	shoot(t, ctx, "lab-ja-dark", 1440, 900, true)
	shoot(t, ctx, "lab-ja-mobile", 390, 1300, false)
	// A cell leads to the lines that prove it.
	run(t, ctx,
		emulation.SetDeviceMetricsOverride(1440, 900, 1, false),
		chromedp.Evaluate(`document.querySelectorAll(".results tbody tr")[2].querySelectorAll("td a")[2].click()`, nil),
		chromedp.Poll(`document.querySelector(".talk.pick1 li.hit .x")?.innerText.includes("FETCH")`, nil),
	)
	shoot(t, ctx, "lab-evidence-ja", 1440, 900, false)
	run(t, ctx, chromedp.Click(`#player [value="back"]`), atStep("3"))
}

func TestAutoPlaysToTheEnd(t *testing.T) {
	site := newLabSite(t, nil)
	ctx := labBrowser(t, site)
	run(t, ctx,
		chromedp.Navigate(site.base+"/lab/mixed"), chromedp.WaitVisible(`#auto`),
		chromedp.SetValue(`#speed`, "4"), chromedp.Evaluate(`document.getElementById("speed").dispatchEvent(new Event("change", {bubbles: true}))`, nil),
		chromedp.Click(`#auto`), atStep("4"),
		chromedp.Poll(`!document.querySelector("#auto[aria-pressed=true]")`, nil),
	)
	shoot(t, ctx, "lab-mixed-en", 1440, 900, false)
}

func TestTheBoardFollowsARunElsewhere(t *testing.T) {
	site := newLabSite(t, nil)
	ctx := labBrowser(t, site)
	run(t, ctx, chromedp.Navigate(site.base+"/lab/pop3-delete"), chromedp.Click(`#next`), atStep("1"))
	// Another page of the same login plays on.
	run(t, ctx,
		chromedp.Evaluate(`fetch(location.pathname, {method: "POST", headers: {Accept: "application/json"}, body: new URLSearchParams({do: "next", from: "1", token: document.querySelector('meta[name="token"]').content})}).then(r => r.ok)`, nil),
		atStep("2"),
	)
}

func TestFreePlayLooks(t *testing.T) {
	site := newLabSite(t, nil)
	ctx := labBrowser(t, site)
	press := func(value string) chromedp.Action {
		return chromedp.Tasks{
			chromedp.WaitVisible(`.player:not(.busy)`),
			chromedp.Evaluate(`document.querySelector('button[value="`+value+`"]').click()`, nil),
			chromedp.WaitVisible(`.player:not(.busy)`),
		}
	}
	run(t, ctx, emulation.SetDeviceMetricsOverride(1440, 1300, 1, false), chromedp.Navigate(site.base+"/lab/free?lang=en"), chromedp.WaitVisible(`.player`))
	for _, what := range []string{
		"again", "deliver", "act imap pc fetch", "act imap phone fetch", "act web pc fetch", "act web phone fetch",
		"act pop3-delete pc fetch", "act imap pc open", "deliver", "act web pc open", "connect",
	} {
		t.Log(what)
		run(t, ctx, press(what))
	}
	run(t, ctx, chromedp.WaitVisible(`#typed`), chromedp.SendKeys(`#typed`, "a1 LOGIN {user} {password}"), chromedp.SendKeys(`#typed`, kb.Enter),
		chromedp.WaitVisible(`.player:not(.busy)`))
	shoot(t, ctx, "lab-free-en", 1440, 1300, false)
	run(t, ctx, chromedp.Poll(`document.querySelector(".talk.pick1")?.innerText.includes("a1 OK")`, nil, chromedp.WithPollingTimeout(5*time.Second)))
	shoot(t, ctx, "lab-free-en", 1440, 1300, false)
}

func TestLabIndexLooks(t *testing.T) {
	site := newLabSite(t, nil)
	ctx := labBrowser(t, site)
	run(t, ctx, chromedp.Navigate(site.base+"/lab?lang=ja"), chromedp.Click(`[data-busy]`), chromedp.WaitVisible(`.results tbody tr:last-child td:last-child a`))
	var red int
	run(t, ctx, chromedp.Evaluate(`document.querySelectorAll(".results .wrong").length`, &red))
	if red > 0 {
		t.Errorf("%d cells are red", red)
	}
	shoot(t, ctx, "lab-index-ja", 1440, 900, false)
	shoot(t, ctx, "lab-index-ja-mobile", 390, 900, false)
}
