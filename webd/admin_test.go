package webd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// The admin page is there for administrators, whole, with a token, from our
// own pages and under our own name.
func TestAdminIsForAdministrators(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada, bob := o.as(o.ada), o.as(o.bob)
	paths := map[string][]string{"GET": {"/admin", "/admin/sessions"}, "POST": {"/admin/users", "/admin/user", "/admin/aliases", "/admin/queue", "/admin/sessions", "/admin/backup", "/admin/check"}}
	for method, some := range paths {
		for _, path := range some {
			form := "Content-Type"
			value := "application/x-www-form-urlencoded"
			if answer := o.do(method, path, "", form, value); answer.StatusCode != 303 || !strings.HasPrefix(answer.Header.Get("Location"), "/login") {
				t.Errorf("%s %s by a stranger: %d", method, path, answer.StatusCode)
			}
			if answer := o.do(method, path, "token="+bob.token, form, value, "Cookie", bob.cookie); answer.StatusCode != 404 {
				t.Errorf("%s %s by Bob: %d", method, path, answer.StatusCode)
			}
			if answer := o.do(method, path, "token="+ada.token, form, value, "Cookie", ada.cookie, "Host", "evil.test"); answer.StatusCode != 421 {
				t.Errorf("%s %s under another name: %d", method, path, answer.StatusCode)
			}
			if method == "GET" {
				continue
			}
			for _, token := range []string{"", "token=", "token=" + bob.token} {
				if answer := o.do(method, path, token, form, value, "Cookie", ada.cookie); answer.StatusCode != 403 {
					t.Errorf("%s with the token %q: %d", path, token, answer.StatusCode)
				}
			}
			if answer := o.do(method, path, "token="+ada.token, form, value, "Cookie", ada.cookie, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
				t.Errorf("%s from another site: %d", path, answer.StatusCode)
			}
		}
	}
	if users, _ := o.s.Store.Users(t.Context()); len(users) != 2 {
		t.Errorf("%v", users)
	}
}

func TestAdminPage(t *testing.T) {
	ended, asked := uint64(0), 0
	var o *officeTest
	o = newOfficeTest(t, func(c *Config) {
		c.Operation.Listeners = func() []Listener { return []Listener{{"imap", "127.0.0.1:1143", false, 3, 12}} }
		c.Operation.Sessions = func() []LiveSession {
			return []LiveSession{{ID: 42, Proto: "imap", User: "bob@example.test", Remote: "192.0.2.7:1", Device: "Mail 16", TLS: "TLS 1.3 X", State: "idle", Since: o.now, Idle: 90, Received: 1000, Sent: 234}}
		}
		c.Operation.Disconnect = func(id uint64) error { ended = id; return nil }
		c.Operation.Settings = func() []Setting {
			return []Setting{{"imap.addr", ":1143", "default", "YUBIN_IMAP_ADDR", "Listener"}, {"demo", "true", "env YUBIN_DEMO", "YUBIN_DEMO", "x"}}
		}
		c.Operation.Doctor = func(context.Context, string) []Finding {
			asked++
			return []Finding{{"Storage", Good, "writable", "", ""}, {"TLS", Warning, "self-signed", "clients warn", "yubin cert export"}}
		}
	})
	if _, err := o.s.Store.Accept(t.Context(), store.Delivery{Sender: "bob@example.test", Body: store.Bytes("Subject: x\r\n\r\n"), Recipients: []store.Recipient{{Remote: "x@far.test"}}}); err != nil {
		t.Fatal(err)
	}
	ada := o.as(o.ada)
	if _, page := ada.get("/admin?check=1"); asked > 0 || !strings.Contains(page, "Check everything") {
		t.Error("whoever only looks asks the doctor, which sends a mail")
	}
	ada.mustPost("/admin/check")
	status, page := ada.get("/admin")
	for _, want := range []string{"127.0.0.1:1143", "3 connections", "192.0.2.7:1", "2 min", "12 refused", "Mail 16", "TLS 1.3 X", "IDLE", "x@far.test", "YUBIN_IMAP_ADDR=:1143", "good 1, warnings 1, problems 0", "All 2 checks",
		"yubin cert export", "ada@example.test", "bob@example.test", "administrator", ">never<", "/assets/"} {
		if !strings.Contains(page, want) {
			t.Errorf("%d: the page lacks %q", status, want)
		}
	}
	for _, bad := range []string{"%!", "(MISSING)", ">admin.", ">grade.", "<no value>", " style=", " onclick="} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	japanese := o.do("GET", "/admin", "", "Cookie", ada.cookie+"; lang=ja")
	if b, _ := io.ReadAll(japanese.Body); !strings.Contains(string(b), "接続中のセッション") || !strings.Contains(string(b), `lang="ja"`) {
		t.Errorf("in Japanese:\n%s", b)
	}
	if status, part := ada.get("/admin/sessions"); status != 200 || !strings.Contains(part, `data-session="42"`) || strings.Contains(part, "<html") {
		t.Errorf("%d\n%s", status, part)
	}
	ada.mustPost("/admin/sessions", "id", "42")
	if ended != 42 {
		t.Errorf("session %d was ended", ended)
	}
	if status, _ := ada.post("/admin/sessions", "id", "x"); status != 404 {
		t.Error(status)
	}
	q, _ := o.s.Store.Queue(t.Context())
	id := idText(q[0].ID)
	ada.mustPost("/admin/queue", "do", "hold", "id", id)
	if q, _ = o.s.Store.Queue(t.Context()); !q[0].Held {
		t.Error("not held")
	}
	ada.mustPost("/admin/queue", "do", "release", "id", id)
	ada.mustPost("/admin/queue", "do", "retry", "id", id)
	if q, _ = o.s.Store.Queue(t.Context()); q[0].Held || q[0].Next.After(o.now) {
		t.Errorf("%+v", q)
	}
	was := q[0]
	ada.mustPost("/admin/queue", "do", "advance")
	if q, _ = o.s.Store.Queue(t.Context()); !q[0].Next.Equal(was.Next.Add(-2*time.Hour)) || !q[0].Created.Equal(was.Created.Add(-2*time.Hour)) {
		t.Errorf("%+v, it was %+v", q[0], was)
	}
	ada.mustPost("/admin/queue", "do", "drop", "id", id)
	if q, _ = o.s.Store.Queue(t.Context()); len(q) != 0 {
		t.Errorf("%+v", q)
	}
	if status, _ := ada.post("/admin/queue", "do", "dance", "id", id); status != 400 {
		t.Error(status)
	}
}

