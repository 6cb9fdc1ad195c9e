package webd

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// patient is where an answer goes, and how long one has for it.
type patient struct {
	*httptest.ResponseRecorder
	read, write time.Time
	flushed     func()
}

func (p *patient) SetReadDeadline(t time.Time) error  { p.read = t; return nil }
func (p *patient) SetWriteDeadline(t time.Time) error { p.write = t; return nil }
func (p *patient) Flush()                             { p.flushed() }

func (v *surfer) ask(ctx context.Context, method, path, body string) *patient {
	v.Helper()
	ctx, cancel := context.WithCancel(ctx) // with the first flush: a stream goes on until then
	defer cancel()
	p := &patient{ResponseRecorder: httptest.NewRecorder(), flushed: cancel}
	r, err := http.NewRequestWithContext(ctx, method, v.URL+path, strings.NewReader(body))
	if err != nil {
		v.Fatal(err)
	}
	there, _ := url.Parse(v.URL)
	for _, c := range v.Jar.Cookies(there) {
		r.AddCookie(c)
	}
	v.Handler().ServeHTTP(p, r)
	return p
}

// Who announces a body and does not send it has no connection for ever: on no
// path, for what a handler leaves unread is waited for as well.
func TestABodyHasItsTime(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.surfer()
	for _, path := range []string{"/login", "/api/v1/messages", "/autodiscover/autodiscover.xml", "/nowhere"} {
		if p := v.ask(t.Context(), http.MethodPost, path, "x"); p.read.IsZero() {
			t.Errorf("POST %s may take for ever", path)
		}
	}
	if p := v.ask(t.Context(), http.MethodGet, "/login", ""); !p.read.IsZero() {
		t.Error("a request without a body must end by then, and a stream with it")
	}
}

// A page that does not take what it is told has no stream for ever.
func TestAStreamWaitsForNobody(t *testing.T) {
	v := newMailSite(t, nil).login("alice")
	p := v.ask(t.Context(), http.MethodGet, "/live", "")
	wants(t, p.Body.String(), "retry: ")
	if p.write.IsZero() {
		t.Error("it would")
	}
}
