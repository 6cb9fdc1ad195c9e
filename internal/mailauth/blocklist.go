package mailauth

import (
	"cmp"
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Blocklist asks DNS block lists about clients (RFC 5782). It is for
// concurrent use.
type Blocklist struct {
	Resolver Resolver
	Zones    []string      // "dnsbl.example.org"; the first that lists counts
	Timeout  time.Duration // for all of them; 0 is 5 s
	Now      func() time.Time

	mu    sync.Mutex
	known map[netip.Addr]knownListing
}

// Listing is what a list says about a client; Zone is "" when none has it.
type Listing struct {
	Zone   string
	Reason string // as the list gives it
}

type knownListing struct {
	Listing
	until time.Time
}

// What is remembered: recipients of one message ask the same again.
const (
	knownClients = 10_000
	knownFor     = 10 * time.Minute
)

// Check looks ip up. A list that does not answer lists nobody.
func (b *Blocklist) Check(ctx context.Context, ip netip.Addr) Listing {
	ip = ip.Unmap().WithZone("")
	if len(b.Zones) == 0 || !ip.IsValid() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return Listing{}
	}
	now := time.Now()
	if b.Now != nil {
		now = b.Now()
	}
	b.mu.Lock()
	k, ok := b.known[ip]
	b.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.Listing
	}
	found := b.ask(ctx, ip)
	if ctx.Err() != nil {
		return found
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil || len(b.known) >= knownClients {
		b.known = make(map[netip.Addr]knownListing)
	}
	b.known[ip] = knownListing{found, now.Add(knownFor)}
	return found
}

func (b *Blocklist) ask(ctx context.Context, ip netip.Addr) Listing {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(b.Timeout, 5*time.Second))
	defer cancel()
	l := newLookups(b.Resolver, 2*len(b.Zones))
	name := reverse(ip)
	for _, zone := range b.Zones {
		addrs, err := l.LookupIPAddr(ctx, name+"."+zone)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if got, ok := netip.AddrFromSlice(a.IP); !ok || !lists(got.Unmap()) {
				continue
			}
			found := Listing{Zone: zone}
			if why, err := l.LookupTXT(ctx, name+"."+zone); err == nil && len(why) > 0 {
				found.Reason = harmless(why[0])
			}
			return found
		}
	}
	return Listing{}
}

// lists reports whether an answer says "listed". An address outside of
// 127.0.0.0/8 is what a list that has been given up answers for everything;
// 127.255.255.0/24 is what lists say to those who may not ask, and 127.0.0.1
// is never used (RFC 5782 §2.1, §5).
func lists(answer netip.Addr) bool {
	if !answer.Is4() {
		return false
	}
	a := answer.As4()
	refusal := a[1] == 255 && a[2] == 255
	return a[0] == 127 && !refusal && a != [4]byte{127, 0, 0, 1}
}

// reverse is an address as block lists have it: octets of IPv4, nibbles of
// IPv6, last first (RFC 5782 §2.1, §2.4).
func reverse(ip netip.Addr) string {
	var parts []string
	octets := ip.AsSlice()
	for i := len(octets) - 1; i >= 0; i-- {
		if ip.Is4() {
			parts = append(parts, strconv.Itoa(int(octets[i])))
			continue
		}
		parts = append(parts, strconv.FormatInt(int64(octets[i]&15), 16), strconv.FormatInt(int64(octets[i]>>4), 16))
	}
	return strings.Join(parts, ".")
}
