package webd

import (
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func (o *officeTest) cursor(who string) string {
	o.Helper()
	status, c := o.json(who, "POST", "/api/v1/cursor", "")
	if status != 200 {
		o.Fatal(status, c)
	}
	return c["cursor"].(string)
}

func letterTo(to, subject, text string) string {
	return "From: Shop <shop@shop.example>\nTo: " + to + "\nSubject: " + subject + "\n\n" + text + "\n"
}

// A test waits before or after the mail arrives; either way it gets it.
func TestWait(t *testing.T) {
	o := newOfficeTest(t, nil)
	bob := basic("bob")
	o.mail(o.bob, letterTo("bob@example.test", "confirm: old", "1111"))
	from := o.cursor(bob)
	type result struct {
		status int
		found  map[string]any
	}
	results := make(chan result, 1) // one request
	go func() {
		status, found := o.json(bob, "GET", "/api/v1/wait?timeout=30s&subject~=Confirm&after="+from, "")
		results <- result{status, found}
	}()
	o.mail(o.ada, letterTo("ada@example.test", "confirm: not for bob", ""))
	o.mail(o.bob, letterTo("bob@example.test", "something else", ""))
	o.mail(o.bob, letterTo("bob@example.test", "Please CONFIRM", "code 482913"))
	o.mail(o.bob, letterTo("bob@example.test", "confirm: later", ""))
	r := <-results
	if r.status != 200 {
		t.Fatal(r)
	}
	m := r.found["message"].(map[string]any)
	if m["subject"] != "Please CONFIRM" || fmt.Sprint(m["codes"]) != "[482913]" {
		t.Errorf("%v", m)
	}
	// The next wait goes on behind the message.
	next := r.found["cursor"].(string)
	if status, found := o.json(bob, "GET", "/api/v1/wait?timeout=0&after="+next, ""); status != 200 || found["message"].(map[string]any)["subject"] != "confirm: later" {
		t.Error(status, found)
	}
	// Flags are no arrival.
	box, err := o.s.Store.Mailbox(t.Context(), o.bob.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	now := o.cursor(bob)
	if _, err := o.s.Store.SetFlags(t.Context(), box.ID, []store.UID{1, 2}, store.AddFlags, store.Flags{System: store.Seen}); err != nil {
		t.Fatal(err)
	}
	status, p := o.json(bob, "GET", "/api/v1/wait?timeout=0&after="+now, "")
	if status != 408 || len(p["arrived"].([]any)) != 0 {
		t.Error(status, p)
	}
	// Who waits for something else is told what there was.
	status, p = o.json(bob, "GET", "/api/v1/wait?timeout=0&subject=confirm&after="+from, "")
	if status != 408 || len(p["arrived"].([]any)) != 3 {
		t.Fatal(status, p)
	}
	if again, p := o.json(bob, "GET", "/api/v1/wait?timeout=0&after="+p["cursor"].(string), ""); again != 408 {
		t.Error(again, p)
	}
	// Without a cursor, the newest.
	if status, found := o.json(bob, "GET", "/api/v1/wait?subject~=confirm", ""); status != 200 || found["message"].(map[string]any)["subject"] != "confirm: later" {
		t.Error(status, found)
	}
	if o.s.waiters.all != 0 || len(o.s.waiters.of) != 0 {
		t.Errorf("%d still wait", o.s.waiters.all)
	}
}

func TestWaitFor(t *testing.T) {
	o := newOfficeTest(t, nil)
	if err := o.s.Store.AddAlias(t.Context(), "info@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	o.mail(o.bob, letterTo("bob+one@example.test", "first", "ご確認ください"))
	o.mail(o.bob, letterTo("BOB@example.test, info@example.test", "第二", "plain"))
	o.mail(o.bob, "Received: from a by b with ESMTP\n for <bob+blind@example.test>; x\nFrom: Anna <anna@a.test>\nTo: undisclosed:;\nSubject: third\n\nx\n")
	for query, want := range map[string]string{
		"":                                 "third",
		"to=bob@example.test":              "third",
		"to=bob":                           "parameter",
		"to=Bob%2BOne@Example.test":        "first",
		"to=bob%2Btwo@example.test":        "timeout",
		"to=bob%2Bblind@example.test":      "third",
		"to=info@example.test":             "第二",
		"subject=second":                   "timeout",
		"subject=" + url.QueryEscape("第二"): "第二",
		"subject~=" + url.QueryEscape("二"): "第二",
		"from~=ANNA":                       "third",
		"from~=anna%40a.test%3E":           "third",
		"body~=" + url.QueryEscape("確認ください"): "first",
		"body~=PLAIN&subject~=first":         "timeout",
		"from~=shop&body~=plain":             "第二",
		"to=ada@example.test":                "others-mail",
		"to=ada@example.test&subject~=x":     "others-mail",
	} {
		_, found := o.json(basic("bob"), "GET", "/api/v1/wait?timeout=0&"+query, "")
		got := found["code"]
		if m, ok := found["message"].(map[string]any); ok {
			got = m["subject"]
		}
		if got != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	// In a demonstration, an administrator waits for anybody's.
	if status, found := o.json(basic("ada"), "GET", "/api/v1/wait?timeout=0&to=bob%2Bone@example.test", ""); status != 200 {
		t.Error(status, found)
	}
	if status, _ := o.json(o.token(o.ada, "read"), "GET", "/api/v1/wait?timeout=0&to=bob@example.test", ""); status != 403 {
		t.Errorf("with a token to read: %d", status)
	}
}

// Deliveries of what looks like junk are arrivals too, copies by hand are not.
func TestWaitLooksWhereMailArrives(t *testing.T) {
	o := newOfficeTest(t, nil)
	from := o.cursor(basic("bob"))
	boxes, err := o.s.Store.Mailboxes(t.Context(), o.bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range boxes {
		if _, _, err := o.s.Store.Append(t.Context(), m.ID, []store.Appended{{Body: store.Bytes("Subject: in " + m.Name + "\r\n\r\n")}}); err != nil {
			t.Fatal(err)
		}
	}
	_, p := o.json(basic("bob"), "GET", "/api/v1/wait?timeout=0&subject=none&after="+from, "")
	var got []string
	for _, m := range p["arrived"].([]any) {
		got = append(got, m.(map[string]any)["mailbox"].(string))
	}
	if slices.Sort(got); !slices.Equal(got, []string{"INBOX", "Junk"}) {
		t.Errorf("%v", got)
	}
}

func TestTooManyWait(t *testing.T) {
	var w waiters
	for i := range maxUserWaiters + 1 {
		if ok := w.enter(1); ok != (i < maxUserWaiters) {
			t.Errorf("%d: %v", i, ok)
		}
	}
	w.leave(1)
	if !w.enter(1) {
		t.Error("after one has left")
	}
	others := 0
	for w.enter(store.UserID(2 + others/maxUserWaiters)) {
		others++
	}
	if others != maxWaiters-maxUserWaiters {
		t.Errorf("%d others", others)
	}
	o := newOfficeTest(t, nil)
	for o.s.waiters.enter(o.ada.ID) {
	}
	if status, p := o.json(basic("ada"), "GET", "/api/v1/wait?timeout=0", ""); status != 429 {
		t.Error(status, p)
	}
	if status, _ := o.json(basic("bob"), "GET", "/api/v1/wait?timeout=0", ""); status != 408 {
		t.Error(status)
	}
}

// A server that stops does not wait for those who wait.
func TestWaitEndsWithTheServer(t *testing.T) {
	o := newOfficeTest(t, nil)
	from := o.cursor(basic("ada"))
	status := make(chan int, 1) // one request
	go func() {
		n, _ := o.json(basic("ada"), "GET", "/api/v1/wait?timeout=60s&after="+from, "")
		status <- n
	}()
	o.s.cancel()
	if n := <-status; n != 503 {
		t.Error(n)
	}
}

func TestCursor(t *testing.T) {
	c := cursor{{1, 2, 3, 4}, {9, 8, 7, 1 << 60}}
	again, err := parseCursor(c.String())
	if err != nil || !slices.Equal(again, c) {
		t.Errorf("%v, %v", again, err)
	}
	for _, text := range []string{"", "====", "MTox", strings.Repeat("A", 8192)} {
		if c, err := parseCursor(text); err == nil {
			t.Errorf("%.20q is %v", text, c)
		}
	}
}

// A cursor that somebody made up shows nothing that is not theirs.
func TestForgedCursor(t *testing.T) {
	o := newOfficeTest(t, nil)
	o.mail(o.ada, letterTo("ada@example.test", "private", ""))
	box, err := o.s.Store.Mailbox(t.Context(), o.ada.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	forged := cursor{{box.ID, box.UIDValidity, 1, 0}}.String()
	if status, p := o.json(basic("bob"), "GET", "/api/v1/wait?timeout=0&after="+forged, ""); status != 408 || len(p["arrived"].([]any)) != 0 {
		t.Error(status, p)
	}
}

func TestCodes(t *testing.T) {
	for text, want := range map[string]string{
		"Your code is 482913.":                                    "482913",
		"確認コード：４８２９１３ です":                                         "482913",
		"認証番号は1234です":                                             "1234",
		"G-482913 is your code":                                   "",
		"482913":                                                  "482913",
		"code: 123":                                               "",
		"code: 123456789":                                         "",
		"on 2026-11-23 at 1530, 2026/11/23 or 11.2026":            "1530",
		"2026年11月23日":                                             "",
		"call 03-1234-5678 or +81312345678":                       "",
		"for $1200, ¥5000, 12,000 or 3000円":                       "",
		"order #4711, code 9988":                                  "9988",
		"see https://shop.example/?c=482913 now":                  "",
		"mail 123456@shop.example":                                "",
		"room 1024\n\n\n\n\n\nYour one-time password:\n\n  5567 ": "5567 1024",
		"7777 and 7777":                                           "7777",
		"id x1234 5678y":                                          "",
		"use 1234-5678":                                           "",
		"ref 1234. Then 5678, please":                             "1234 5678",
	} {
		if got := strings.Join(codesIn("", text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := codesIn("Your code 1234", "5678"); !slices.Equal(got, []string{"1234", "5678"}) {
		t.Errorf("%v", got)
	}
}

func TestLinks(t *testing.T) {
	page := `<a href="https://a.test/?x=1&amp;y=2">a</a><a href=' https://b.test '>b</a><a href="javascript:alert(1)">c</a><a href="mailto:x@y.test">d</a>
		<img src="https://tracker.test/"><a>e</a><A HREF="HTTPS://up.test">f</A><map><area href="http://map.test/"></map><a href="https://b.test">again</a><!-- <a href="https://no.test"> -->`
	text := "see https://b.test, (https://c.test/path) and www.d.test or https://日本.test/会議。"
	want := []string{"https://a.test/?x=1&y=2", "https://b.test", "http://map.test/", "https://c.test/path", "https://日本.test/会議"}
	if got := linksIn(page, text); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := linksIn("", strings.Repeat("https://x.test/ ", 3)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "https://x.test/%d ", i)
	}
	if got := linksIn("", many.String()); len(got) != maxExtracts {
		t.Errorf("%d", len(got))
	}
}

// A wait is over when the right to wait is: nothing is told of what comes
// later.
func TestWaitEndsWithItsToken(t *testing.T) {
	for how, end := range map[string]func(*officeTest, store.TokenID) error{
		"token": func(o *officeTest, id store.TokenID) error {
			_, err := o.s.Store.RemoveToken(o.Context(), o.bob.ID, id)
			return err
		},
		"suspended": func(o *officeTest, _ store.TokenID) error {
			yes := true
			_, err := o.s.Store.UpdateUser(o.Context(), o.bob.ID, store.UserChange{Suspended: &yes})
			return err
		},
		"password": func(o *officeTest, _ store.TokenID) error {
			other := "another"
			_, err := o.s.Store.UpdateUser(o.Context(), o.bob.ID, store.UserChange{Password: &other})
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			o := newOfficeTest(t, nil)
			secret, token, err := o.s.Store.CreateToken(t.Context(), o.bob.ID, "test", []string{scopeRead}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			proof := "Bearer " + secret
			if how == "password" {
				proof = basic("bob")
			}
			from := o.cursor(basic("bob"))
			status := make(chan int, 1) // one request
			go func() {
				code, _ := o.json(proof, "GET", "/api/v1/wait?timeout=60s&after="+from, "")
				status <- code
			}()
			for waiting := false; !waiting; runtime.Gosched() {
				o.s.waiters.mu.Lock()
				waiting = o.s.waiters.all == 1
				o.s.waiters.mu.Unlock()
			}
			if err := end(o, token.ID); err != nil {
				t.Fatal(err)
			}
			o.mail(o.bob, letterTo("bob@example.test", "too late", ""))
			if got := <-status; got != 401 {
				t.Errorf("%d", got)
			}
		})
	}
}
