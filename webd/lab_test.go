package webd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/lab"
)

func TestEveryScenarioPlaysToItsEndWithoutARedCell(t *testing.T) {
	others := goleak.IgnoreCurrent() // a browser of other tests
	t.Cleanup(func() { leak.Check(t, others) })
	site := newLabSite(t, nil)
	for _, lang := range []string{"en", "ja"} {
		t.Run(lang, func(t *testing.T) {
			v := site.login("alice@example.test")
			v.get("/lab?lang=" + lang)
			for _, sc := range lab.Scenarios {
				path := "/lab/" + sc.ID
				for step := range sc.Steps {
					status, page := v.post(path, url.Values{"do": {"next"}, "from": {fmt.Sprint(step)}})
					if status != http.StatusOK {
						t.Fatalf("%s, step %d: %d\n%s", sc.ID, step+1, status, page)
					}
					if want := sc.Steps[step].Text.In(lab.Lang(lang)); !strings.Contains(unescape(page), want) {
						t.Errorf("%s, step %d: the page does not say %q", sc.ID, step+1, want)
					}
					if strings.Contains(page, "✖") {
						t.Errorf("%s, step %d: a result contradicts its lesson:\n%s", sc.ID, step+1, around(page, "✖"))
					}
				}
				for _, file := range []string{"report.md", "report.csv", "report.json", "c1.txt"} {
					if body := v.get(path + "/" + file); len(body) < 100 {
						t.Errorf("%s/%s is %q", sc.ID, file, body)
					} else if file == "report.csv" && !strings.HasPrefix(body, "\ufeffscenario,") {
						t.Errorf("a spreadsheet cannot tell that %s is UTF-8: %q", file, body[:20])
					}
				}
			}
			page := v.get("/lab")
			if unmeasured := lab.Unmeasured(lab.Lang(lang)); strings.Contains(page, unmeasured) {
				t.Errorf("the table has cells that say %q", unmeasured)
			}
			if strings.Contains(page, "✖") {
				t.Error("the table has a red cell")
			}
			var all lab.Report
			if err := json.Unmarshal([]byte(v.get("/lab/all/report.json")), &all); err != nil {
				t.Fatal(err)
			}
			checkReport(t, &all)
		})
	}
}

// checkReport follows every piece of evidence in the report of all scenarios.
func checkReport(t *testing.T, r *lab.Report) {
	if len(r.Scenarios) != len(lab.Scenarios) {
		t.Errorf("%d scenarios are in the report of all", len(r.Scenarios))
	}
	for _, told := range r.Scenarios {
		for _, x := range told.Results {
			for _, e := range x.Evidence {
				if e.Conversation < 1 || e.Conversation > len(r.Conversations) {
					t.Errorf("%s: %s is nowhere", told.ID, e)
				} else if c := r.Conversations[e.Conversation-1]; c.ID != e.Conversation || e.To > len(c.Lines) || c.Column != "" && c.Column != x.Column {
					t.Errorf("%s, %s: %s leads to c%d of %s with %d lines", told.ID, x.Column, e, c.ID, c.Column, len(c.Lines))
				}
			}
		}
	}
	for _, row := range r.Table {
		for _, c := range row.Cells {
			if c.Result == nil {
				t.Errorf("%s, %s: not measured", row.Name, c.Column)
			}
		}
	}
}

func unescape(page string) string {
	return strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(page)
}

func around(page, what string) string {
	i := strings.Index(page, what)
	return page[max(0, i-600):min(len(page), i+100)]
}

func TestNothingIsMeasuredBeforeItIsPlayed(t *testing.T) {
	site := newLabSite(t, nil)
	v := site.login("alice@example.test")
	page := v.get("/lab/read-sync?step=3")
	if n := strings.Count(page, "not measured"); n != len(lab.Axes())*len(lab.Columns) {
		t.Errorf("%d cells are not measured", n)
	}
	if site.users() != 0 {
		t.Error("looking at the page has made accounts")
	}
	if !strings.Contains(page, `value="to 3"`) {
		t.Error("the page does not offer to play up to step 3")
	}
}

