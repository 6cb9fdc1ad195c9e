// Package resolve asks recursive resolvers about DNS, for mail that leaves and
// for mail that comes. It does not cache, it validates no DNSSEC itself, and
// it does not look into /etc/hosts.
//
// [DNS] says whether an answer is authentic; [Net] asks the same and answers
// as a [net.Resolver] would. Start reading at [DNS.LookupMX].
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ErrNoSuchName: DNS says that a name does not exist (NXDOMAIN).
var ErrNoSuchName = errors.New("no such name in DNS")

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

// DNS asks recursive resolvers. A name that exists without records of the
// wished type has an empty answer, one that does not exist has
// [ErrNoSuchName]; any other error means that nobody knows now. authentic
// reports that the resolver has validated the whole answer with DNSSEC. It is
// for concurrent use.
type DNS struct {
	// Servers are asked in turn, as host:port; none are those of
	// /etc/resolv.conf, as they are at the time.
	Servers []string
	// Trusted: the way to Servers is safe, so that their word for DNSSEC
	// counts. The system's are trusted when all of them are on this machine
	// (RFC 7672 §2.1.1).
	Trusted bool
	Timeout time.Duration // of one question to one server; 0 is 5 seconds

	mu     sync.Mutex
	system []string
	local  bool      // all of system are on this machine
	read   time.Time // when system was
}

// systemFile is a variable for tests.
var systemFile = "/etc/resolv.conf"

// rereadAfter is how soon a change of that file is noticed.
const rereadAfter = 5 * time.Second

// servers are whom to ask, and whether they are trusted. Without a file that
// names any, this machine is (resolv.conf(5)).
func (d *DNS) servers() ([]string, bool) {
	if len(d.Servers) > 0 {
		return d.Servers, d.Trusted
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.system != nil && time.Since(d.read) < rereadAfter {
		return d.system, d.local
	}
	names, port := []string{"127.0.0.1"}, "53"
	if c, err := dns.ClientConfigFromFile(systemFile); err == nil && len(c.Servers) > 0 {
		names, port = c.Servers, c.Port
	}
	d.system, d.local, d.read = nil, true, time.Now()
	for _, s := range names {
		ip, err := netip.ParseAddr(s)
		d.local = d.local && err == nil && ip.IsLoopback()
		d.system = append(d.system, net.JoinHostPort(s, port))
	}
	return d.system, d.local
}

// LookupMX looks up the mail exchangers of a domain.
func (d *DNS) LookupMX(ctx context.Context, domain string) ([]MX, bool, error) {
	return lookup(ctx, d, domain, dns.TypeMX, func(m *dns.MX) MX {
		return MX{Host: strings.ToLower(strings.TrimSuffix(m.Mx, ".")), Preference: m.Preference}
	})
}

// LookupAddr looks up the addresses of a host. An address family that cannot be asked
// for does not hide the other.
func (d *DNS) LookupAddr(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	var v6 []netip.Addr
	var authentic6 bool
	var err6 error
	var asking sync.WaitGroup
	asking.Go(func() {
		v6, authentic6, err6 = lookup(ctx, d, host, dns.TypeAAAA, func(a *dns.AAAA) netip.Addr {
			addr, _ := netip.AddrFromSlice(a.AAAA)
			return addr
		})
	})
	v4, authentic4, err4 := lookup(ctx, d, host, dns.TypeA, func(a *dns.A) netip.Addr {
		addr, _ := netip.AddrFromSlice(a.A)
		return addr.Unmap()
	})
	asking.Wait()
	if errors.Is(err6, ErrNoSuchName) {
		return nil, authentic6, err6
	}
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

// LookupTXT looks up texts, each with its strings put together.
func (d *DNS) LookupTXT(ctx context.Context, name string) ([]string, bool, error) {
	return lookup(ctx, d, name, dns.TypeTXT, func(t *dns.TXT) string { return octets(strings.Join(t.Txt, "")) })
}

// LookupTLSA looks up what a certificate has to be.
func (d *DNS) LookupTLSA(ctx context.Context, name string) ([]TLSA, bool, error) {
	return lookup(ctx, d, name, dns.TypeTLSA, func(t *dns.TLSA) TLSA {
		return TLSA{Usage: t.Usage, Selector: t.Selector, Matching: t.MatchingType, Data: strings.ToLower(t.Certificate)}
	})
}

// LookupPTR looks up the names of an address.
func (d *DNS) LookupPTR(ctx context.Context, addr netip.Addr) ([]string, bool, error) {
	name, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return nil, false, fmt.Errorf("%w: of %s", ErrNoSuchName, addr)
	}
	return lookup(ctx, d, name, dns.TypePTR, func(p *dns.PTR) string { return strings.ToLower(strings.TrimSuffix(p.Ptr, ".")) })
}

// lookup asks for records of one type. The resolver has followed aliases.
func lookup[R dns.RR, T any](ctx context.Context, d *DNS, name string, kind uint16, read func(R) T) ([]T, bool, error) {
	servers, trusted := d.servers()
	reply, err := d.ask(ctx, servers, name, kind)
	if err != nil {
		return nil, false, err
	}
	authentic := trusted && reply.AuthenticatedData
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
func (d *DNS) ask(ctx context.Context, servers []string, name string, kind uint16) (*dns.Msg, error) {
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
		for _, server := range servers {
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
	return nil, failed
}

func exchange(ctx context.Context, question *dns.Msg, server string, timeout time.Duration) (*dns.Msg, error) {
	reply, _, err := (&dns.Client{Timeout: timeout}).ExchangeContext(ctx, question, server)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: timeout}).ExchangeContext(ctx, question, server)
	}
	return reply, err
}

// octets undoes what makes the strings of a record fit for a zone file
// (RFC 1035 §5.1): a backslash before three digits or before itself.
func octets(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if rest := text[i+1:]; c == '\\' && len(rest) >= 3 && isDigits(rest[:3]) {
			c = (rest[0]-'0')*100 + (rest[1]-'0')*10 + rest[2] - '0'
			i += 3
		} else if c == '\\' && rest != "" {
			c = rest[0]
			i++
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
