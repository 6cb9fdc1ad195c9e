package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
)

// SPF is what became of one identity of the envelope (RFC 7208).
type SPF struct {
	Value    Value
	Reason   string
	Identity string // what was asked about: a name or an address
	Domain   string // of it; "" when there is none
}

// checkSPF asks whether ip may use the name in HELO, and then the sender's
// domain. A null sender stands for postmaster at the name in HELO (RFC 7208
// §2.4), so both results are the same then.
func checkSPF(ctx context.Context, l *lookups, ip netip.Addr, helo, from string) (hello, sender SPF) {
	name := asciiName(helo)
	if strings.IndexByte(name, '.') < 0 {
		name = "" // neither an address literal nor a lone word can be asked about
	}
	hello = SPF{Value: None, Identity: helo, Domain: name}
	if name != "" {
		hello.evaluate(ctx, l, ip, name, "postmaster@"+name)
	}
	if from == "" {
		return hello, hello
	}
	sender = SPF{Value: None, Identity: from, Domain: domainOf(from)}
	if strings.IndexByte(sender.Domain, '.') < 0 {
		sender.Domain = "" // RFC 7208 §4.3
		return hello, sender
	}
	local := from[:max(strings.LastIndexByte(from, '@'), 0)]
	if local == "" {
		local = "postmaster" // RFC 7208 §4.3
	}
	// Macros hold the local part; the evaluation wants one @ in all.
	local = strings.ReplaceAll(local, "@", "=")
	sender.evaluate(ctx, l, ip, name, local+"@"+sender.Domain)
	return hello, sender
}

func (s *SPF) evaluate(ctx context.Context, l *lookups, ip netip.Addr, helo, sender string) {
	result, err := spf.CheckHostWithSender(net.IP(ip.Unmap().AsSlice()), helo, sender,
		spf.WithContext(ctx), spf.WithResolver(l))
	s.Value = Value(result)
	var d *net.DNSError
	switch {
	case result != spf.TempError && result != spf.PermError || err == nil:
	case temporary(err): // whose text may name our DNS server
		s.Reason = "DNS did not answer"
	case errors.As(err, &d):
		s.Reason = d.Err
	default:
		s.Reason = err.Error()
	}
}
