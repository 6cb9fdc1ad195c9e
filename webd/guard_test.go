package webd

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestOtherNamesForThisHostAreRefused(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.Hosts = []string{"mail.home.arpa"} })
	for host, want := range map[string]int{
		"127.0.0.1:8025": 200, "[::1]:8025": 200, "localhost:8025": 200, "192.168.1.5": 200,
		"mail.yubin.test": 200, "MAIL.home.ARPA:8025": 200, "lab.localhost": 200,
		"yubin.test": 200, "autoconfig.YUBIN.test.": 200, "autodiscover.yubin.test:8025": 200, "other.yubin.test": 421, "autoconfig.autodiscover.yubin.test": 421,
		"later.example": 421, "autoconfig.later.example": 421, "[yubin.test]x": 421,
		"evil.example": 421, "evil.example:8025": 421, "mail.yubin.test.evil.example": 421, "127.0.0.1.nip.example": 421,
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/login", nil)
		r.Host = host
		if status, _ := s.surfer().send(r); status != want {
			t.Errorf("Host: %s is answered %d, want %d", host, status, want)
		}
	}

	// A domain counts from the moment on that it is ours.
	if _, err := s.Store.CreateUser(t.Context(), store.NewUser{Address: "eve@later.example", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"later.example", "autoconfig.later.example:8025"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/login", nil)
		r.Host = host
		if status, _ := s.surfer().send(r); status != http.StatusOK {
			t.Errorf("Host: %s is answered %d", host, status)
		}
	}
}

// Every route that changes something is asked from elsewhere, and without
// the token.
func TestWritesNeedOriginAndToken(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "one", "text"))
	v := s.login("alice")
	forms := map[string]url.Values{
		"/act":             {"do": {"delete"}, "m": {"inbox/1"}},
		"/undo":            {"undo": {"x"}},
		"/logout":          {},
		"/sessions/end":    {"session": {"others"}},
		"/images":          {"sender": {"a@example.jp"}},
		"/sample":          {},
		"/folders/create":  {"name": {"x"}},
		"/folders/rename":  {"folder": {"x"}, "name": {"y"}},
		"/folders/delete":  {"folder": {"x"}},
		"/folders/empty":   {"folder": {"Trash"}},
		"/compose":         {"do": {"send"}, "to": {"bob@yubin.test"}, "id": {"aaaaaaaaaaaaaaaaaaaa"}},
		"/compose?draft=1": {"do": {"save"}, "id": {"aaaaaaaaaaaaaaaaaaab"}},
	}
	for path, fields := range forms {
		if status, _ := v.do(http.MethodPost, path, fields); status != http.StatusForbidden {
			t.Errorf("POST %s without the token: %d", path, status)
		}
		fields.Set("token", "wrong")
		if status, _ := v.do(http.MethodPost, path, fields); status != http.StatusForbidden {
			t.Errorf("POST %s with a wrong token: %d", path, status)
		}
		fields.Set("token", v.token)
		for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
			v.head = http.Header{name: {value}}
			if status, _ := v.do(http.MethodPost, path, fields); status != http.StatusForbidden {
				t.Errorf("POST %s with %s: %s: %d", path, name, value, status)
			}
		}
		v.head = http.Header{}
		stranger := s.surfer()
		if status, body := stranger.do(http.MethodPost, path, fields); !strings.Contains(body, `name="password"`) {
			t.Errorf("POST %s by a stranger: %d", path, status)
		}
	}
	if got := s.subjects(s.alice, "INBOX"); len(got) != 1 {
		t.Errorf("something was changed: %v", got)
	}
	if status, _ := v.do(http.MethodGet, "/act?do=delete&m=inbox/1&token="+v.token, nil); status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
		t.Errorf("GET /act: %d", status)
	}
}

