package webd

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// open gives a test a window, logged in as Alice.
func (s *labSite) open(t *testing.T) *window {
	t.Helper()
	w := newWindow(t, s.base)
	w.login("alice@example.test", "secret", "lang=en")
	return w
}

// atStep waits until the page shows so many steps played.
func atStep(n string) chromedp.Action {
	return chromedp.WaitVisible(`.player[data-played="` + n + `"]:not(.busy)`)
}

func TestBrowserPlaysAScenario(t *testing.T) {
	site := newLabSite(t, nil)
	w := site.open(t)
	w.do(
		emulation.SetDeviceMetricsOverride(1440, 900, 1, false),
		chromedp.Navigate(w.URL+"/lab/read-sync?lang=en"),
		chromedp.WaitVisible(`#next`),
	)
	w.look("lab-idle-en", 1440, 900, "light")
	w.do(chromedp.Click(`#next`), atStep("1"), chromedp.KeyEvent(kb.ArrowRight), atStep("2"))
	// A deep link plays up to its step, in the language that it asks for.
	w.do(chromedp.Click(`#player [value="stop"]`))
	w.until(`document.getElementById("player").dataset.live === "false"`)
	w.do(chromedp.Navigate(w.URL+"/lab/read-sync?step=4&lang=ja"), atStep("4"))
	var state struct {
		Lang, Say, Phone, Wrong string
		Tabs                    int
	}
	read := `({Lang: document.documentElement.lang, Say: document.querySelector(".say").innerText, Wrong: document.querySelector("td.wrong, .facts .wrong")?.innerText ?? "",
		Phone: [...document.querySelectorAll(".lcard.imap .mails")].at(-1).innerText, Tabs: document.querySelectorAll(".talktabs a").length})`
	w.do(chromedp.Evaluate(read, &state))
	if state.Lang != "ja" || !strings.Contains(state.Say, "アリスのスマホ") || state.Wrong != "" {
		t.Errorf("step 4 in Japanese: %+v", state)
	}
	w.look("lab-ja-light", 1440, 900, "light")
	w.look("lab-ja-dark", 1440, 900, "dark")
	w.look("lab-ja-mobile", 390, 1300, "light")
	// A cell leads to the lines that prove it.
	w.do(
		emulation.SetDeviceMetricsOverride(1440, 900, 1, false),
		chromedp.Evaluate(`document.querySelectorAll(".results tbody tr")[2].querySelectorAll("td a")[2].click()`, nil),
	)
	w.until(`document.querySelector(".talk.pick1 li.hit .x")?.innerText.includes("FETCH")`)
	w.look("lab-evidence-ja", 1440, 900, "light")
	// It stays in sight when the page is drawn anew.
	w.do(chromedp.Click(`#player [value="stop"]`))
	w.until(`document.getElementById("player").dataset.live === "false"`)
	w.until(`document.querySelector(".talk.pick1 li.hit .x")?.innerText.includes("FETCH")`)
	w.do(chromedp.Click(`#player [value="back"]`), atStep("3"))
}

func TestBrowserPlaysByItself(t *testing.T) {
	site := newLabSite(t, nil)
	w := site.open(t)
	w.do(
		chromedp.Navigate(w.URL+"/lab/mixed"), chromedp.WaitVisible(`#auto`),
		chromedp.SetValue(`#speed`, "4"), chromedp.Evaluate(`document.getElementById("speed").dispatchEvent(new Event("change", {bubbles: true}))`, nil),
		chromedp.Click(`#auto`), atStep("4"),
	)
	w.until(`!document.querySelector("#auto[aria-pressed=true]")`)
	w.look("lab-mixed-en", 1440, 900, "light")
}

func TestBrowserFollowsARunElsewhere(t *testing.T) {
	site := newLabSite(t, nil)
	w := site.open(t)
	w.do(chromedp.Navigate(w.URL+"/lab/pop3-delete"), chromedp.Click(`#next`), atStep("1"))
	// Another page of the same login plays on.
	w.do(
		chromedp.Evaluate(`fetch(location.pathname, {method: "POST", headers: {Accept: "application/json"}, body: new URLSearchParams({do: "next", from: "1", token: document.querySelector('meta[name="token"]').content})}).then(r => r.ok)`, nil),
		atStep("2"),
	)
}

func TestBrowserPlaysFreely(t *testing.T) {
	site := newLabSite(t, nil)
	w := site.open(t)
	press := func(value string) chromedp.Action {
		return chromedp.Tasks{
			chromedp.WaitVisible(`.player:not(.busy)`),
			chromedp.Evaluate(`document.querySelector('button[value="`+value+`"]').click()`, nil),
			chromedp.WaitVisible(`.player:not(.busy)`),
		}
	}
	w.do(emulation.SetDeviceMetricsOverride(1440, 1300, 1, false), chromedp.Navigate(w.URL+"/lab/free?lang=en"), chromedp.WaitVisible(`.player`))
	for _, what := range []string{
		"again", "deliver", "act imap pc fetch", "act imap phone fetch", "act web pc fetch", "act web phone fetch",
		"act pop3-delete pc fetch", "act imap pc open", "deliver", "act web pc open", "connect",
	} {
		t.Log(what)
		w.do(press(what))
	}
	w.do(chromedp.WaitVisible(`#typed`), chromedp.SendKeys(`#typed`, "a1 LOGIN {user} {password}"), chromedp.SendKeys(`#typed`, kb.Enter),
		chromedp.WaitVisible(`.player:not(.busy)`))
	w.look("lab-free-en", 1440, 1300, "light")
	w.until(`document.querySelector(".talk.pick1")?.innerText.includes("a1 OK")`)
	w.look("lab-free-en", 1440, 1300, "light")
}

func TestBrowserPlaysAllScenarios(t *testing.T) {
	site := newLabSite(t, nil)
	w := site.open(t)
	w.do(chromedp.Navigate(w.URL+"/lab?lang=ja"), chromedp.Click(`[data-busy]`), chromedp.WaitVisible(`.results tbody tr:last-child td:last-child a`))
	var red int
	w.do(chromedp.Evaluate(`document.querySelectorAll(".results .wrong").length`, &red))
	if red > 0 {
		t.Errorf("%d cells are red", red)
	}
	w.look("lab-index-ja", 1440, 900, "light")
	w.look("lab-index-ja-mobile", 390, 900, "light")
}
