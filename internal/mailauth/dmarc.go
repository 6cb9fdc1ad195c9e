package mailauth

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// DMARC is whether the domain in From stands behind the message (RFC 7489).
type DMARC struct {
	Value  Value
	Reason string
	From   string // the author's domain
	// Ask is what the domain wants to become of a message that fails, after
	// its policy for subdomains and its percentage; DemandNone otherwise.
	Ask    Demand
	Record DMARCRecord
}

// Demand is what a domain asks for.
type Demand string

const (
	DemandNone       Demand = "none"
	DemandQuarantine Demand = "quarantine"
	DemandReject     Demand = "reject"
)

// rank orders demands by severity.
func (d Demand) rank() int {
	switch d {
	case DemandQuarantine:
		return 1
	case DemandReject:
		return 2
	}
	return 0
}

// DMARCRecord is a domain's policy (RFC 7489 §6.3), as far as a receiver that
// sends no reports needs it.
type DMARCRecord struct {
	Policy     Demand
	Subdomains Demand
	StrictDKIM bool
	StrictSPF  bool
	Percent    int
}

// parseDMARC reads a record. What is wrong with an optional tag leaves its
// default; without a usable policy a record that wants reports means none, and
// any other is no record (RFC 7489 §6.3, §6.6.3).
func parseDMARC(txt string) (r DMARCRecord, ok bool) {
	version, rest, _ := strings.Cut(txt, ";")
	name, value, _ := strings.Cut(version, "=")
	if trim(name) != "v" || trim(value) != "DMARC1" {
		return r, false
	}
	tags := make(map[string]string)
	for piece := range strings.SplitSeq(rest, ";") {
		name, value, ok := strings.Cut(piece, "=")
		name = strings.ToLower(trim(name))
		if _, twice := tags[name]; ok && !twice {
			tags[name] = trim(value)
		}
	}
	r = DMARCRecord{Percent: 100}
	r.StrictDKIM = strings.EqualFold(tags["adkim"], "s")
	r.StrictSPF = strings.EqualFold(tags["aspf"], "s")
	if n, err := strconv.Atoi(tags["pct"]); err == nil && n >= 0 && n <= 100 {
		r.Percent = n
	}
	var known, knownSub bool
	r.Policy, known = demand(tags["p"])
	r.Subdomains, knownSub = r.Policy, true
	if sp, given := tags["sp"]; given {
		r.Subdomains, knownSub = demand(sp)
	}
	if !known || !knownSub {
		r.Policy, r.Subdomains = DemandNone, DemandNone
		return r, strings.HasPrefix(strings.ToLower(tags["rua"]), "mailto:")
	}
	return r, true
}

func demand(s string) (Demand, bool) {
	switch d := Demand(strings.ToLower(s)); d {
	case DemandNone, DemandQuarantine, DemandReject:
		return d, true
	}
	return DemandNone, false
}

// organization is the organisational domain of a name: one label more than
// its public suffix (RFC 7489 §3.2).
func organization(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// aligned reports whether a domain that has been authenticated is the
// author's (RFC 7489 §3.1).
func aligned(authenticated, author string, strict bool) bool {
	if authenticated == "" {
		return false
	}
	return authenticated == author || !strict && organization(authenticated) == organization(author)
}

// discover finds the record for an author's domain: its own, or else that of
// its organisation (RFC 7489 §6.6.3). It returns nil when there is none.
func discover(ctx context.Context, l *lookups, domain string) (r *DMARCRecord, sub bool, err error) {
	for _, d := range []string{domain, organization(domain)} {
		if sub && d == domain {
			break
		}
		records, err := l.LookupTXT(ctx, "_dmarc."+d)
		if err != nil && !notFound(err) {
			return nil, sub, err
		}
		var found []DMARCRecord
		for _, txt := range records {
			if r, ok := parseDMARC(txt); ok {
				found = append(found, r)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return &found[0], sub, nil
		default: // no policy at all
			return nil, sub, nil
		}
		sub = true
	}
	return nil, sub, nil
}

// checkDMARC decides for one author's domain. sample gives a number below n.
func checkDMARC(ctx context.Context, l *lookups, author string, sender SPF, signatures []DKIM, sample func(n int) int) DMARC {
	d := DMARC{Value: None, From: author, Ask: DemandNone}
	record, sub, err := discover(ctx, l, author)
	switch {
	case temporary(err):
		d.Value, d.Reason = TempError, "the policy could not be fetched"
		return d
	case err != nil:
		d.Value, d.Reason = PermError, "the policy could not be fetched"
		return d
	case record == nil:
		return d
	}
	d.Record = *record
	later := false // whether asking again could make it pass
	consider := func(v Value, domain string, strict bool) bool {
		ok := aligned(domain, author, strict)
		later = later || ok && v == TempError
		return ok && v == Pass
	}
	passed := consider(sender.Value, sender.Domain, record.StrictSPF)
	for _, s := range signatures {
		passed = consider(s.Value, s.Domain, record.StrictDKIM) || passed
	}
	switch {
	case passed:
		d.Value = Pass
		return d
	case later:
		d.Value, d.Reason = TempError, "DNS did not answer"
	default:
		d.Value, d.Reason = Fail, fmt.Sprintf("neither SPF nor DKIM speaks for %s", author)
	}
	d.Ask = record.Policy
	if sub {
		d.Ask = record.Subdomains
	}
	// RFC 7489 §6.6.4: who is not in the sample gets the next milder treatment.
	if d.Ask != DemandNone && record.Percent < 100 && sample(100) >= record.Percent {
		if d.Ask == DemandReject {
			d.Ask = DemandQuarantine
		} else {
			d.Ask = DemandNone
		}
	}
	return d
}
