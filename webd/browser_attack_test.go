package webd

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/yubin-mail/yubin/store"
)

// The files in testdata/attacks are one mail each that tries one thing, which
// its X-Attack field names. Their scripts say "owned" and the name of the file
// on the console; what must never be fetched is at evil.example, pictures
// that may be fetched when they are wanted are at picture.example, and what a
// click may open in another window is at link.example.

// attackMail is a file of the corpus, delivered to Alice.
type attackMail struct {
	name string
	uid  store.UID
}

func (s *mailSite) attacked() (all []attackMail) {
	s.Helper()
	files, err := filepath.Glob("testdata/attacks/*.eml")
	if err != nil || len(files) < 60 {
		s.Fatalf("%d files of attacks, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		if head, _, _ := strings.Cut(string(text), "\n\n"); !strings.Contains(head, "\nX-Attack: ") {
			s.Errorf("%s does not say what it tries", file)
		}
		all = append(all, attackMail{strings.TrimSuffix(filepath.Base(file), ".eml"), s.deliver(s.alice, string(text))})
	}
	return all
}

func TestBrowserWithstandsHostileMail(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	all := s.attacked()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorDeny))
	cookies := w.eval(`document.cookie`)
	message := func(m attackMail) string { return fmt.Sprintf("/m/inbox/%d", m.uid) }
	// calm checks that a page is what was asked for, and did nothing.
	calm := func(m attackMail, path string) {
		t.Helper()
		for _, what := range w.ran() {
			t.Errorf("%s at %s: %s", m.name, path, what)
		}
		at := w.eval(`location.href + " " + (() => { try { return document.cookie } catch { return "" } })() + " " + ` + handlers)
		if at != w.URL+path+" "+cookies+" " && at != w.URL+path+"  " { // a sandbox has no cookies
			t.Errorf("%s at %s: the page is at %s", m.name, path, at)
		}
	}
	show := func(m attackMail, path string) {
		t.Helper()
		w.do(chromedp.Navigate(w.URL + path)) // with its frames, and what they load
		calm(m, path)
	}
	asked := func(m attackMail, may string) (some bool) {
		t.Helper()
		for _, to := range w.left() {
			if ok := may != "" && strings.HasPrefix(to, may); ok {
				some = true
			} else if !strings.HasPrefix(to, "http://link.example/") {
				t.Errorf("%s: asked for %s", m.name, to)
			}
		}
		return some
	}

	var pictures []attackMail // those that name some
	for _, m := range all {
		show(m, message(m))
		w.drawn()
		if w.eval(`document.querySelector(".blk") !== null`) == "true" {
			pictures = append(pictures, m)
		}
		w.poke()
		calm(m, message(m))
		if bad := w.eval(walkViews); bad != "" {
			t.Errorf("%s: %s", m.name, bad)
		}
		calm(m, message(m)+"/parts")
		if strings.HasPrefix(m.name, "mime-") {
			for part := range strings.FieldsSeq(w.eval(`[...document.querySelectorAll("td a[download]")].map(a => a.getAttribute("href")).join(" ")`)) {
				if err := chromedp.Run(w.ctx, chromedp.Navigate(w.URL+part)); err == nil || !strings.Contains(err.Error(), "ERR_ABORTED") {
					t.Errorf("%s: %s is not saved but shown: %v", m.name, part, err)
				}
				calm(m, message(m)+"/parts")
			}
		}
		show(m, message(m)+"/body")
		asked(m, "")
	}

	// Pictures that are wanted are fetched by the browser, and nothing else is.
	// The mail that names a plain picture proves that fetching is seen.
	fetched := map[string]bool{}
	for _, m := range pictures {
		show(m, message(m))
		asked(m, "")
		w.do(chromedp.Click(`.blk a[data-open]`))
		w.until(`document.querySelector("iframe.letter").src.endsWith("?images=1") && document.querySelector(".blk:not(:has(a))")`)
		w.framed()
		calm(m, message(m)+"?images=1")
		show(m, message(m)+"/print?images=1")
		fetched[m.name] = asked(m, "http://picture.example/"+m.name+".png")
	}
	if !fetched["load-named-picture"] || len(pictures) < 10 {
		t.Errorf("of %d mails with pictures these had theirs fetched: %v", len(pictures), fetched)
	}
}

// handlers lists elements of a page that have handlers: ours never do.
const handlers = `[...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).map(e => e.outerHTML.slice(0, 200)).join(" ")`

// walkViews goes through the views of a message, and looks at what its parts
// are sent as.
const walkViews = `(async () => {
  const bad = []
  for (const view of ["arrived", "headers", "source", "parts"]) {
    document.querySelector('[data-view="' + view + '"]').click()
    while (!document.querySelector("#reader.at-" + view)) await new Promise(requestAnimationFrame)
    bad.push(` + handlers + `)
  }
  for (const link of document.querySelectorAll("td a[download]")) {
    const head = (await fetch(link.href)).headers
    const sent = ["content-type", "content-disposition", "content-security-policy", "x-content-type-options"].map(n => head.get(n)).join(" | ")
    if (!/^(application\/octet-stream|text\/plain|text\/calendar|image\/gif|image\/png|message\/rfc822) \| attachment[^|]* \| ` + filePolicy + ` \| nosniff$/.test(sent)) bad.push(sent)
  }
  return bad.join("")
})()`

