package webd

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// Every page, in both languages and both themes, on a phone and on a screen:
// nothing sticks out, texts are legible, and assistive technology finds names,
// headings and landmarks.
func TestBrowserFindsEveryPageAccessible(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	site := newLabSite(t, func(c *Config) {
		withServers(c)
		c.Tap = tap
	})
	alice, err := site.system.Store.UserByAddress(t.Context(), "alice@example.test")
	if err != nil {
		t.Fatal(err)
	}
	admin := true
	if _, err := site.system.Store.UpdateUser(t.Context(), alice.ID, store.UserChange{Admin: &admin}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{meeting, plainMail("Bob <bob@example.test>", "Welcome aboard", "The first steps are at https://example.org/start.")} {
		if _, err := site.system.Store.Accept(t.Context(), store.Delivery{Sender: "someone@example.jp", Recipients: []store.Recipient{{User: alice.ID}},
			Body: store.Bytes(strings.ReplaceAll(text, "\n", "\r\n"))}); err != nil {
			t.Fatal(err)
		}
	}
	say(t, tap, "pop3", pop3Of("alice@example.test", "hush")...)
	w := newWindow(t, site.base)
	check := func(path, lang, theme string) {
		t.Helper()
		if status := w.eval(`performance.getEntriesByType("navigation")[0].responseStatus`); status != "200" {
			t.Errorf("%s: status %s", path, status)
		}
		for _, width := range []int64{390, 1280} {
			w.do(emulation.SetDeviceMetricsOverride(width, 844, 1, width < 700))
			w.drawn()
			where := path + " in " + lang + ", " + theme
			w.fits(where)
			if poor := w.eval(contrastScript); poor != "" {
				t.Errorf("%s at %d has too little contrast:\n%s", where, width, poor)
			}
			if lacks := w.eval(accessScript); lacks != "" {
				t.Errorf("%s at %d:\n%s", where, width, lacks)
			}
			if got := w.eval(`document.documentElement.lang`); got != lang {
				t.Errorf("%s says it is in %s", where, got)
			}
		}
	}
	pages := []string{"/m/inbox", "/m/inbox/1", "/m/inbox/1/arrived", "/m/inbox/1/headers", "/m/inbox/2", "/m/Trash", "/compose", "/search?q=is:unread", "/settings", "/settings/tokens", "/setup/clients",
		"/lab", "/lab/read-sync", "/wire", "/admin"}
	for _, look := range [][2]string{{"en", "light"}, {"ja", "dark"}, {"ja", "light"}, {"en", "dark"}} {
		lang, theme := look[0], look[1]
		if look == [2]string{"en", "light"} {
			w.do(chromedp.Navigate(w.URL + "/login?lang=en&theme=light"))
			check("/login", lang, theme)
			w.login("alice@example.test", "secret", "lang=en&theme=light")
		}
		for i, path := range pages {
			if i == 0 {
				path += "?lang=" + lang + "&theme=" + theme
			}
			w.do(chromedp.Navigate(w.URL + path))
			check(path, lang, theme)
		}
	}

	// Whoever walks with Tab sees where they are, and first of all may skip to
	// what the page is about.
	w.visit("/m/inbox/2?lang=en&theme=light")
	w.keys(kb.Tab)
	w.until(`document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().top >= 0`)
	for range 25 {
		w.keys(kb.Tab)
		if hidden := w.eval(focusScript); hidden != "" {
			t.Errorf("the focus cannot be seen on %s", hidden)
		}
	}
}

// focusScript is what has the focus, if it looks no different from before.
const focusScript = `(() => {
  const e = document.activeElement
  if (e === document.body) return ""
  const look = () => [e, e.parentElement].map(x => { const s = getComputedStyle(x); return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor, s.backgroundColor].join() }).join()
  if (getComputedStyle(e).outlineStyle !== "none" && parseFloat(getComputedStyle(e).outlineWidth) >= 2) return ""
  const on = look()
  e.blur()
  const off = look()
  e.focus({ focusVisible: true })
  return on === off ? e.outerHTML.slice(0, 100) : ""
})()`

// accessScript lists what WCAG 2.2 AA asks for and a page lacks: a language
// and a title (2.4.2, 3.1.1), landmarks, headings in order (1.3.1), names of
// controls and pictures (1.1.1, 4.1.2), identifiers of one element only.
const accessScript = `(() => {
  const lacks = []
  const seen = [...document.querySelectorAll("body *")].filter(e => e.checkVisibility())
  if (!document.documentElement.lang || !document.title) lacks.push("a language or a title")
  if (seen.filter(e => e.localName === "main").length !== 1) lacks.push("one main")
  if (seen.filter(e => e.localName === "header").length < 1) lacks.push("a header")
  const text = id => document.getElementById(id)?.textContent ?? ""
  const name = e => (e.ariaLabel || (e.getAttribute("aria-labelledby") ?? "").split(" ").map(text).join("") || [...e.labels ?? []].map(l => l.textContent).join("") || e.title || e.placeholder || e.textContent || [...e.querySelectorAll("img")].map(i => i.alt).join("")).trim()
  for (const e of seen) {
    if (e.matches("button, a[href], input:not([type=hidden]), textarea, select, iframe, dialog, [role=button], [role=toolbar], [role=separator], summary") && !name(e)) lacks.push("a name: " + e.outerHTML.slice(0, 120))
    if (e.localName === "img" && !e.hasAttribute("alt")) lacks.push("alt: " + e.outerHTML.slice(0, 120))
    if (e.localName === "nav" && seen.filter(o => o.localName === "nav").length > 1 && !e.ariaLabel && !e.getAttribute("aria-labelledby")) lacks.push("a name for one of several nav: " + e.outerHTML.slice(0, 120))
    if (e.tabIndex > 0) lacks.push("the order of the page: " + e.outerHTML.slice(0, 120))
  }
  let level = 0
  for (const h of seen.filter(e => /^h[1-6]$/.test(e.localName))) {
    const n = Number(h.localName[1])
    if (level && n > level + 1) lacks.push("a heading before " + h.outerHTML.slice(0, 80))
    level = n
  }
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) lacks.push("an identifier of its own: " + id)
  return [...new Set(lacks)].join("\n")
})()`
