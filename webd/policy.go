package webd

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// servePolicy answers under the names at which other mail servers look for
// the policy of our domains (RFC 8461 §3.3), where there is nothing else. It
// returns false when r is for another name.
func (s *Server) servePolicy(w http.ResponseWriter, r *http.Request) bool {
	domain, ok := strings.CutPrefix(hostName(r.Host), "mta-sts.")
	if !ok || s.Policy == "" {
		return false
	}
	all, err := s.Store.Domains(r.Context())
	if err != nil {
		s.Log.Error("policy", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return true
	}
	if !slices.ContainsFunc(all, func(d store.Domain) bool { return d.Name == domain }) {
		return false
	}
	switch {
	case r.URL.Path != "/.well-known/mta-sts.txt":
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Del("Cache-Control")    // it may be kept
		_, _ = io.WriteString(w, s.Policy) // whoever asked has gone
	}
	return true
}