func TestStepsGoForthAndBackByPlayingAgain(t *testing.T) {
	site := newLabSite(t, nil)
	v := site.login("alice@example.test")
	path := "/lab/mixed"
	played := func(page string) string {
		return regexp.MustCompile(`data-played="(\d)"`).FindStringSubmatch(page)[1]
	}
	if _, page := v.post(path, url.Values{"do": {"to 3"}}); played(page) != "3" {
		t.Errorf("to step 3: %s", played(page))
	}
	accounts := site.users()
	if _, page := v.post(path, url.Values{"do": {"back"}}); played(page) != "2" {
		t.Errorf("back: %s", played(page))
	}
	if site.users() != accounts {
		t.Errorf("%d accounts after going back, %d before", site.users(), accounts)
	}
	if _, page := v.post(path, url.Values{"do": {"next"}, "from": {"1"}}); played(page) != "2" {
		t.Errorf("a page that is behind has played on to %s", played(page))
	}
	if _, page := v.post(path, url.Values{"do": {"again"}}); played(page) != "0" {
		t.Errorf("again: %s", played(page))
	}
	v.post(path, url.Values{"do": {"stop"}})
	if n := site.users(); n != 0 {
		t.Errorf("%d accounts are left after the run", n)
	}
	// What was measured can still be read.
	if page := v.get(path); !strings.Contains(page, "its accounts are gone") {
		t.Error("the page does not say that the run is over")
	}
}

func TestGuessesAreRevealed(t *testing.T) {
	site := newLabSite(t, nil)
	v := site.login("alice@example.test")
	v.post("/lab/pop3-delete", url.Values{"do": {"to 2"}})
	page := v.get("/lab/pop3-delete")
	if !strings.Contains(page, `name="guess.2.pop3-delete"`) {
		t.Fatal("nothing to guess")
	}
	if _, page = v.post("/lab/pop3-delete", url.Values{"do": {"next"}, "from": {"2"}, "guess.2.pop3-delete": {"2"}}); !strings.Contains(page, "your guess: 2 of 2") || !strings.Contains(page, "× wrong") {
		t.Errorf("a wrong guess is not told: %s", around(page, "facts"))
	}
}

func TestRunsAreBounded(t *testing.T) {
	site := newLabSite(t, nil)
	play := url.Values{"do": {"to 1"}}
	var all []*labVisitor
	for range labsAtOnce {
		v := site.login("alice@example.test")
		if status, _ := v.post("/lab/pop3-keep", url.Values{"do": play["do"]}); status != http.StatusOK {
			t.Fatalf("%d", status)
		}
		all = append(all, v)
	}
	late := site.login("bob@example.test")
	if status, _ := late.post("/lab/pop3-keep", url.Values{"do": play["do"]}); status != http.StatusServiceUnavailable {
		t.Errorf("one run more than there may be: %d", status)
	}
	// Another run of the same visitor takes the place of their first.
	if status, _ := all[0].post("/lab/mixed", url.Values{"do": play["do"]}); status != http.StatusOK {
		t.Errorf("another scenario: %d", status)
	}
	all[1].post("/lab/pop3-keep", url.Values{"do": {"stop"}})
	if status, _ := late.post("/lab/pop3-keep", url.Values{"do": play["do"]}); status != http.StatusOK {
		t.Errorf("after one has ended: %d", status)
	}
}

