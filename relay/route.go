package relay

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/resolve"
)

// Resolver answers questions about DNS, as [resolve.DNS] says.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (mx []resolve.MX, authentic bool, err error)
	LookupAddr(ctx context.Context, host string) (addrs []netip.Addr, authentic bool, err error)
	LookupTXT(ctx context.Context, name string) (texts []string, authentic bool, err error)
	LookupTLSA(ctx context.Context, name string) (records []resolve.TLSA, authentic bool, err error)
}

// host is a server that may take the mail of a destination.
type host struct {
	name     string
	port     int
	addr     netip.Addr // when it is known by its address
	security Security
	implicit bool
	user     string
	password string

	mx        bool   // found in DNS: policies apply, and addresses must be public
	domain    string // whose mail exchanger it is
	authentic bool   // DNSSEC says so
	sts       bool   // an MTA-STS policy in force says so
}

// Bounds on what DNS can make us try (RFC 5321 §5.1 leaves them to us).
const (
	maxHosts     = 20 // mail exchangers of a domain
	maxAddresses = 5  // of one of them
)

// route gives the configured way for a domain: its own, that of the domains
// above it, or the default. Empty is what DNS says.
func (r *Relay) route(domain string) []NextHop {
	hops, ok := r.Routes[domain]
	for rest := domain; !ok; hops, ok = r.Routes["*."+rest] {
		var found bool
		if _, rest, found = strings.Cut(rest, "."); !found {
			hops = r.Smarthosts
			break
		}
	}
	if len(hops) == 1 && hops[0].Host == "" {
		return nil
	}
	return hops
}

// hosts finds the servers for a domain, best first.
func (r *Relay) hosts(ctx context.Context, domain string, l level) ([]host, *verdict) {
	if hops := r.route(domain); len(hops) > 0 {
		var all []host
		for _, h := range hops {
			all = append(all, h.host(r.TLS))
		}
		return all, nil
	}
	if addr, ok := literal(domain); ok {
		return []host{{name: domain, addr: addr, port: 25, mx: true, security: r.TLS}}, nil
	}
	return r.exchangers(ctx, domain, l)
}

// literal reads an address literal (RFC 5321 §4.1.3).
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(strings.TrimPrefix(strings.ToLower(strings.TrimSuffix(inner, "]")), "ipv6:"))
	return addr.Unmap(), err == nil
}

// exchangers asks DNS (RFC 5321 §5.1).
func (r *Relay) exchangers(ctx context.Context, domain string, l level) ([]host, *verdict) {
	list, authentic, err := r.Resolver.LookupMX(ctx, domain)
	switch {
	case errors.Is(err, resolve.ErrNoSuchName):
		return nil, never("1.2", "the domain %s does not exist", domain)
	case err != nil:
		r.Log.Debug("DNS", "domain", domain, "err", err)
		return nil, later("4.3", "the mail servers of %s cannot be looked up at present", domain)
	case len(list) == 0:
		// RFC 5321 §5.1: the domain itself is its only mail exchanger.
		list = []resolve.MX{{Host: domain}}
	case len(list) == 1 && list[0].Host == "":
		return nil, never("1.10", "the domain %s accepts no mail", domain) // RFC 7505 §3
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b resolve.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	// RFC 5321 §5.1: of the exchangers that are not better than us none must
	// be used, or the mail would come back.
	if us := slices.IndexFunc(list, func(m resolve.MX) bool { return r.isUs(m.Host) }); us >= 0 {
		limit := list[us].Preference
		list = slices.DeleteFunc(list, func(m resolve.MX) bool { return m.Preference >= limit })
		if len(list) == 0 {
			return nil, never("4.6", "mail for %s would come back: its mail server is this one", domain)
		}
	}
	list = slices.DeleteFunc(list, func(m resolve.MX) bool { return m.Host == "" })
	list = list[:min(len(list), maxHosts)]

	var policy *policy
	if l != relaxed {
		policy = r.sts.policy(ctx, domain)
	}
	var all []host
	for _, m := range list {
		h := host{name: m.Host, port: 25, security: r.TLS, mx: true, domain: domain, authentic: authentic}
		if policy != nil {
			h.sts = policy.allows(m.Host)
			if policy.enforce && !h.sts {
				r.Log.Warn("mail server is not in the domain's policy", "domain", domain, "host", m.Host)
				continue
			}
			if policy.enforce {
				h.security = Verified
			}
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, later("7.0", "the policy of %s (MTA-STS) names none of its mail servers", domain)
	}
	return all, nil
}

func (r *Relay) isUs(name string) bool {
	return strings.EqualFold(name, r.Hostname) || slices.ContainsFunc(r.Names, func(n string) bool { return strings.EqualFold(name, n) })
}

// addresses finds where a host is. authentic reports that DNSSEC vouches for
// it.
func (r *Relay) addresses(ctx context.Context, h host) (addrs []netip.Addr, authentic bool, v *verdict) {
	addrs = []netip.Addr{h.addr}
	if !h.addr.IsValid() {
		var err error
		addrs, authentic, err = r.Resolver.LookupAddr(ctx, h.name)
		switch {
		case (errors.Is(err, resolve.ErrNoSuchName) || err == nil && len(addrs) == 0) && h.name == h.domain:
			return nil, false, never("1.2", "the domain %s has no mail server", h.domain)
		case errors.Is(err, resolve.ErrNoSuchName), err == nil && len(addrs) == 0:
			return nil, false, never("4.4", "the mail server %s has no address", h.name)
		case err != nil:
			r.Log.Debug("DNS", "host", h.name, "err", err)
			return nil, false, later("4.3", "the address of %s cannot be looked up at present", h.name)
		}
	}
	if h.mx && !r.AllowPrivate {
		addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !isPublic(a) })
		if len(addrs) == 0 {
			return nil, false, never("4.4", "the mail server %s has no public address", h.name)
		}
	}
	return addrs[:min(len(addrs), maxAddresses)], authentic, nil
}

// notPublic are ranges that net/netip has no word for: this network
// (RFC 1122), carriers' own addresses (RFC 6598), benchmarks (RFC 2544), what
// is reserved (RFC 1112), the sites of old IPv6 (RFC 3879), and IPv4 within
// IPv6: compatible (RFC 4291 §2.5.5.1), behind NAT64 (RFC 6052, RFC 8215),
// 6to4 (RFC 3056) and Teredo (RFC 4380).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

// isPublic keeps DNS of strangers from pointing us at our own network.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}
