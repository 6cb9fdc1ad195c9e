package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrNoSuchName: DNS says that a name does not exist (NXDOMAIN).
var ErrNoSuchName = errors.New("no such name in DNS")

// Resolver answers questions about DNS. A name that exists without records of
// the wished type has an empty answer, one that does not exist has
// [ErrNoSuchName]; any other error means that nobody knows now. authentic
// reports that the resolver has validated the whole answer with DNSSEC.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (mx []MX, authentic bool, err error)
	LookupAddr(ctx context.Context, host string) (addrs []netip.Addr, authentic bool, err error)
	LookupTXT(ctx context.Context, name string) (texts []string, authentic bool, err error)
	LookupTLSA(ctx context.Context, name string) (records []TLSA, authentic bool, err error)
}

// MX is a mail exchanger of a domain. Host has no final dot; the null MX of
// RFC 7505 is "".
type MX struct {
	Host       string
	Preference uint16
}

// TLSA says what a server's certificate is (RFC 6698 §2).
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      string // hexadecimal, as it is in the record
}

// DNS is a Resolver that asks recursive resolvers.
type DNS struct {
	Servers []string // host:port, asked in turn
	// Trusted: the way to the servers is safe, so that their word for
	// DNSSEC counts.
	Trusted bool
	Timeout time.Duration // of one question to one server; 0 is 5 seconds
}

// SystemDNS asks the resolvers in /etc/resolv.conf. Their word for DNSSEC
// counts when all of them are on this machine (RFC 7672 §2.1.1).
func SystemDNS() (*DNS, error) {
	c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("find a resolver: %w", err)
	}
	d := &DNS{Trusted: true}
	for _, s := range c.Servers {
		ip, err := netip.ParseAddr(s)
		d.Trusted = d.Trusted && err == nil && ip.IsLoopback()
		d.Servers = append(d.Servers, net.JoinHostPort(s, c.Port))
	}
	if len(d.Servers) == 0 {
		return nil, errors.New("find a resolver: /etc/resolv.conf names none")
	}
	return d, nil
}

// LookupMX implements [Resolver].
func (d *DNS) LookupMX(ctx context.Context, domain string) ([]MX, bool, error) {
	return lookup(ctx, d, domain, dns.TypeMX, func(m *dns.MX) MX {
		return MX{Host: strings.ToLower(strings.TrimSuffix(m.Mx, ".")), Preference: m.Preference}
	})
}

// LookupAddr implements [Resolver]. An address family that cannot be asked
// for does not hide the other.
func (d *DNS) LookupAddr(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	v6, authentic6, err6 := lookup(ctx, d, host, dns.TypeAAAA, func(a *dns.AAAA) netip.Addr {
		addr, _ := netip.AddrFromSlice(a.AAAA)
		return addr
	})
	if errors.Is(err6, ErrNoSuchName) {
		return nil, authentic6, err6
	}
	v4, authentic4, err4 := lookup(ctx, d, host, dns.TypeA, func(a *dns.A) netip.Addr {
		addr, _ := netip.AddrFromSlice(a.A)
		return addr.Unmap()
	})
	if len(v4)+len(v6) == 0 {
		if err := errors.Join(err6, err4); err != nil {
			return nil, false, err
		}
	}
	return interleave(v6, v4), authentic4 && authentic6, nil
}

// interleave alternates, so that one family that leads nowhere costs one try
// before the other has its turn.
func interleave(a, b []netip.Addr) []netip.Addr {
	var all []netip.Addr
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			all = append(all, a[i])
		}
		if i < len(b) {
			all = append(all, b[i])
		}
	}
	return all
}

// LookupTXT implements [Resolver].
func (d *DNS) LookupTXT(ctx context.Context, name string) ([]string, bool, error) {
	return lookup(ctx, d, name, dns.TypeTXT, func(t *dns.TXT) string { return strings.Join(t.Txt, "") })
}

// LookupTLSA implements [Resolver].
func (d *DNS) LookupTLSA(ctx context.Context, name string) ([]TLSA, bool, error) {
	return lookup(ctx, d, name, dns.TypeTLSA, func(t *dns.TLSA) TLSA {
		return TLSA{Usage: t.Usage, Selector: t.Selector, Matching: t.MatchingType, Data: strings.ToLower(t.Certificate)}
	})
}

// lookup asks for records of one type. The resolver has followed aliases.
func lookup[R dns.RR, T any](ctx context.Context, d *DNS, name string, kind uint16, read func(R) T) ([]T, bool, error) {
	reply, err := d.ask(ctx, name, kind)
	if err != nil {
		return nil, false, err
	}
	authentic := d.Trusted && reply.AuthenticatedData
	if reply.Rcode == dns.RcodeNameError {
		return nil, authentic, fmt.Errorf("%w: %s", ErrNoSuchName, name)
	}
	var all []T
	for _, rr := range reply.Answer {
		if r, ok := rr.(R); ok {
			all = append(all, read(r))
		}
	}
	return all, authentic, nil
}

// ask puts a question to each server, twice if need be.
func (d *DNS) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%w: %q cannot be one", ErrNoSuchName, name)
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	question.AuthenticatedData = true // RFC 6840 §5.7: we understand the answer's
	question.SetEdns0(1232, false)
	timeout := d.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	var failed error
	for range 2 {
		for _, server := range d.Servers {
			reply, err := exchange(ctx, question, server, timeout)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				failed = fmt.Errorf("ask for %s %s: %w", dns.TypeToString[kind], name, err)
			case reply.Rcode == dns.RcodeSuccess, reply.Rcode == dns.RcodeNameError:
				return reply, nil
			default:
				failed = fmt.Errorf("ask for %s %s: %s", dns.TypeToString[kind], name, dns.RcodeToString[reply.Rcode])
			}
		}
	}
	if failed == nil {
		failed = errors.New("there is no resolver to ask")
	}
	return nil, failed
}

func exchange(ctx context.Context, question *dns.Msg, server string, timeout time.Duration) (*dns.Msg, error) {
	reply, _, err := (&dns.Client{Timeout: timeout}).ExchangeContext(ctx, question, server)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: timeout}).ExchangeContext(ctx, question, server)
	}
	return reply, err
}
