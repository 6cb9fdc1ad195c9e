package webd

import (
	"maps"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/mailauth"
)

// ownResults are what this server has found out about who a message is from.
// Anybody can write an Authentication-Results field in our name, so it counts
// only where we put ours: below the Received field on top, which must be ours
// too and of a sender who had not logged in, since we check strangers only.
// What they wrote in our name has been removed there (RFC 8601 §5).
func (s *Server) ownResults(header []byte) []mailauth.Claim {
	received := false
	for _, f := range rawFields(header) {
		switch name := strings.ToLower(f.Name); {
		case !received && name == "return-path":
		case !received && name == "received":
			h := parseReceived(f.Value)
			if h.Login || !strings.EqualFold(h.By, s.Hostname) {
				return nil
			}
			received = true
		case received && strings.HasPrefix(name, "arc-"): // our seal for those we forward to
		case received && name == "authentication-results":
			id, claims, ok := mailauth.ParseResults(f.Value)
			if !ok || !strings.EqualFold(id, s.Hostname) {
				return nil
			}
			return claims
		default:
			return nil
		}
	}
	return nil
}

// meant are the results that have words of their own; "any" is for the methods
// and results that have not.
var meant = strings.Fields(`
	iprev.pass iprev.fail
	spf.pass spf.fail spf.softfail spf.neutral spf.none
	dkim.pass dkim.fail dkim.neutral dkim.policy dkim.none dkim.permerror
	dmarc.pass dmarc.fail dmarc.none
	arc.pass arc.fail arc.none
	any.pass any.fail any.softfail any.neutral any.policy any.none any.temperror any.permerror`)

// authResult says what a result means.
func (v *visit) authResult(c mailauth.Claim) authResult {
	r := authResult{Method: c.Method, Result: string(c.Value)}
	for _, method := range []string{c.Method, "any"} {
		if key := method + "." + r.Result; slices.Contains(meant, key) {
			r.Meaning = v.T("auth." + key)
			break
		}
	}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(c.Properties)) {
		if name != "header.b" { // of use to machines only
			details = append(details, name+"="+c.Properties[name])
		}
	}
	r.Detail = strings.Join(details, " ")
	return r
}