func TestLoginFormIsNotTakenFromElsewhere(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.surfer()
	status, body := v.do(http.MethodPost, "/login", url.Values{"address": {"alice@yubin.test"}, "password": {"alice"}, "proof": {"guess"}})
	if status != http.StatusForbidden || strings.Contains(body, `id="list"`) {
		t.Errorf("a form without its cookie: %d", status)
	}
	v.get("/login")
	status, _ = v.do(http.MethodPost, "/login", url.Values{"address": {"alice@yubin.test"}, "password": {"alice"}, "proof": {""}})
	if status != http.StatusForbidden {
		t.Errorf("an empty proof: %d", status)
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.SessionIdle, c.SessionMax = time.Hour, 24*time.Hour })
	isIn := func(v *surfer) bool {
		_, body := v.do(http.MethodGet, "/m/inbox", nil)
		return strings.Contains(body, `id="list"`)
	}
	cookie := func(v *surfer) string {
		u, _ := url.Parse(s.URL)
		for _, c := range v.Jar.Cookies(u) {
			if c.Name == "yubin" {
				return c.Value
			}
		}
		return ""
	}

	v := s.login("alice")
	old := cookie(v)
	v.do(http.MethodPost, "/logout", url.Values{"token": {v.token}})
	thief := s.surfer()
	u, _ := url.Parse(s.URL)
	thief.Jar.SetCookies(u, []*http.Cookie{{Name: "yubin", Value: old}})
	if isIn(v) || isIn(thief) {
		t.Error("a session goes on after the logout")
	}

	// A secret that was planted is not the one after the login.
	planted := s.surfer()
	planted.Jar.SetCookies(u, []*http.Cookie{{Name: "yubin", Value: "planted"}})
	planted.loginAs("alice", "alice")
	if c := cookie(planted); c == "planted" || c == "" {
		t.Errorf("the session is named %q", c)
	}
	before := cookie(planted)
	page := s.surfer()
	page.Jar.SetCookies(u, []*http.Cookie{{Name: "yubin", Value: before}})
	if !isIn(page) {
		t.Fatal("not logged in")
	}

	idle := s.login("alice")
	s.now = s.now.Add(59 * time.Minute)
	if !isIn(idle) {
		t.Error("ended too early")
	}
	s.now = s.now.Add(61 * time.Minute)
	if isIn(idle) {
		t.Error("goes on after the idle time")
	}
	long := s.login("alice")
	for range 30 {
		s.now = s.now.Add(50 * time.Minute)
		isIn(long)
	}
	if isIn(long) {
		t.Error("goes on after the absolute time")
	}

	changed := s.login("alice")
	password := "other"
	if _, err := s.Store.UpdateUser(t.Context(), s.alice.ID, store.UserChange{Password: &password}); err != nil {
		t.Fatal(err)
	}
	if isIn(changed) {
		t.Error("goes on after the password has changed")
	}
	if status := s.surfer().loginAs("alice", "alice"); status != http.StatusUnauthorized {
		t.Errorf("the old password: %d", status)
	}

	// A restart forgets nobody, and what was ended stays so.
	one, two := s.login("bob"), s.login("bob")
	restart := func() { s.sessions.forget(func(*session) bool { return true }) }
	restart()
	if !isIn(one) || !isIn(two) {
		t.Error("a restart logs people out")
	}
	if status, _ := one.post("/act", url.Values{"do": {"read"}}); status == http.StatusForbidden {
		t.Error("the forms of a page that was open before a restart do not work after it")
	}
	s.now = s.now.Add(time.Minute)
	isIn(one)
	if all, err := s.sessions.of(t.Context(), s.bob.ID); err != nil || len(all) != 2 || !all[0].Seen.Equal(s.now) {
		t.Errorf("the logins are %+v, %v", all, err)
	}
	restart()
	wants(t, one.get("/settings"), "Log out everywhere else")
	one.post("/sessions/end", url.Values{"session": {"others"}})
	if !isIn(one) || isIn(two) {
		t.Error("ending the others ended the wrong ones")
	}
	three := s.login("bob")
	all, err := s.sessions.of(t.Context(), s.bob.ID)
	if err != nil || len(all) != 2 {
		t.Fatalf("the logins are %+v, %v", all, err)
	}
	restart()
	alice := s.surfer()
	alice.loginAs("alice", password)
	alice.get("/settings")
	alice.post("/sessions/end", url.Values{"session": {fmt.Sprint(all[0].ID)}})
	if !isIn(three) {
		t.Error("somebody has ended another's login")
	}
	one.post("/sessions/end", url.Values{"session": {fmt.Sprint(all[0].ID)}})
	if isIn(three) || !isIn(one) {
		t.Error("a login that was not in use since the restart cannot be ended")
	}
}

func TestPagesAreConfined(t *testing.T) {
	s := newMailSite(t, func(c *Config) { c.Secure = true })
	resp, err := http.Get(s.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Error("the policy allows something unsafe")
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, c := range resp.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
			t.Errorf("cookie %v", c)
		}
	}
	b, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b {
		text, _ := templateFiles.ReadFile("templates/" + f.Name())
		for _, bad := range []string{" onclick=", " onload=", " style=", "javascript:", "<style"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %q, which the policy forbids", f.Name(), bad)
			}
		}
	}
}

