package mailauth

import (
	"context"
	"net/netip"
	"strings"
)

// IPRev is whether the client's address has a name that leads back to it
// (RFC 8601 §3).
type IPRev struct {
	Value  Value
	Reason string
	IP     netip.Addr
	Name   string // the one that does
}

// maxReverse is how many names of an address are looked at, as in RFC 7208
// §4.6.4.
const maxReverse = 10

func checkIPRev(ctx context.Context, l *lookups, ip netip.Addr) IPRev {
	r := IPRev{Value: Fail, IP: ip, Reason: "no name of the address leads back to it"}
	names, err := l.LookupAddr(ctx, ip.String())
	switch {
	case notFound(err) || err == nil && len(names) == 0:
		r.Value, r.Reason = PermError, "the address has no name"
		return r
	case err != nil:
		r.Value, r.Reason = TempError, "the address's name could not be fetched"
		return r
	}
	for _, name := range names[:min(len(names), maxReverse)] {
		addrs, err := l.LookupIPAddr(ctx, name)
		if temporary(err) {
			r.Value, r.Reason = TempError, "the name's address could not be fetched"
		}
		for _, a := range addrs {
			if got, ok := netip.AddrFromSlice(a.IP); ok && got.Unmap() == ip {
				r.Value, r.Reason, r.Name = Pass, "", strings.TrimSuffix(name, ".")
				return r
			}
		}
	}
	return r
}
