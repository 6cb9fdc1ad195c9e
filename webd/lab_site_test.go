package webd

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/lab"
)

// labSite is a whole system with its pages, for tests of the lab and of the
// wire log.
type labSite struct {
	t      testing.TB
	system *mailtest.System
	server *Server
	base   string
}

func newLabSite(t testing.TB, change func(*Config)) *labSite {
	t.Helper()
	system := mailtest.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limiter := auth.NewLimiter(auth.LimiterConfig{FailuresPerAddress: -1, FailuresPerAccount: -1, UnknownRecipients: -1, Pause: -1})
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := Config{
		Hostname: "mail.example.test", Store: system.Store, Auth: auth.New(system.Store, limiter, log), Log: log, Demo: true, UndoSend: -1,
		Lab: &lab.Server{SMTP: system.SMTP, Submission: system.Submission, POP3: system.POP3, IMAP: system.IMAP, Web: l.Addr().String()},
	}
	if change != nil {
		change(&c)
	}
	site := &labSite{t: t, system: system, server: New(c), base: "http://" + l.Addr().String()}
	served := make(chan error, 1)
	go func() { served <- site.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := site.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
	})
	system.AddUser(t, "alice@example.test", "secret")
	system.AddUser(t, "bob@example.test", "secret")
	return site
}

// labVisitor is a browser without JavaScript.
type labVisitor struct {
	*http.Client
	site  *labSite
	token string
}

func (s *labSite) login(address string) *labVisitor {
	s.t.Helper()
	jar, _ := cookiejar.New(nil)
	v := &labVisitor{Client: &http.Client{Jar: jar, Timeout: time.Minute}, site: s}
	page := v.get("/login")
	proof := regexp.MustCompile(`name="proof" value="([^"]+)"`).FindStringSubmatch(page)
	v.post("/login", url.Values{"proof": {proof[1]}, "next": {"/lab"}, "address": {address}, "password": {"secret"}})
	if v.token == "" {
		s.t.Fatal("no login")
	}
	return v
}

var metaToken = regexp.MustCompile(`<meta name="token" content="([^"]+)">`)

func (v *labVisitor) read(resp *http.Response, err error) (int, string) {
	v.site.t.Helper()
	if err != nil {
		v.site.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.site.t.Fatal(err)
	}
	if m := metaToken.FindSubmatch(b); m != nil {
		v.token = string(m[1])
	}
	return resp.StatusCode, string(b)
}

func (v *labVisitor) get(path string) string {
	v.site.t.Helper()
	status, page := v.read(v.Client.Get(v.site.base + path))
	if status != http.StatusOK {
		v.site.t.Fatalf("GET %s: %d\n%s", path, status, page)
	}
	return page
}

func (v *labVisitor) status(path string) int {
	v.site.t.Helper()
	status, _ := v.read(v.Client.Get(v.site.base + path))
	return status
}

func (v *labVisitor) post(path string, fields url.Values) (int, string) {
	v.site.t.Helper()
	if v.token != "" && !fields.Has("token") {
		fields.Set("token", v.token)
	}
	r, _ := http.NewRequest(http.MethodPost, v.site.base+path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.read(v.Do(r))
}

// users counts the accounts that a lab has made.
func (s *labSite) users() (n int) {
	s.t.Helper()
	users, err := s.system.Store.Users(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, u := range users {
		if u.Name == labName {
			n++
		}
	}
	return n
}