func TestAdminChangesUsers(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada, bob := o.as(o.ada), o.as(o.bob)
	ada.mustPost("/admin/users", "address", "Cyd@Example.test", "name", "Cyd <x>", "password", "sesame", "admin", "1")
	if u, err := o.s.Store.Authenticate(t.Context(), "cyd@example.test", "sesame"); err != nil || !u.Admin || u.Name != "Cyd <x>" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, page := ada.get("/admin"); !strings.Contains(page, "Cyd &lt;x&gt;") {
		t.Error("the name is missing, or is HTML")
	}
	for _, wrong := range [][]string{
		{"address", "bob@example.test", "password", "x"}, {"address", "dan", "password", "x"}, {"address", "dan@example.test", "password", ""},
		{"address", "dan@example.test", "password", "x", "name", "a\nb"},
	} {
		if status, _ := ada.post("/admin/users", wrong...); status < 400 || status >= 500 {
			t.Errorf("%q: %d", wrong, status)
		}
	}
	id := idText(o.bob.ID)
	ada.mustPost("/admin/user", "id", id, "do", "quota", "quota", "5")
	ada.mustPost("/admin/user", "id", id, "do", "pop3", "kind", "keep-days", "days", "9")
	if u := o.user(o.bob.ID); u.Quota != 5e6 || u.POP3 != (store.POP3Policy{Kind: store.POP3KeepDays, Days: 9}) {
		t.Errorf("%+v", u)
	}
	ada.mustPost("/admin/user", "id", id, "do", "quota", "quota", "")
	ada.mustPost("/admin/user", "id", id, "do", "pop3", "kind", "keep", "days", "9")
	ada.mustPost("/admin/user", "id", id, "do", "promote")
	if u := o.user(o.bob.ID); u.Quota != 0 || u.POP3.Kind != store.POP3Keep || !u.Admin {
		t.Errorf("%+v", u)
	}
	ada.mustPost("/admin/user", "id", id, "do", "demote")
	// Changes act at once: the sessions under the old password end.
	if status, _ := bob.get("/m/inbox"); status != 200 {
		t.Error(status)
	}
	ada.mustPost("/admin/user", "id", id, "do", "password", "password", "other")
	if _, err := o.s.Store.Authenticate(t.Context(), "bob@example.test", "other"); err != nil {
		t.Error(err)
	}
	if status, _ := bob.get("/m/inbox"); status != 303 {
		t.Errorf("after a new password: %d", status)
	}
	ada.mustPost("/admin/user", "id", id, "do", "suspend")
	if !o.user(o.bob.ID).Suspended {
		t.Error("not suspended")
	}
	ada.undo()
	if o.user(o.bob.ID).Suspended {
		t.Error("not taken back")
	}
	for _, wrong := range [][]string{
		{"id", id, "do", "quota", "quota", "-1"}, {"id", id, "do", "quota", "quota", "much"}, {"id", id, "do", "pop3", "kind", "never"},
		{"id", id, "do", "pop3", "kind", "keep-days", "days", "0"}, {"id", id, "do", "password", "password", ""}, {"id", id, "do", "dance"},
		{"id", "999", "do", "suspend"}, {"id", "x", "do", "suspend"}, {"id", id, "do", "delete", "typed", "ada@example.test"}, {"id", id, "do", "delete"},
		{"id", idText(o.ada.ID), "do", "suspend"}, {"id", idText(o.ada.ID), "do", "demote"}, {"id", idText(o.ada.ID), "do", "delete", "typed", "ada@example.test"},
	} {
		if status, _ := ada.post("/admin/user", wrong...); status < 400 || status >= 500 {
			t.Errorf("%q: %d", wrong, status)
		}
	}
}

