package mailauth

import (
	"context"
	"time"
)

// DKIM is what became of one DKIM-Signature (RFC 6376).
type DKIM struct {
	Value     Value
	Reason    string
	Domain    string // d=
	Identity  string // i=, when given
	Selector  string
	Algorithm string
	Signature string // its first octets, to tell signatures apart (RFC 6008)
}

// dkimSignature is a DKIM-Signature on its way to a result.
type dkimSignature struct {
	*signature
	problem *problem
}

// parseDKIM reads a DKIM-Signature field.
func parseDKIM(f field) dkimSignature {
	s, p := parseMessageSignature(f)
	if p == nil {
		p = s.readIdentity()
	}
	return dkimSignature{s, p}
}

func (s *signature) readIdentity() *problem {
	if compact(s.tags["v"]) != "1" {
		return permanent("the version is unknown")
	}
	if i, ok := s.tags["i"]; ok {
		s.identity = compact(i)
		if d := domainOf(s.identity); d == "" || !within(d, s.domain) {
			return permanent("the identity is not within the domain")
		}
	}
	return nil
}

// result verifies the signature.
func (d dkimSignature) result(ctx context.Context, l *lookups, all []field, sums bodySums, now time.Time) DKIM {
	r := DKIM{Value: Pass, Domain: d.domain, Identity: d.identity, Selector: d.selector, Algorithm: d.algorithm}
	if b := compact(d.tags["b"]); len(b) >= 8 {
		r.Signature = b[:8]
	}
	p := d.problem
	if p == nil {
		p = d.check(ctx, l, all, sums, now)
	}
	if p != nil {
		r.Value, r.Reason = p.value, p.reason
	}
	return r
}