func TestTheLabIsForThoseWhoAreLoggedIn(t *testing.T) {
	site := newLabSite(t, func(c *Config) { c.Demo = false })
	stranger := &labVisitor{Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, site: site}
	for _, path := range []string{"/lab", "/lab/read-sync", "/lab/read-sync/report.md"} {
		if status := stranger.status(path); status != http.StatusSeeOther {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	for _, path := range []string{"/lab", "/lab/read-sync"} {
		if status, _ := stranger.post(path, url.Values{"do": {"next"}}); status != http.StatusSeeOther {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	v := site.login("alice@example.test")
	if status, _ := v.post("/lab/read-sync", url.Values{"do": {"next"}, "token": {"forged"}}); status != http.StatusForbidden {
		t.Errorf("without the token: %d", status)
	}
	if site.users() != 0 {
		t.Error("accounts were made")
	}
	v.post("/lab/read-sync", url.Values{"do": {"next"}})
	other := site.login("bob@example.test")
	if status := other.status("/lab/read-sync/report.md"); status != http.StatusNotFound {
		t.Errorf("another's report: %d", status)
	}
	for _, path := range []string{"/lab/nonsense", "/lab/read-sync/report.exe", "/lab/read-sync/c999.txt", "/lab/read-sync/c0.txt"} {
		if status := v.status(path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	if status, _ := v.post("/lab/read-sync", url.Values{"do": {"to 99"}}); status != http.StatusBadRequest {
		t.Errorf("a step that there is not: %d", status)
	}
}

func TestABrowserIsToldOfEveryStep(t *testing.T) {
	site := newLabSite(t, nil)
	v := site.login("alice@example.test")
	v.post("/lab/pop3-delete", url.Values{"do": {"again"}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := func(last string) (next func() (id, data string)) {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, site.base+"/lab/pop3-delete/events", nil)
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Last-Event-ID", last)
		resp, err := v.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		lines := bufio.NewScanner(resp.Body)
		return func() (id, data string) {
			for lines.Scan() {
				line := lines.Text()
				if rest, ok := strings.CutPrefix(line, "id: "); ok {
					id = rest
				}
				if rest, ok := strings.CutPrefix(line, "data: "); ok {
					return id, rest
				}
			}
			t.Fatal("the stream has ended")
			return "", ""
		}
	}
	next := listen("")
	if _, data := next(); data != `{"played":0,"live":true}` {
		t.Errorf("at first: %s", data)
	}
	v.post("/lab/pop3-delete", url.Values{"do": {"next"}, "from": {"0"}})
	id, data := next()
	for data != `{"played":1,"live":true}` {
		id, data = next()
	}
	v.post("/lab/pop3-delete", url.Values{"do": {"stop"}})
	for data != `{"played":1,"live":false}` {
		id, data = next()
	}
	// Who comes back and has seen all hears nothing but what is new.
	again := listen(id)
	v.post("/lab/pop3-delete", url.Values{"do": {"again"}})
	if other, _ := again(); other == id {
		t.Errorf("%s was told twice", id)
	}
}

func TestFreePlayInTheBrowser(t *testing.T) {
	site := newLabSite(t, nil)
	v := site.login("alice@example.test")
	do := func(do string, more ...string) string {
		t.Helper()
		fields := url.Values{"do": {do}}
		for i := 0; i+1 < len(more); i += 2 {
			fields.Set(more[i], more[i+1])
		}
		status, page := v.post("/lab/free", fields)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", do, status)
		}
		return page
	}
	do("again")
	do("deliver")
	for _, way := range []string{"pop3-delete", "pop3-keep", "imap", "web"} {
		page := do("act " + way + " pc fetch")
		if !strings.Contains(page, `<option value="f1">`) {
			t.Errorf("%s: the PC does not show the mail", way)
		}
	}
	do("act imap pc open", "mail.imap.pc", "f1")
	do("act web pc open", "mail.web.pc", "f1")
	do("act imap pc reply", "mail.imap.pc", "f1")
	do("act imap pc move", "mail.imap.pc", "f1")
	do("act web pc delete", "mail.web.pc", "f1")
	do("act imap phone lose")
	do("connect", "proto", "pop3", "column", "pop3-keep")
	do("type", "line", "USER {user}")
	do("type", "line", "PASS {password}")
	if page := do("type", "line", "STAT"); !strings.Contains(page, "1 ") || !strings.Contains(page, "PASS ••••") {
		t.Error("the console does not show the conversation")
	}
	for line, want := range map[string]int{"USER bob@example.test": http.StatusUnprocessableEntity, "AUTH PLAIN x": http.StatusUnprocessableEntity} {
		if status, _ := v.post("/lab/free", url.Values{"do": {"type"}, "line": {line}}); status != want {
			t.Errorf("%q: %d", line, status)
		}
	}
	if status, _ := v.post("/lab/free", url.Values{"do": {"connect"}, "proto": {"http://169.254.169.254"}, "column": {"imap"}}); status != http.StatusBadRequest {
		t.Errorf("an address from the request: %d", status)
	}
}