// A user who is deleted is locked out at once, can be brought back for ten
// minutes, and then is gone.
func TestDeleteUserCanBeUndone(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada := o.as(o.ada)
	o.mail(o.bob, "Subject: keep me\n\nhi\n")
	id := idText(o.bob.ID)
	doom := func() { ada.mustPost("/admin/user", "id", id, "do", "delete", "typed", " BOB@example.test ") }
	sweep := func() {
		t.Helper()
		if err := o.s.doomed.sweep(t.Context()); err != nil {
			t.Error(err)
		}
	}
	doom()
	if u := o.user(o.bob.ID); !u.Suspended {
		t.Error("can still log in")
	}
	o.now = o.now.Add(regret - time.Second)
	sweep()
	ada.undo()
	o.now = o.now.Add(time.Hour)
	sweep()
	if u := o.user(o.bob.ID); u.Suspended || u.Used == 0 {
		t.Errorf("%+v", u)
	}
	doom()
	if _, page := ada.get("/admin"); !strings.Contains(page, `value="keep"`) {
		t.Error("the page does not offer to keep the user")
	}
	ada.mustPost("/admin/user", "id", id, "do", "keep")
	doom()
	ada.mustPost("/admin/user", "id", id, "do", "resume")
	o.now = o.now.Add(time.Hour)
	sweep()
	if u := o.user(o.bob.ID); u.Suspended {
		t.Errorf("%+v", u)
	}
	// Somebody lets him in on the command line, and later suspends him.
	doom()
	yes, no := true, false
	for _, suspended := range []*bool{&no, &yes, &no} {
		if _, err := o.s.Store.UpdateUser(t.Context(), o.bob.ID, store.UserChange{Suspended: suspended}); err != nil {
			t.Fatal(err)
		}
		o.now = o.now.Add(time.Hour)
		sweep()
		o.user(o.bob.ID)
	}
	doom()
	o.now = o.now.Add(regret)
	sweep()
	if _, err := o.s.Store.User(t.Context(), o.bob.ID); err == nil {
		t.Error("still there")
	}
	sweep() // and again, with nobody to delete
	if _, err := o.s.Store.UpdateUser(t.Context(), o.ada.ID, store.UserChange{Suspended: &yes}); err != nil {
		t.Fatal(err)
	}
	o.now = o.now.Add(time.Hour)
	sweep()
	o.user(o.ada.ID) // who is suspended only stays
}

// An open page is a live session too; ending it ends the login.
func TestOpenPagesAreListedAndEnded(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada, bob := o.as(o.ada), o.as(o.bob)
	bob.get("/m/inbox")
	var page *session
	for _, s := range o.s.sessions.all {
		if s.login.User == o.bob.ID {
			page = s
		}
	}
	row := `data-session="web-` + idText(page.login.ID) + `"`
	if _, html := ada.get("/admin"); strings.Contains(html, row) {
		t.Error("listed without an open page")
	}
	page.streams.Add(1)
	if _, html := ada.get("/admin/sessions"); !strings.Contains(html, row) {
		t.Errorf("not listed:\n%s", html)
	}
	ada.mustPost("/admin/sessions", "login", idText(page.login.ID))
	if status, _ := bob.get("/m/inbox"); status != 303 {
		t.Errorf("still logged in: %d", status)
	}
	if status, _ := ada.post("/admin/sessions", "login", idText(page.login.ID)); status != 404 {
		t.Errorf("ended twice: %d", status)
	}
}

func TestAdminAliases(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada := o.as(o.ada)
	ada.mustPost("/admin/aliases", "do", "add", "address", "info@example.test", "target", "bob@example.test")
	ada.mustPost("/admin/aliases", "do", "remove", "address", "info@example.test", "target", "bob@example.test")
	if all, _ := o.s.Store.Aliases(t.Context()); len(all) != 0 {
		t.Errorf("%v", all)
	}
	ada.undo()
	if all, _ := o.s.Store.Aliases(t.Context()); len(all) != 1 {
		t.Errorf("%v", all)
	}
	// What goes wrong is said on the page itself, whose links lead to places that there are.
	status, page := ada.post("/admin/aliases", "do", "add", "address", "info@far.test", "target", "bob@example.test")
	if status != 422 || !strings.Contains(page, "An alias is an address in a domain of this server.") || !strings.Contains(page, `id="aliases"`) || !strings.Contains(page, `href="/admin?lang=ja"`) {
		t.Errorf("%d\n%s", status, page)
	}
}

