package mailauth

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Gate is all of it together, as a server asks for it. Every part may be nil,
// and is then off. It is for concurrent use.
type Gate struct {
	Blocklist *Blocklist
	Greylist  *Greylist
	Verifier  *Verifier
	// Trusted are networks whose clients are not judged: their mail does not
	// come from the Internet, so no domain could have named them.
	Trusted []netip.Prefix
	// Policy is what holds for a domain of ours; nil accepts everything.
	Policy func(domain string) Policy
	// Open tells of recipients to whom strangers may write as they like; nil
	// knows none. A message for nobody else is not looked into.
	Open func(recipient string) bool
}

// trusts reports whether a client is not judged.
func (g *Gate) trusts(f Facts) bool {
	ip := f.RemoteIP.Unmap().WithZone("")
	return slices.ContainsFunc(g.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Judges reports whether it is found out whose mail a client brings. A nil Gate
// judges nobody.
func (g *Gate) Judges(client netip.Addr) bool {
	return g != nil && g.Verifier != nil && !g.trusts(Facts{RemoteIP: client})
}

func (g *Gate) open(recipient string) bool { return g.Open != nil && g.Open(recipient) }

// Recipient judges before there is a message: at RCPT. Postmaster always
// hears, so that somebody can be told about a mistake (RFC 5321 §4.5.1).
func (g *Gate) Recipient(ctx context.Context, f Facts, recipient string) Verdict {
	local, _, _ := strings.Cut(recipient, "@")
	if strings.EqualFold(local, "postmaster") || g.trusts(f) || g.open(recipient) {
		return Verdict{Action: Accept}
	}
	if g.Blocklist != nil {
		if listing := g.Blocklist.Check(ctx, f.RemoteIP); listing.Zone != "" {
			text := fmt.Sprintf("%s is listed at %s", f.RemoteIP.Unmap(), listing.Zone)
			if listing.Reason != "" {
				text += ": " + listing.Reason
			}
			return Verdict{Refuse, 550, [3]int{5, 7, 1}, text}
		}
	}
	if g.Greylist != nil {
		if wait := g.Greylist.Wait(f, recipient); wait > 0 {
			wait = (wait + time.Second - 1).Truncate(time.Second)
			return Verdict{Refuse, 451, [3]int{4, 7, 1}, fmt.Sprintf("We do not know you yet, please come again in %s (greylisting)", wait)}
		}
	}
	return Verdict{Action: Accept}
}

// Message judges a message for all its recipients. Their domains may differ in
// policy; then the mildest verdict holds, because it is one message and has
// one answer. The results are nil when nobody has looked: without a Verifier, and
// for a trusted client.
func (g *Gate) Message(ctx context.Context, f Facts, recipients []string, raw io.ReaderAt, size int64) (*Results, Verdict, error) {
	verdict := Verdict{Action: Accept}
	if !g.Judges(f.RemoteIP) || len(recipients) > 0 && !slices.ContainsFunc(recipients, func(to string) bool { return !g.open(to) }) {
		return nil, verdict, nil
	}
	r, err := g.Verifier.Check(ctx, f, raw, size)
	if err != nil {
		return nil, verdict, err
	}
	for i, to := range recipients {
		var p Policy
		if g.Policy != nil {
			p = g.Policy(domainOf(to))
		}
		if v := r.Verdict(p); i == 0 || v.Action.rank() < verdict.Action.rank() {
			verdict = v
		}
	}
	return &r, verdict, nil
}
