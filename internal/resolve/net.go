package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Net stands in for a [net.Resolver] and, as that does, leaves out names that
// no host can have. Unlike it, Net asks for names of any octets: SPF's macros
// put them together (RFC 7208 §7). Its errors are all [*net.DNSError].
type Net struct{ DNS *DNS }

// LookupTXT is as in net.Resolver, and so are those below.
func (n Net) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return answer(name, func(name string) ([]string, bool, error) { return n.DNS.LookupTXT(ctx, name) })
}

func (n Net) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	found, err := answer(name, func(name string) ([]MX, bool, error) { return n.DNS.LookupMX(ctx, name) })
	var all []*net.MX
	for _, m := range found {
		if m.Host == "" || isHost(m.Host) {
			all = append(all, &net.MX{Host: m.Host + ".", Pref: m.Preference})
		}
	}
	return all, err
}

func (n Net) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	found, err := answer(host, func(host string) ([]netip.Addr, bool, error) { return n.DNS.LookupAddr(ctx, host) })
	var all []net.IPAddr
	for _, a := range found {
		all = append(all, net.IPAddr{IP: a.AsSlice()})
	}
	return all, err
}

func (n Net) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "no address", Name: addr, IsNotFound: true}
	}
	found, err := answer(addr, func(string) ([]string, bool, error) { return n.DNS.LookupPTR(ctx, ip) })
	found = slices.DeleteFunc(found, func(name string) bool { return !isHost(name) })
	for i := range found {
		found[i] += "."
	}
	return found, err
}

// answer asks for a name of any octets, of which DNS takes the backslash for
// an escape. Nothing is an error, as in net.Resolver.
func answer[T any](name string, lookup func(string) ([]T, bool, error)) ([]T, error) {
	found, _, err := lookup(strings.ReplaceAll(name, `\`, `\\`))
	switch {
	case errors.Is(err, ErrNoSuchName), err == nil && len(found) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case err != nil:
		return nil, &net.DNSError{Err: err.Error(), UnwrapErr: err, Name: name, IsTemporary: true}
	}
	return found, nil
}

// isHost reports whether a name may be shown and asked for as it is.
func isHost(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}
