package webd

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// stream reads the events of a page.
type stream struct {
	*testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (v *surfer) stream(t *testing.T, at, last string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, v.URL+"/live?at="+url.QueryEscape(at), nil)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := v.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("a stream of %s", kind)
	}
	return &stream{t, bufio.NewScanner(resp.Body), cancel}
}

// next waits for an event.
func (s *stream) next() (id, name, data string) {
	s.Helper()
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value
		case "":
			if name != "" {
				return id, name, data
			}
		}
	}
	s.Fatalf("the stream has ended: %v", s.lines.Err())
	return "", "", ""
}

func TestAPageHearsOfArrivalsAndGoesOnWhereItWas(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "one", "text"))
	v := s.login("alice")
	page := v.get("/m/inbox")
	at := strings.Split(strings.SplitAfter(page, `data-at="`)[1], `"`)[0]

	// What came between the page and its stream is not lost.
	s.deliver(s.alice, plainMail("bob@yubin.test", "two", "text"))
	live := v.stream(t, at, "")
	id, name, data := live.next()
	if name != "mail" {
		t.Fatalf("event %s", name)
	}
	wants(t, data, `"box":"inbox","flags":[{"uid":2,"unread":true}]`, `"count":2`, `"total":"2 messages"`)

	box, err := s.Store.Mailbox(t.Context(), s.alice.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.SetFlags(t.Context(), box.ID, []store.UID{1}, store.AddFlags, store.Flags{System: store.Seen}); err != nil {
		t.Fatal(err)
	}
	_, _, data = live.next()
	wants(t, data, `"flags":[{"uid":1}]`)
	live.cancel()

	// A browser that comes back hands in the last identifier it has seen.
	if _, err := s.Store.Remove(t.Context(), box.ID, []store.UID{2}); err != nil {
		t.Fatal(err)
	}
	_, _, data = v.stream(t, at, id).next()
	wants(t, data, `"gone":[2]`, `{"uid":1}`)

	// Nobody hears of another's mail.
	other := s.login("bob").stream(t, at, id)
	_, _, data = other.next()
	if strings.Contains(data, "changes\":[{") {
		t.Errorf("bob hears %s", data)
	}
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	live := v.stream(t, "", "")
	live.next()
	v.post("/logout", url.Values{})
	if _, name, _ := live.next(); name != "over" {
		t.Errorf("event %s", name)
	}
	v = s.login("alice")
	live = v.stream(t, "", "")
	live.next()
	yes := true
	if _, err := s.Store.UpdateUser(t.Context(), s.alice.ID, store.UserChange{Suspended: &yes}); err != nil {
		t.Fatal(err)
	}
	s.deliver(s.alice, plainMail("bob@yubin.test", "one", "text")) // wakes the stream
	if _, name, _ := live.next(); name != "over" {
		t.Errorf("event %s", name)
	}
	if status, _ := s.surfer().do(http.MethodGet, "/live", nil); status != http.StatusOK { // the login page
		t.Errorf("a stranger's stream: %d", status)
	}
}

func TestAStreamEndsWithTheServer(t *testing.T) {
	s := newMailSite(t, nil)
	live := s.login("alice").stream(t, "", "")
	live.next()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live.lines.Scan() {
		t.Errorf("after the end: %s", live.lines.Text())
	}
}
