package webd

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func (v *surfer) suggestions() (s suggestions) {
	v.Helper()
	if err := json.Unmarshal([]byte(v.get("/suggestions")), &s); err != nil {
		v.Fatal(err)
	}
	return s
}

func TestPeopleAreSuggested(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	if got := v.get("/suggestions"); !strings.Contains(got, `"people":[]`) {
		t.Errorf("somebody without mail: %s", got)
	}
	for _, from := range []string{"=?UTF-8?B?5L2Q6JekIOiKseWtkA==?= <hanako@example.jp>", `"Sato, Jiro" <jiro@example.jp>`, "Evil =?utf-8?Q?x=0D=0Ay?= <evil@example.jp>", "HANAKO@example.jp"} {
		s.deliver(s.alice, "From: "+from+"\nTo: alice@yubin.test\nSubject: x\n\nx\n")
	}
	spam := s.deliver(s.alice, "From: spam@example.jp\nSubject: x\n\nx\n")
	v.told("/act", url.Values{"do": {"move"}, "to": {"Junk"}, "m": {fmt.Sprint("inbox/", spam)}})
	v.compose("send", url.Values{"to": {"Bob <bob@yubin.test>"}, "subject": {"x"}, "text": {"x"}})

	var people []string
	for _, p := range v.suggestions().People {
		people = append(people, p.Text+" | "+p.Hint)
	}
	want := []string{"Bob <bob@yubin.test> | bob@yubin.test", "佐藤 花子 <HANAKO@example.jp> | HANAKO@example.jp", "Evil x  y <evil@example.jp> | evil@example.jp", `"Sato, Jiro" <jiro@example.jp> | jiro@example.jp`}
	if !slices.Equal(people, want) {
		t.Errorf("suggested are %q", people)
	}
	if other := s.login("bob").suggestions(); len(other.People) != 1 || other.People[0].Hint != "alice@yubin.test" {
		t.Errorf("bob sees %v", other.People)
	}
}

func TestSearchesAreSuggested(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	if _, err := s.Store.CreateMailbox(t.Context(), s.alice.ID, "Trip to Nara", ""); err != nil {
		t.Fatal(err)
	}
	all := v.suggestions()
	if !slices.Contains(all.Folders, suggestion{`in:"Trip to Nara"`, "Trip to Nara"}) || !slices.Contains(all.Folders, suggestion{"in:INBOX", "Inbox"}) {
		t.Errorf("folders: %v", all.Folders)
	}
	for _, some := range [][]suggestion{all.Operators, all.Folders} {
		for _, o := range some {
			text := o.Text
			if strings.HasSuffix(text, ":") {
				text += map[string]string{"after:": "2026-11-23", "before:": "2026-11-23", "larger:": "5M"}[text]
			}
			if strings.HasSuffix(text, ":") {
				text += "inbox"
			}
			if page := v.get("/search?" + url.Values{"q": {text}}.Encode()); strings.Contains(page, `class="alert"`) || len(parseQuery(text).Problems) > 0 {
				t.Errorf("%q is suggested, and not understood", text)
			}
		}
	}
	v.head.Set("Accept-Language", "ja")
	if ja := v.suggestions(); !slices.Contains(ja.Folders, suggestion{"in:INBOX", "受信トレイ"}) || !slices.Contains(ja.Operators, suggestion{"subject:", "件名"}) {
		t.Errorf("in Japanese: %v", ja)
	}
}

func TestBrowserSuggests(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.keys("c")
	w.until(`document.activeElement.matches('.recipients [name="to"]')`)
	w.do(input.InsertText("佐藤"))
	w.until(`document.querySelector('.suggest [aria-selected="true"]')?.textContent.includes("hanako@example.jp") && document.activeElement.getAttribute("aria-activedescendant")`)
	w.shoot("recipients-en-light")
	// While an input method composes, Enter and the arrows belong to it.
	w.eval(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))`)
	if n := w.eval(`document.querySelectorAll(".recipients .chip").length`); n != "0" {
		t.Errorf("%s chips while composing", n)
	}
	w.keys(kb.Enter)
	w.until(`document.querySelector(".recipients .chip")?.textContent.startsWith("佐藤 花子") && document.activeElement.value === ""`)
	w.do(input.InsertText("bob@yubin.test, not-an-address;"))
	w.until(`document.querySelectorAll(".recipients .chip").length === 3 && document.querySelectorAll(".recipients .chip.bad").length === 1`)
	w.shoot("chips-en-light")
	w.keys(kb.Backspace) // to the last chip
	w.until(`document.activeElement.matches(".chip button")`)
	w.keys(kb.Delete)
	w.until(`document.querySelectorAll(".recipients .chip").length === 2 && document.activeElement.matches('[name="to"]')`)
	if all := w.eval(`new FormData(document.getElementById("composer")).getAll("to").join("|")`); all != "佐藤 花子 <hanako@example.jp>|bob@yubin.test|" {
		t.Errorf("the form says %q", all)
	}
	w.do(chromedp.Focus(`#composer [name="subject"]`))
	w.keys(kb.Escape)
	w.until(`!document.getElementById("composer")`)
	w.visit("/m/Drafts")
	w.until(`document.querySelector(".row .who").textContent.includes("bob@yubin.test")`)

	w.keys("/")
	w.until(`!document.querySelector(".search .suggest")?.hidden && document.querySelector(".search .suggest").textContent.includes("from:")`)
	w.shoot("search-suggest-en-light")
	w.keys("in:arc")
	w.until(`document.querySelectorAll(".search .suggest li").length === 1`)
	w.keys(kb.ArrowDown + kb.Enter)
	w.until(`document.activeElement.value === "in:Archive "`)
	w.do(input.InsertText("-from:花子"))
	w.until(`document.querySelector(".search .suggest li")?.textContent.includes("-from:hanako@example.jp")`)
	w.keys(kb.Escape)
	w.until(`document.querySelector(".search .suggest").hidden && document.activeElement.matches(".search input")`)
	w.keys(kb.Enter)
	w.until(`location.pathname === "/search" && new URLSearchParams(location.search).get("q") === "in:Archive -from:花子"`)
}

// BenchmarkSuggestions looks for people in mailboxes of 100 000 messages.
func BenchmarkSuggestions(b *testing.B) {
	s := newMailSite(b, nil)
	v := s.login("alice")
	s.fill(b, "INBOX", 100_000)
	s.fill(b, "Sent", 100_000)
	for b.Loop() {
		v.get("/suggestions")
	}
}
