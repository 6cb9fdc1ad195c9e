package webd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/store"
)

// mailSite is a webmail with Alice and Bob, whose passwords are their names.
type mailSite struct {
	testing.TB
	*Server
	URL        string
	alice, bob store.User
	now        time.Time
	hangUp     func() // breaks all connections
}

func newMailSite(t testing.TB, change func(*Config)) *mailSite {
	t.Helper()
	goleakAfter(t)
	site := &mailSite{TB: t, now: time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)}
	clock := func() time.Time { return site.now }
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Iterations: 4096, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for name, into := range map[string]*store.User{"alice": &site.alice, "bob": &site.bob} {
		*into, err = db.CreateUser(t.Context(), store.NewUser{Address: name + "@yubin.test", Name: strings.ToUpper(name[:1]) + name[1:], Password: name})
		if err != nil {
			t.Fatal(err)
		}
	}
	c := Config{Hostname: "mail.yubin.test", Store: db, Now: clock, UndoSend: -1, Auth: auth.New(db, auth.NewLimiter(auth.LimiterConfig{Pause: -1}), nil)}
	if change != nil {
		change(&c)
	}
	site.Server = New(c)
	h := httptest.NewServer(site.Handler())
	t.Cleanup(func() {
		site.Shutdown(t.Context())
		h.CloseClientConnections()
		h.Close()
	})
	site.URL, site.hangUp = h.URL, h.CloseClientConnections
	return site
}

func goleakAfter(t testing.TB) {
	if t, ok := t.(*testing.T); ok {
		ignore := goleak.IgnoreCurrent()
		t.Cleanup(func() { leak.Check(t, ignore) })
	}
}

// deliver gives a user a message, with LF for line ends.
func (s *mailSite) deliver(to store.User, text string) store.UID {
	s.Helper()
	acc, err := s.Store.Accept(s.Context(), store.Delivery{
		Sender: "someone@example.jp", Recipients: []store.Recipient{{User: to.ID}},
		Body: store.Bytes(strings.ReplaceAll(text, "\n", "\r\n")),
	})
	if err != nil {
		s.Fatal(err)
	}
	return acc.Delivered[0].UID
}

func plainMail(from, subject, text string) string {
	return "From: " + from + "\nTo: alice@yubin.test\nSubject: " + subject + "\nMessage-ID: <" + strings.ReplaceAll(subject, " ", "-") + "@example.jp>\nDate: Mon, 23 Nov 2026 15:00:00 +0900\n\n" + text + "\n"
}

// box reads one of a user's mailboxes: subjects by UID.
func (s *mailSite) box(u store.User, name string) []store.Listed {
	s.Helper()
	m, err := s.Store.Mailbox(s.Context(), u.ID, name)
	if err != nil {
		s.Fatal(err)
	}
	all, err := s.Store.Latest(s.Context(), m.ID, 0, 1000)
	if err != nil {
		s.Fatal(err)
	}
	return all
}

func (s *mailSite) subjects(u store.User, name string) []string {
	var all []string
	for _, m := range s.box(u, name) {
		all = append(all, m.Envelope.Subject)
	}
	return all
}

// raw reads a message back.
func (s *mailSite) raw(m store.Listed) string {
	s.Helper()
	b, err := s.Store.ReadBody(s.Context(), m.Blob, 1<<20)
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// surfer is a browser without JavaScript.
type surfer struct {
	*mailSite
	http.Client
	token string
	head  http.Header // sent with each request
}

func (s *mailSite) surfer() *surfer {
	jar, _ := cookiejar.New(nil)
	return &surfer{mailSite: s, Client: http.Client{Jar: jar}, head: http.Header{}}
}

var (
	proofField = regexp.MustCompile(`name="proof" value="([^"]+)"`)
	tokenField = regexp.MustCompile(`name="token" content="([^"]*)"`)
)

// login logs in as somebody whose password is their name.
func (s *mailSite) login(name string) *surfer {
	s.Helper()
	v := s.surfer()
	v.loginAs(name, name)
	if v.token == "" {
		s.Fatalf("%s is not logged in", name)
	}
	return v
}

func (v *surfer) loginAs(name, password string) (status int) {
	v.Helper()
	page := v.get("/login")
	proof := proofField.FindStringSubmatch(page)
	if proof == nil {
		v.Fatal("the login page has no form")
	}
	status, body := v.do(http.MethodPost, "/login", url.Values{"proof": {proof[1]}, "address": {name + "@yubin.test"}, "password": {password}})
	if m := tokenField.FindStringSubmatch(body); m != nil {
		v.token = m[1]
	}
	return status
}

// do sends a request, follows redirects, and returns the last answer.
func (v *surfer) do(method, path string, fields url.Values) (int, string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.URL+path, strings.NewReader(fields.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return v.send(r)
}

func (v *surfer) send(r *http.Request) (int, string) {
	v.Helper()
	for name := range v.head {
		r.Header.Set(name, v.head.Get(name))
	}
	resp, err := v.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (v *surfer) get(path string) string {
	v.Helper()
	status, body := v.do(http.MethodGet, path, nil)
	if status != http.StatusOK {
		v.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

// post sends a form with the session's token.
func (v *surfer) post(path string, fields url.Values) (int, string) {
	v.Helper()
	fields.Set("token", v.token)
	return v.do(http.MethodPost, path, fields)
}

// act does something to messages as the modules do, and returns the notice.
func (v *surfer) act(do string, fields url.Values) notice {
	v.Helper()
	if fields == nil {
		fields = url.Values{}
	}
	fields.Set("do", do)
	return v.told("/act", fields)
}

func (v *surfer) told(path string, fields url.Values) (n notice) {
	v.Helper()
	v.head.Set("Accept", "application/json")
	defer v.head.Del("Accept")
	status, body := v.post(path, fields)
	if err := json.Unmarshal([]byte(body), &n); err != nil || status != http.StatusOK {
		v.Fatalf("POST %s %v: %d %s", path, fields, status, body)
	}
	return n
}

// attach is a file of a form.
type attach struct{ name, kind, text string }

// compose sends the form of a letter, with its files.
func (v *surfer) compose(do string, fields url.Values, files ...attach) (int, string) {
	v.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	fields.Set("token", v.token)
	fields.Set("do", do)
	if fields.Get("id") == "" {
		fields.Set("id", fmt.Sprintf("letter%014d", time.Now().UnixNano()%1e14))
	}
	for name, values := range fields {
		for _, value := range values {
			if err := w.WriteField(name, value); err != nil {
				v.Fatal(err)
			}
		}
	}
	for _, f := range files {
		p, err := w.CreatePart(map[string][]string{"Content-Disposition": {`form-data; name="file"; filename="` + f.name + `"`}, "Content-Type": {f.kind}})
		if err != nil {
			v.Fatal(err)
		}
		io.WriteString(p, f.text)
	}
	w.Close()
	r, err := http.NewRequestWithContext(v.Context(), http.MethodPost, v.URL+"/compose", &b)
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return v.send(r)
}

func wants(t testing.TB, page string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
