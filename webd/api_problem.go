package webd

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
)

// What the API says itself.
var (
	errNoEndpoint   = &problem{http.StatusNotFound, "error.no-endpoint"}
	errMethod       = &problem{http.StatusMethodNotAllowed, "error.method"}
	errDemoOnly     = &problem{http.StatusNotFound, "error.demo-only"}
	errNoLogin      = &problem{http.StatusUnauthorized, "error.no-login"}
	errBadToken     = &problem{http.StatusUnauthorized, "error.bad-token"}
	errInsecure     = &problem{http.StatusForbidden, "error.insecure"}
	errScope        = &problem{http.StatusForbidden, "error.scope"}
	errOthers       = &problem{http.StatusForbidden, "error.others-mail"}
	errNotJSON      = &problem{http.StatusUnsupportedMediaType, "error.not-json"}
	errJSON         = &problem{http.StatusBadRequest, "error.json"}
	errUnknownField = &problem{http.StatusBadRequest, "error.unknown-field"}
	errParameter    = &problem{http.StatusBadRequest, "error.parameter"}
	errQuery        = &problem{http.StatusBadRequest, "error.query"}
	errCursor       = &problem{http.StatusBadRequest, "error.cursor"}
	errWaiters      = &problem{http.StatusTooManyRequests, "error.waiters"}
	errTimeout      = &problem{http.StatusRequestTimeout, "error.timeout"}
	errStopping     = &problem{http.StatusServiceUnavailable, "error.stopping"}
	errNoUser       = &problem{http.StatusNotFound, "error.user-unknown"}
	errUserExists   = &problem{http.StatusConflict, "error.user-exists"}
	errUserField    = &problem{http.StatusUnprocessableEntity, "error.user-field"}
	errYourself     = &problem{http.StatusConflict, "error.yourself"}
	errNoPart       = &problem{http.StatusNotFound, "error.no-part"}
	errNoToken      = &problem{http.StatusNotFound, "error.no-token"}
	errTokenScope   = &problem{http.StatusForbidden, "error.token-scope"}
)

// detailed is a problem with more members than the usual ones (RFC 9457 §3.2).
type detailed struct {
	*problem
	more map[string]any
}

func (d *detailed) Unwrap() error { return d.problem }

// about says which field or parameter the problem is in.
func (p *problem) about(field string) error {
	return &detailed{p, map[string]any{"field": field}}
}

// code is the problem's name for programs.
func (p *problem) code() string { return strings.TrimPrefix(p.key, "error.") }

// problemJSON answers with a problem in the form of RFC 9457.
func (v *visit) problemJSON(p *problem, err error) {
	body := map[string]any{
		"type": "about:blank", "title": http.StatusText(p.status), "status": p.status,
		"code": p.code(), "detail": english.text(p.key),
	}
	var d *detailed
	if errors.As(err, &d) {
		maps.Copy(body, d.more)
	}
	switch p.status {
	case http.StatusUnauthorized:
		v.w.Header().Add("WWW-Authenticate", `Bearer realm="yubin"`)
		v.w.Header().Add("WWW-Authenticate", `Basic realm="yubin", charset="UTF-8"`)
	case http.StatusTooManyRequests:
		v.w.Header().Set("Retry-After", "60")
	}
	b, err := json.Marshal(body)
	if err != nil {
		v.log().Error("failed", "doing", "write a problem", "err", err)
		return
	}
	v.answered = true
	v.w.Header().Set("Content-Type", "application/problem+json")
	v.w.WriteHeader(p.status)
	_, _ = v.w.Write(append(b, '\n'))
}
