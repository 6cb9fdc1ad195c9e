package mailauth

import (
	"fmt"
	"slices"
	"strings"
)

// Action is what becomes of a message.
type Action string

const (
	Accept Action = "accept" // also the zero value ""
	Junk   Action = "junk"
	Refuse Action = "refuse"
	// Follow is for DMARC only: junk for quarantine, refuse for reject.
	Follow Action = "follow"
	// FollowJunk is Follow with junk in place of refuse.
	FollowJunk Action = "follow-junk"
)

func (a Action) rank() int {
	switch a {
	case Junk:
		return 1
	case Refuse:
		return 2
	}
	return 0
}

// Policy says what results mean to one of our domains. The zero Policy accepts
// everything.
type Policy struct {
	IPRev  Action // the client's address has no name that leads back to it
	SPF    Action // the sender's domain does not let the client send its mail
	DKIM   Action // no signature is valid
	DMARC  Action // the author's domain does not stand behind the message
	NullMX Action // the sender's domain has no mail

	// TrustedSealers are domains that are believed when they say, in a valid
	// ARC chain, that DMARC had passed when they got the message: those of
	// mailing lists and forwarders.
	TrustedSealers []string
}

// Verdict is what becomes of a message, and why.
type Verdict struct {
	Action   Action
	Code     int    // of the reply, when it is refused
	Enhanced [3]int // RFC 3463, RFC 7372
	Text     string // says why, of a message that is not just accepted
}

// Verdict judges a message. A DMARC pass, or a sealer's word for it, excuses
// an SPF failure: that is what forwarded mail looks like. When results are
// missing because DNS did not answer, and a failure would be refused, the
// client is asked to come again.
func (r Results) Verdict(p Policy) Verdict {
	vouched := r.DMARC.Value == Pass || r.vouchedFor(p.TrustedSealers)
	verdict := Verdict{Action: Accept}
	consider := func(a Action, code, detail int, text string) {
		if a.rank() <= verdict.Action.rank() {
			return
		}
		verdict = Verdict{Action: a, Code: code, Enhanced: [3]int{code / 100, 7, detail}, Text: text}
	}
	if !vouched {
		r.considerDMARC(p.DMARC, consider)
	}
	if !vouched {
		r.considerSPF(p.SPF, consider)
	}
	if r.NullMX {
		consider(p.NullMX, 550, 27, fmt.Sprintf("The sender's domain %s takes no mail", r.MailFrom.Domain)) // RFC 7505 §4.2
	}
	r.considerDKIM(p.DKIM, consider)
	r.considerIPRev(p.IPRev, consider)
	return verdict
}

func (r Results) considerDMARC(a Action, consider func(Action, int, int, string)) {
	author, asks := harmless(r.DMARC.From), r.DMARC.Ask
	nobody := r.DMARC.Value == PermError && author == ""
	if a == Follow || a == FollowJunk {
		switch {
		case a == Follow && (nobody || asks == DemandReject):
			a = Refuse
		case nobody || asks != DemandNone:
			a = Junk
		default:
			a = Accept
		}
	}
	if nobody {
		// Nobody's policy: but no mail program agrees with another whom such a
		// message is from (RFC 7489 §6.6.1).
		consider(a, 550, 1, "No author can be made out: "+harmless(r.DMARC.Reason))
		return
	}
	switch r.DMARC.Value {
	case Fail:
		consider(a, 550, 26, fmt.Sprintf("%s asks for %s of mail that neither SPF nor DKIM shows to be its own (DMARC)", author, noun(asks)))
	case TempError:
		if a == Refuse {
			consider(a, 451, 26, fmt.Sprintf("It cannot be found out now whether %s stands behind this message (DMARC)", author))
		}
	}
}

func noun(d Demand) string {
	switch d {
	case DemandReject:
		return "rejection"
	case DemandQuarantine:
		return "quarantine"
	}
	return "a report"
}

func (r Results) considerSPF(a Action, consider func(Action, int, int, string)) {
	domain := harmless(r.MailFrom.Domain)
	switch r.MailFrom.Value {
	case Fail:
		consider(a, 550, 23, fmt.Sprintf("%s does not let %s send its mail (SPF)", domain, r.Remote))
	case PermError:
		consider(a, 550, 24, fmt.Sprintf("The SPF record of %s cannot be used: %s", domain, harmless(r.MailFrom.Reason)))
	case TempError:
		if a == Refuse {
			consider(a, 451, 24, fmt.Sprintf("The SPF record of %s cannot be fetched now", domain))
		}
	}
}

func (r Results) considerDKIM(a Action, consider func(Action, int, int, string)) {
	has := func(v Value) bool { return slices.ContainsFunc(r.DKIM, func(d DKIM) bool { return d.Value == v }) }
	switch {
	case has(Pass):
	case has(TempError):
		if a == Refuse {
			consider(a, 451, 20, "The DKIM signature cannot be verified now")
		}
	case len(r.DKIM) > 0 && has(Refused):
		consider(a, 550, 21, "No DKIM signature is acceptable: "+harmless(r.DKIM[0].Reason))
	case len(r.DKIM) > 0:
		consider(a, 550, 20, "No DKIM signature is valid: "+harmless(r.DKIM[0].Reason))
	default:
		consider(a, 550, 20, "The message has no DKIM signature")
	}
}

func (r Results) considerIPRev(a Action, consider func(Action, int, int, string)) {
	switch r.IPRev.Value {
	case Fail, PermError:
		consider(a, 550, 25, fmt.Sprintf("%s: %s", r.Remote, harmless(r.IPRev.Reason)))
	case TempError:
		if a == Refuse {
			consider(a, 451, 25, fmt.Sprintf("%s: %s", r.Remote, harmless(r.IPRev.Reason)))
		}
	}
}

// VouchForSender reports whether the domain of the envelope's sender stands
// behind the message: it lets the client send its mail, or has signed it. Then a
// notice to the sender troubles nobody else.
func (r Results) VouchForSender() bool {
	if r.nullSender || r.MailFrom.Domain == "" {
		return false
	}
	return r.MailFrom.Value == Pass ||
		slices.ContainsFunc(r.DKIM, func(d DKIM) bool { return d.Value == Pass && aligned(d.Domain, r.MailFrom.Domain, false) })
}

// vouchedFor reports whether the last of a valid chain is trusted, and says
// that DMARC had passed.
func (r Results) vouchedFor(sealers []string) bool {
	if r.ARC.Value != Pass || len(r.ARC.Sets) == 0 {
		return false
	}
	last := r.ARC.Sets[len(r.ARC.Sets)-1]
	if !slices.ContainsFunc(sealers, func(s string) bool { return strings.EqualFold(s, last.Domain) }) {
		return false
	}
	return slices.ContainsFunc(last.Results, func(c Claim) bool { return c.Method == "dmarc" && c.Value == Pass })
}
