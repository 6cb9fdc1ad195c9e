package webd

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

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

// A stream that broke goes on where it ended: what came meanwhile comes in,
// once, and nothing moves.
func TestBrowserHearsWhatItHasMissed(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	for i := range 60 {
		s.deliver(s.alice, plainMail("list@example.jp", fmt.Sprint("digest ", i), "text"))
	}
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	s.deliver(s.alice, plainMail("list@example.jp", "before", "text"))
	w.until(`document.querySelector('.row[data-uid="61"]')`)
	w.eval(`document.getElementById("list").scrollTop = 900; document.querySelector('.row[data-uid="40"] a').focus({ preventScroll: true })`)
	where := `Math.round(document.querySelector('.row[data-uid="48"]').getBoundingClientRect().top)`
	before := w.eval(where)
	resumed := make(chan string, 1)
	chromedp.ListenTarget(w.ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSentExtraInfo); ok {
			if id, ok := e.Headers["Last-Event-ID"].(string); ok {
				select {
				case resumed <- id:
				default:
				}
			}
		}
	})
	s.hangUp()
	s.deliver(s.alice, plainMail("list@example.jp", "meanwhile", "text"))
	w.until(`document.querySelector('.row[data-uid="62"]')`)
	select {
	case id := <-resumed:
		if len(parseTold(id)) == 0 {
			t.Errorf("it went on from %q", id)
		}
	case <-w.ctx.Done():
		t.Error("it did not say from where it went on")
	}
	if n := w.eval(`document.querySelectorAll('.row[data-uid="61"], .row[data-uid="62"]').length`); n != "2" {
		t.Errorf("%s rows of two", n)
	}
	if after := w.eval(where); after != before {
		t.Errorf("what was read has moved from %s to %s", before, after)
	}
	if at := w.eval(`document.activeElement.closest(".row").dataset.uid`); at != "40" {
		t.Errorf("the focus is at %s", at)
	}
}

// Two windows of one person, side by side: what is done in one shows in the
// other without loading it again.
func TestBrowserTellsTheOtherWindow(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	s.furnish()
	a := s.open(t)
	a.enter("alice", "lang=en&theme=light")
	b := a.beside()
	b.visit("/m/inbox")
	b.eval(`window.notLoadedAgain = true`)
	row := `document.querySelector('.row[data-uid="6"]')`
	subjects := `[...document.querySelectorAll(".row .subject")].map(e => e.textContent).join()`
	before := b.eval(subjects)
	b.until(row + `.classList.contains("unread")`)
	a.do(chromedp.Click(`.row[data-uid="6"] a`))
	b.until(`!` + row + `.classList.contains("unread")`)
	a.keys("s")
	b.until(row + `.classList.contains("starred")`)
	a.keys("e")
	b.until(`!` + row + ` && document.querySelectorAll(".row").length === 5`)
	a.until(`[...document.querySelectorAll(".toast")].at(-1).textContent.includes("Archive")`) // the one of the star is there too
	a.keys("z")
	b.until(subjects + ` === ` + fmt.Sprintf("%q", before)) // where it was, though its UID is another
	if b.eval(`window.notLoadedAgain`) != "true" {
		t.Error("the other window has been loaded again")
	}
}

// A folder that does not fit on the page has a scroll bar for all of it, any
// part of which is one request away, and a list that one comes back to stands
// where one left it.
func TestBrowserKeepsThePlaceInALargeFolder(t *testing.T) {
	s := newMailSite(inBrowser{t}, nil)
	const many = 600
	for i := range many {
		s.now = s.now.Add(time.Second) // lists are in this order
		s.deliver(s.alice, plainMail("list@example.jp", fmt.Sprint("digest ", i+1), "text"))
	}
	w := s.open(t)
	w.enter("alice", "lang=en&theme=light")
	w.eval(`document.getElementById("list").scrollTop = document.getElementById("list").scrollHeight`)
	w.until(`document.querySelector('.row[data-uid="1"]')`)
	w.eval(`document.getElementById("list").scrollTop /= 2`)
	w.until(`document.querySelector('.row[data-uid="300"]')`)
	if rows := w.eval(`document.querySelectorAll(".row").length < 200`); rows != "true" {
		t.Error("all rows are on the page")
	}
	where := `Math.round(document.querySelector('.row[data-uid="300"]')?.getBoundingClientRect().top)`
	w.do(chromedp.Click(`.row[data-uid="300"] a`))
	w.until(`location.pathname === "/m/inbox/300" && document.querySelector("#reader h1").textContent === "digest 300"`)
	at := w.eval(where)
	stands := func(after string) {
		t.Helper()
		w.until(where + ` === ` + at)
		if now := w.eval(where); now != at {
			t.Errorf("after %s the row is at %s, not %s", after, now, at)
		}
	}
	w.do(chromedp.NavigateBack())
	w.until(`location.pathname === "/m/inbox"`)
	stands("going back")
	s.deliver(s.alice, plainMail("list@example.jp", "new", "text"))
	w.until(fmt.Sprintf(`document.getElementById("rows").dataset.total === "%d"`, many+1))
	stands("an arrival")
	w.until(`document.querySelector(".pill")?.textContent === "1 new"`)
	w.keys("j")
	w.keys("#")
	w.until(fmt.Sprintf(`document.getElementById("rows").dataset.total === "%d"`, many))
	w.keys("z")
	w.until(fmt.Sprintf(`document.getElementById("rows").dataset.total === "%d"`, many+1))
	if pill := w.eval(`document.querySelector(".pill").textContent`); pill != "1 new" {
		t.Errorf("what came back is news: %s", pill)
	}
	for range 3 {
		s.deliver(s.alice, plainMail("list@example.jp", "new", "text"))
	}
	w.until(`document.querySelector(".pill").textContent === "4 new"`)
	w.do(chromedp.Click(`.folders a[data-folder="Sent"]`))
	w.until(`location.pathname === "/m/Sent" && document.querySelector(".list .empty")`)
	w.do(chromedp.NavigateBack())
	stands("another folder")
	w.do(chromedp.Click(`.row[data-uid="300"] a`))
	w.until(`location.pathname === "/m/inbox/300" && document.querySelector("#reader h1").textContent === "digest 300"`)
	w.do(chromedp.Click(`.top a[data-keep]`))
	w.until(`document.documentElement.lang === "ja" && location.pathname === "/m/inbox/300"`)
	stands("another language")
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
