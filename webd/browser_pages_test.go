package webd

import (
	"testing"

	"github.com/chromedp/chromedp"
)

func TestBrowserOnAPhone(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	w.enter("alice", "lang=ja&theme=light")
	w.fits("the list")
	w.shoot("phone-list-ja")
	w.do(chromedp.Click(".menu"))
	w.until(`document.querySelector("#side:popover-open")`)
	w.shoot("phone-menu-ja")
	w.do(chromedp.Click(`.folders a[data-folder="inbox"]`))
	w.until(`!document.querySelector("#side:popover-open")`)
	w.do(chromedp.Click(`.row[data-uid="6"] > a`))
	w.until(`document.querySelector(".reading #reader h1") && !document.getElementById("list").checkVisibility()`)
	w.fits("a message")
	w.framed()
	w.shoot("phone-read-ja")
	w.do(chromedp.Click(`[data-view="arrived"]`))
	w.until(`document.querySelector(".hops")`)
	w.fits("how it arrived")
	w.shoot("phone-arrived-ja")
	w.do(chromedp.Click("[data-back]"))
	w.until(`document.getElementById("list").checkVisibility()`)
	w.visit("/compose")
	w.do(chromedp.WaitVisible("#composer"))
	w.fits("writing")
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
