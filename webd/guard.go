package webd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// pagePolicy is what our own pages may do: nothing inline, nothing from
// elsewhere. Mail is shown in frames, which have a policy of their own.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard is what every request passes first.
func (s *Server) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection() // Sec-Fetch-Site, or Origin against Host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Not for all requests: a stream would end by then.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime)) // not every writer can, tests' for one
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
		h.Set("X-DNS-Prefetch-Control", "off")
		h.Set("Cache-Control", "no-store")
		if s.servePolicy(w, r) {
			return
		}
		if !s.isOurs(r.Context(), r.Host) {
			// Another name that leads here is DNS rebinding, or a setting that is missing.
			v := s.visit(w, r)
			v.session = nil
			v.finish(errHost)
			return
		}
		if err := origin.Check(r); err != nil {
			v := s.visit(w, r)
			v.finish(errOrigin)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is the name in a Host field, in lower case.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// isOurs reports whether a Host field names us. An address always does: what
// a page at our own address says was sent by us. So do our mail domains, those
// too that were added a moment ago, and the names under them where mail
// programs look for their settings.
func (s *Server) isOurs(ctx context.Context, host string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	same := func(n string) bool { return strings.EqualFold(n, name) }
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || same(s.Hostname) || slices.ContainsFunc(s.Hosts, same) {
		return true
	}
	for _, prefix := range []string{"autoconfig.", "autodiscover."} {
		if domain, ok := strings.CutPrefix(name, prefix); ok {
			name = domain
			break
		}
	}
	ours, err := s.Store.HasDomain(ctx, name) // one look into an index: there is nothing to remember
	if err != nil && !errors.Is(err, store.ErrBadAddress) {
		s.Log.Error("failed", "proto", "http", "doing", "check a host", "err", err)
	}
	return ours
}

// uploadTime is how long the body of a request may take.
const uploadTime = 5 * time.Minute

// readForm reads the fields and files of a request.
func (v *visit) readForm(limit int64) error {
	v.Body = http.MaxBytesReader(v.w, v.Body, limit)
	err := v.ParseMultipartForm(2 << 20)
	if errors.Is(err, http.ErrNotMultipart) {
		err = nil // ParseMultipartForm has read the fields already
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errUpload
	}
	if err != nil {
		return errForm
	}
	return nil
}

// token is the proof that a request was made by a page of ours.
func (v *visit) token() string {
	if t := v.Header.Get("X-Token"); t != "" {
		return t
	}
	return v.PostFormValue("token")
}
