package webd

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// officeTest is a site with Ada, who is an administrator, and Bob.
type officeTest struct {
	*testing.T
	s        *Server
	ada, bob store.User
	now      time.Time
}

func newOfficeTest(t *testing.T, change func(*Config)) *officeTest {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leak.Check(t, before) })
	dir := t.TempDir()
	o := &officeTest{T: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return o.now }
	db, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: 4096, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	add := func(n store.NewUser) store.User {
		u, err := db.CreateUser(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	o.ada = add(store.NewUser{Address: "ada@example.test", Name: "Ada", Password: "secret", Admin: true})
	o.bob = add(store.NewUser{Address: "bob@example.test", Name: "Bob", Password: "secret"})
	c := Config{
		Hostname: "mail.example.test", Store: db, Now: clock, Demo: true,
		Auth:      auth.New(db, auth.NewLimiter(auth.LimiterConfig{Pause: -1}), nil),
		Operation: Operation{DataDir: dir},
	}
	if change != nil {
		change(&c)
	}
	o.s = New(c)
	t.Cleanup(func() {
		if err := o.s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return o
}

// do makes a request from this machine.
func (o *officeTest) do(method, target, body string, header ...string) *http.Response {
	o.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost:8025", "127.0.0.1:4321"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		if header[i] == "Remote" {
			r.RemoteAddr = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func basic(name string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+"@example.test:secret"))
}

// json makes a call as somebody and decodes what comes back.
func (o *officeTest) json(who, method, target, body string) (int, map[string]any) {
	o.Helper()
	header := []string{"Authorization", who}
	if body != "" {
		header = append(header, "Content-Type", "application/json")
	}
	answer := o.do(method, target, body, header...)
	var value map[string]any
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		o.Fatal(err)
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &value); err != nil {
			o.Fatalf("%s %s: %v\n%s", method, target, err, b)
		}
	}
	return answer.StatusCode, value
}

func (o *officeTest) token(u store.User, some ...string) string {
	o.Helper()
	secret, _, err := o.s.Store.CreateToken(o.Context(), u.ID, "test", some, time.Time{})
	if err != nil {
		o.Fatal(err)
	}
	return "Bearer " + secret
}

func (o *officeTest) mail(to store.User, text string) {
	o.Helper()
	raw, err := io.ReadAll(message.NewCanonicalReader(strings.NewReader(text)))
	if err == nil {
		_, err = o.s.Store.Accept(o.Context(), store.Delivery{Body: store.Bytes(raw), Recipients: []store.Recipient{{Address: to.Address, User: to.ID}}})
	}
	if err != nil {
		o.Fatal(err)
	}
}

// login begins a session for somebody, and returns its cookie and token.
func (o *officeTest) login(u store.User) (cookie, token string) {
	o.Helper()
	generation, err := o.s.Store.Generation(o.Context(), u.ID)
	if err != nil {
		o.Fatal(err)
	}
	r, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		o.Fatal(err)
	}
	secret, err := o.s.sessions.begin(u.ID, generation, r.WithContext(o.Context()))
	if err != nil {
		o.Fatal(err)
	}
	return "yubin=" + secret, proof(secret)
}

// visitor is somebody with a browser.
type visitor struct {
	*officeTest
	cookie, token string
}

func (o *officeTest) as(u store.User) visitor {
	cookie, token := o.login(u)
	return visitor{o, cookie, token}
}

func (v visitor) get(path string) (int, string) {
	v.Helper()
	answer := v.do("GET", path, "", "Cookie", v.cookie)
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// post sends a form: names and values.
func (v visitor) post(path string, fields ...string) (int, string) {
	v.Helper()
	form := url.Values{"token": {v.token}}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	answer := v.do("POST", path, form.Encode(), "Cookie", v.cookie, "Content-Type", "application/x-www-form-urlencoded", "Origin", "http://localhost:8025")
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// mustPost expects the form to be obeyed.
func (v visitor) mustPost(path string, fields ...string) {
	v.Helper()
	if status, page := v.post(path, fields...); status != http.StatusSeeOther {
		v.Errorf("%s %q: %d\n%s", path, fields, status, page)
	}
}

func (o *officeTest) user(id store.UserID) store.User {
	o.Helper()
	u, err := o.s.Store.User(o.Context(), id)
	if err != nil {
		o.Fatal(err)
	}
	return u
}

var undoButton = regexp.MustCompile(`name="undo" value="([^"]+)"`)

// undo takes back what the page says can be taken back.
func (v visitor) undo() {
	v.Helper()
	_, page := v.get("/admin")
	m := undoButton.FindStringSubmatch(page)
	if m == nil {
		v.Fatal("there is nothing to undo")
	}
	v.mustPost("/undo", "undo", m[1], "back", "/admin")
}