func TestNoOpenRedirect(t *testing.T) {
	for to, want := range map[string]string{
		"/m/inbox/41?q=a": "/m/inbox/41?q=a", "//evil.example": "/m/inbox", "https://evil.example/": "/m/inbox", `/\evil.example`: "/m/inbox",
		"/\\/evil": "/m/inbox", "javascript:alert(1)": "/m/inbox", "": "/m/inbox", "/a\r\nSet-Cookie: x": "/m/inbox", "/m/a%2Fb": "/m/a%2Fb", "///evil": "/m/inbox",
	} {
		if got := ours(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

// Whatever others may choose is text on our pages: subjects, names of people,
// files and folders, drafts, what was searched for.
func TestTextFromOthersStaysText(t *testing.T) {
	s := newMailSite(t, nil)
	evil := `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`
	s.deliver(s.alice, "From: \""+strings.ReplaceAll(evil, `"`, `\"`)+"\" <a@example.jp>\nReply-To: "+evil+" <b@example.jp>\nTo: "+evil+" <alice@yubin.test>\nCc: "+evil+" <c@example.jp>\nSubject: "+evil+"\nMessage-ID: <"+evil+"@x>\nReceived: from "+evil+" by "+evil+" with "+evil+" id "+evil+"; Mon, 23 Nov 2026 15:00:00 +0900\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n"+evil+"\nhttp://x/\"><script>\n--b\nContent-Type: application/x; name*=utf-8''%3Cscript%3Ealert(3)%3C%2Fscript%3E\nContent-Disposition: attachment\nContent-ID: "+evil+"\n\nx\n--b--\n")
	v := s.login("alice")
	v.post("/folders/create", url.Values{"name": {evil}})
	v.compose("save", url.Values{"to": {evil}, "subject": {evil}, "text": {"</textarea>" + evil}})
	for _, path := range []string{
		"/m/inbox", "/m/inbox/1", "/m/inbox/1/headers", "/m/inbox/1/parts", "/m/inbox/1/source", "/m/inbox/1/arrived", "/m/inbox/1/reply", "/m/inbox/1/reply-all", "/m/inbox/1/forward",
		"/m/Drafts", "/compose?draft=1", "/search?q=" + url.QueryEscape(evil), "/search?q=" + url.QueryEscape("in:"+evil), "/compose?to=" + url.QueryEscape(evil) + "&subject=" + url.QueryEscape(evil) + "&body=" + url.QueryEscape("</textarea>"+evil),
		"/login?next=" + url.QueryEscape(evil), "/settings", "/m/" + url.PathEscape(evil), "/m/inbox?before=" + url.QueryEscape(evil), "/" + url.PathEscape(evil),
	} {
		_, page := v.do(http.MethodGet, path, nil)
		page = strings.ReplaceAll(page, `<script type="`, "")
		if strings.Contains(page, "<script>") || strings.Contains(page, "<img src=x") || strings.Contains(page, "<script") {
			i := strings.Index(page, "<script")
			if i < 0 {
				i = strings.Index(page, "<img src=x")
			}
			t.Errorf("%s has markup of others: …%s", path, page[max(0, i-80):min(len(page), i+80)])
		}
	}
}

// What a form cannot do leads back to the page of the form, and nowhere else.
func TestProblemLeadsBack(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada := o.as(o.ada)
	for referer, want := range map[string]string{
		"http://localhost:8025/settings/tokens?x=1":        `href="/settings/tokens?x=1"`,
		"http://evil.test/settings/tokens":                 "",
		"http://localhost:8025//evil.test/":                `href="/m/inbox"`,
		"http://localhost:8025@evil.test/settings/tokens/": "",
		"": "",
	} {
		answer := o.do("POST", "/settings/tokens", url.Values{"token": {ada.token}, "name": {"x"}}.Encode(),
			"Cookie", ada.cookie, "Content-Type", "application/x-www-form-urlencoded", "Referer", referer)
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		link, _, back := strings.Cut(string(b), ">Back</a>")
		if answer.StatusCode != 422 || back != (want != "") || !strings.HasSuffix(link, want) {
			t.Errorf("from %s: %d, back %t\n%s", referer, answer.StatusCode, back, link)
		}
	}
}
