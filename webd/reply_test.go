package webd

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAPanicIsAnsweredAndLogged wants the page of a failure, and a log that
// says where.
func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	site := newLabSite(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	m := &routes{Server: site.server, mux: http.NewServeMux()}
	m.open("GET /panic", func(*visit) error { panic("a slip of ours") })
	answer := httptest.NewRecorder()
	m.mux.ServeHTTP(answer, httptest.NewRequest("GET", "/panic", nil))
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "slip") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if s := log.String(); !strings.Contains(s, "a slip of ours") || !strings.Contains(s, "reply_test.go") || !strings.Contains(s, "level=ERROR") {
		t.Errorf("the log: %s", s)
	}
}
