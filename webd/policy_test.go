package webd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestThePolicyForOtherServers(t *testing.T) {
	const policy = "version: STSv1\r\nmode: testing\r\nmx: mail.yubin.test\r\nmax_age: 86400\r\n"
	const path = "/.well-known/mta-sts.txt"
	with := newMailSite(t, func(c *Config) { c.Policy = policy })
	without := newMailSite(t, nil)
	for _, c := range []struct {
		site         *mailSite
		method, host string
		path         string
		status       int
	}{
		{with, http.MethodGet, "mta-sts.yubin.test", path, 200},
		{with, http.MethodGet, "MTA-STS.Yubin.test.:443", path, 200},
		{with, http.MethodHead, "mta-sts.yubin.test", path, 200},
		{with, http.MethodPost, "mta-sts.yubin.test", path, 405},
		{with, http.MethodGet, "mta-sts.yubin.test", "/login", 404},
		{with, http.MethodGet, "mta-sts.yubin.test", "/", 404},
		{with, http.MethodGet, "mta-sts.example.org", path, 421},
		{with, http.MethodGet, "mta-sts.", path, 421},
		{with, http.MethodGet, "mail.yubin.test", path, 404},
		{without, http.MethodGet, "mta-sts.yubin.test", path, 421},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, path, nil)
		r.URL.Path, r.Host = c.path, c.host
		w := httptest.NewRecorder()
		c.site.Handler().ServeHTTP(w, r)
		got := w.Result()
		text, _ := io.ReadAll(got.Body)
		if got.StatusCode != c.status {
			t.Errorf("%s %s%s: %d, want %d", c.method, c.host, c.path, got.StatusCode, c.status)
		}
		if c.status == 200 && (got.Header.Get("Content-Type") != "text/plain; charset=utf-8" || c.method == http.MethodGet && string(text) != policy) {
			t.Errorf("%s: %q %q", c.host, got.Header, text)
		}
	}
}