func TestBackupButton(t *testing.T) {
	o := newOfficeTest(t, nil)
	ada := o.as(o.ada)
	ada.mustPost("/admin/backup")
	name := filepath.Join(o.s.Operation.DataDir, "backup", "yubin-20261123-120000.db")
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	ada.mustPost("/admin/backup") // within the same second
	_, page := ada.get("/admin")
	if !strings.Contains(page, "yubin-20261123-120000.db") || !strings.Contains(page, "yubin-20261123-120001.db") {
		t.Error("the page does not list it")
	}
	copied, err := store.Open(t.Context(), store.Options{Dir: restored(t, name)})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if users, err := copied.Users(t.Context()); err != nil || len(users) != 2 {
		t.Errorf("%v, %v", users, err)
	}
	o.s.backingUp.Lock()
	if status, _ := ada.post("/admin/backup"); status != 409 {
		t.Errorf("while another is made: %d", status)
	}
	o.s.backingUp.Unlock()
	o.s.Operation.DataDir = ""
	if status, _ := ada.post("/admin/backup"); status != 404 {
		t.Errorf("nowhere to put it: %d", status)
	}
}

// The oldest copies go, once a new one is there; what has another name stays.
func TestOldBackupsGo(t *testing.T) {
	o := newOfficeTest(t, func(c *Config) { c.Operation.KeepBackups = 2 })
	ada := o.as(o.ada)
	dir := store.BackupDir(o.s.Operation.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mine.db", "yubin-20200101-000000.db.part", "yubin-20200101-000000.db", "yubin-20200102-000000.db", "yubin-20991231-000000.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	before := there()
	aside := dir + ".aside"
	if err := errors.Join(os.Rename(dir, aside), os.WriteFile(dir, nil, 0o600)); err != nil { // so that no copy can be made
		t.Fatal(err)
	}
	if status, _ := ada.post("/admin/backup"); status != 500 {
		t.Errorf("%d", status)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(aside, dir)); err != nil {
		t.Fatal(err)
	}
	if after := there(); after != before {
		t.Errorf("without a new copy: %s", after)
	}
	ada.mustPost("/admin/backup")
	if got, want := there(), "mine.db yubin-20200101-000000.db.part yubin-20261123-120000.db yubin-20991231-000000.db"; got != want {
		t.Errorf("left: %s\nwant: %s", got, want)
	}
	if _, page := ada.get("/admin"); !strings.Contains(page, "The newest 2 stay.") {
		t.Error("the page does not say how many stay")
	}
	ada.mustPost("/admin/backup") // within the same second
	if got, want := there(), "mine.db yubin-20200101-000000.db.part yubin-20261123-120001.db yubin-20991231-000000.db"; got != want {
		t.Errorf("left: %s\nwant: %s", got, want)
	}
}

func restored(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "yubin.db"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var madeToken = regexp.MustCompile(`<code>(yubin_[A-Z2-7]+)</code>`)

func TestTokensPage(t *testing.T) {
	o := newOfficeTest(t, nil)
	bob := o.as(o.bob)
	status, page := bob.post("/settings/tokens", "name", "ci", "scope", "read", "scope", "send", "days", "30")
	m := madeToken.FindStringSubmatch(page)
	if status != 200 || m == nil {
		t.Fatalf("%d\n%s", status, page)
	}
	if status, _ := o.json("Bearer "+m[1], "GET", "/api/v1/messages", ""); status != 200 {
		t.Error(status)
	}
	if _, page := bob.get("/settings/tokens"); strings.Contains(page, m[1]) || !strings.Contains(page, "read, send") || strings.Contains(page, `value="admin"`) {
		t.Errorf("%s", page)
	}
	for _, days := range []string{"soon", "0", "-1", "1e3", "99999"} { // none of them is for ever
		if status, _ := bob.post("/settings/tokens", "name", "x", "scope", "read", "days", days); status != 422 {
			t.Errorf("%s days: %d", days, status)
		}
	}
	if status, _ := bob.post("/settings/tokens", "name", "x", "scope", "admin"); status != 403 {
		t.Error(status)
	}
	all, _ := o.s.Store.Tokens(t.Context(), o.bob.ID)
	if status, _ := o.as(o.ada).post("/settings/tokens", "end", idText(all[0].ID)); status != 404 {
		t.Errorf("somebody else's: %d", status)
	}
	bob.mustPost("/settings/tokens", "end", idText(all[0].ID))
	if status, _ := o.json("Bearer "+m[1], "GET", "/api/v1/messages", ""); status != 401 {
		t.Error(status)
	}
}