// poke moves the pointer over what a mail says, presses there and types, and
// closes the windows that this may have opened.
func (w *window) poke() {
	w.Helper()
	var p []float64
	w.do(chromedp.Evaluate(`(() => { const r = document.querySelector("iframe.letter, .text").getBoundingClientRect(); return [r.x + 30, r.y + 30] })()`, &p))
	mouse := func(kind input.MouseType, button input.MouseButton) chromedp.Action {
		return input.DispatchMouseEvent(kind, p[0], p[1]).WithButton(button).WithClickCount(1)
	}
	w.do(mouse(input.MouseMoved, input.None), mouse(input.MousePressed, input.Left), mouse(input.MouseReleased, input.Left))
	w.eval("1") // by now the page knows of it
	open, err := chromedp.Targets(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	for _, one := range open {
		if one.OpenerID == chromedp.FromContext(w.ctx).Target.TargetID {
			if err := target.CloseTarget(one.TargetID).Do(cdp.WithExecutor(w.ctx, chromedp.FromContext(w.ctx).Browser)); err != nil {
				w.Error(err)
			}
		}
	}
	w.do(cdppage.BringToFront())
}

// Each of the three walls alone keeps all scripts of the corpus from running,
// and the first and the third keep what they are to keep from being fetched.
// Without any of them some of the corpus does what it says, so that all of
// this proves something.
func TestBrowserNeedsButOneWall(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	texts := map[string]string{}
	for _, m := range s.attacked() {
		texts[m.name] = s.htmlOf(m.uid)
	}
	// The page of a wall has a frame for each text.
	walled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wall, name := r.URL.Query().Get("wall"), r.URL.Query().Get("name")
		text := texts[name]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case r.URL.Path != "/":
			http.NotFound(w, r)
			return
		case wall == "sanitiser":
			text = sanitised(text, false, func(string) string { return "" })
		case wall == "policy" && name != "":
			policy, _, _ := strings.Cut(framePolicy(false), "; sandbox")
			w.Header().Set("Content-Security-Policy", policy)
		}
		fmt.Fprint(w, "<!doctype html><meta charset=utf-8><title>a text</title><body><div>", text, "</div>")
	}))
	t.Cleanup(walled.Close)
	w := newWindow(t, walled.URL)
	// enter fills a page with a frame for each text, behind one wall.
	enter := func(wall string, names []string) {
		t.Helper()
		w.do(chromedp.Navigate(w.URL + "/"))
		all, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		w.eval(fmt.Sprintf(`for (const name of %s) {
			const frame = document.createElement("iframe")
			if (%q === "frame") frame.sandbox = "allow-popups allow-popups-to-escape-sandbox"
			frame.addEventListener("load", () => frame.className = "loaded")
			frame.src = "/?" + new URLSearchParams({ wall: %[2]q, name })
			document.body.append(frame)
		}`, all, wall))
	}
	for _, wall := range []string{"sanitiser", "policy", "frame"} {
		names := slices.Collect(maps.Keys(texts))
		if wall != "sanitiser" {
			// How deep a text nests is bounded by no other wall, and some
			// browsers never finish with it.
			names = slices.DeleteFunc(names, func(name string) bool { return name == "depth" })
		}
		enter(wall, names)
		// Where anything is fetched, a few frames may wait for it for ever.
		w.until(fmt.Sprintf(`document.querySelectorAll("iframe.loaded").length > %d - 10`, len(names)))
		if ran := w.ran(); len(ran) > 0 {
			t.Errorf("the wall %s alone lets run: %s", wall, ran)
		}
		for _, to := range w.left() {
			// A policy has no say in where a frame goes; its sandbox has.
			if wall == "sanitiser" || wall == "policy" && !strings.HasSuffix(to, "/meta-refresh") {
				t.Errorf("the wall %s alone lets ask for %s", wall, to)
			}
		}
	}

	enter("none", alive)
	missing := slices.Clone(alive)
	for start := time.Now(); len(missing) > 0; w.drawn() {
		did := append(w.ran(), w.left()...)
		missing = slices.DeleteFunc(missing, func(name string) bool {
			return slices.ContainsFunc(did, func(one string) bool { return strings.Contains(one, name) })
		})
		if time.Since(start) > waitLimit {
			t.Fatalf("these attacks do nothing even where nothing keeps them: %s", missing)
		}
	}
	w.do(chromedp.Navigate("about:blank"))
	w.ran() // of the last moment
}

// alive are attacks that must succeed where there is no wall.
var alive = []string{"script-inline", "script-torn", "events-error", "events-animation", "url-javascript-encoded", "svg-onload", "mutation-noscript",
	"charset-jis-escape", "load-backgrounds", "load-links", "css-element", "css-escapes", "svg-fetches"}

// htmlOf is the HTML of a message of Alice's, as it came.
func (s *mailSite) htmlOf(uid store.UID) string {
	s.Helper()
	box, err := s.Store.Mailbox(s.Context(), s.alice.ID, "INBOX")
	if err != nil {
		s.Fatal(err)
	}
	var all strings.Builder
	err = s.Store.Each(s.Context(), box.ID, []store.UID{uid}, store.WantStructure, func(m *store.Message) error {
		b, err := s.Store.OpenBody(s.Context(), m.Blob)
		if err != nil {
			return err
		}
		defer b.Close()
		for _, p := range shownParts(m.Structure, true) {
			text, _, err := partText(b, p, maxShown)
			if err != nil {
				return err
			}
			all.WriteString(text)
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return all.String()
}
