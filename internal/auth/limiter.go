package auth

import (
	"cmp"
	"context"
	"hash/maphash"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// LimiterConfig says how much is tolerated. In every field zero is the
// default and a negative value switches the limit off.
type LimiterConfig struct {
	// FailuresPerAddress is how many logins may fail from one network
	// address (IPv4 /32, IPv6 /64) in one Window; 0 is 100.
	FailuresPerAddress int
	// FailuresPerAccount is the same for one account from one address;
	// 0 is 20. From other addresses the account stays usable: nobody can
	// lock somebody else out.
	FailuresPerAccount int
	// UnknownRecipients is how many unknown recipients one address may
	// name in one Window; 0 is 200.
	UnknownRecipients int
	// Window begins with the first failure; 0 is 15 minutes.
	Window time.Duration
	// Pause follows the third failure in a Window and doubles with each
	// further one up to MaxPause; 0 is 250 ms.
	Pause time.Duration
	// MaxPause is the longest pause; 0 is 4 s.
	MaxPause time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (c LimiterConfig) withDefaults() LimiterConfig {
	c.FailuresPerAddress = cmp.Or(c.FailuresPerAddress, 100)
	c.FailuresPerAccount = cmp.Or(c.FailuresPerAccount, 20)
	c.UnknownRecipients = cmp.Or(c.UnknownRecipients, 200)
	c.Window = cmp.Or(c.Window, 15*time.Minute)
	c.Pause = cmp.Or(c.Pause, 250*time.Millisecond)
	c.MaxPause = cmp.Or(c.MaxPause, 4*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Limiter counts failures per network address, for all services together.
// It forgets at a restart. It is safe for concurrent use.
type Limiter struct {
	c    LimiterConfig
	seed maphash.Seed

	mu     sync.Mutex
	counts map[counted]*window
	sweep  int // when counts is this large, expired windows are removed
}

// counted is what a window belongs to.
type counted struct {
	from    netip.Prefix
	what    kind
	account uint64 // hash of the account for kind account: keeps keys small
}

type kind uint8

const (
	logins kind = iota
	account
	recipients
)

type window struct {
	start time.Time
	n     int
}

// A window takes about 100 octets, so the limiter stays below 10 MB whatever
// is thrown at it.
const maxWindows = 1 << 16

// NewLimiter returns a Limiter that has seen nothing yet.
func NewLimiter(c LimiterConfig) *Limiter {
	return &Limiter{c: c.withDefaults(), seed: maphash.MakeSeed(), counts: make(map[counted]*window), sweep: 1024}
}

// MayName reports whether remote may still name recipients: it has not named
// too many unknown ones.
func (l *Limiter) MayName(remote net.Addr) bool {
	return l.below(counted{from: network(remote), what: recipients}, l.c.UnknownRecipients)
}

// UnknownRecipient counts a recipient that does not exist here, and pauses
// once there have been several.
func (l *Limiter) UnknownRecipient(ctx context.Context, remote net.Addr) {
	sleep(ctx, l.pause(l.count(counted{from: network(remote), what: recipients})))
}

func (l *Limiter) mayLogin(remote net.Addr, address string) bool {
	from := network(remote)
	return l.below(counted{from: from, what: logins}, l.c.FailuresPerAddress) &&
		l.below(l.account(from, address), l.c.FailuresPerAccount)
}

func (l *Limiter) loginFailed(remote net.Addr, address string) time.Duration {
	from := network(remote)
	l.count(l.account(from, address))
	return l.pause(l.count(counted{from: from, what: logins}))
}

func (l *Limiter) account(from netip.Prefix, address string) counted {
	name, err := store.CanonicalAddress(address)
	if err != nil {
		name = strings.ToLower(address)
	}
	return counted{from: from, what: account, account: maphash.String(l.seed, name)}
}

func (l *Limiter) below(c counted, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.counts[c]
	return limit < 0 || w == nil || w.n < limit || l.expired(w)
}

// count adds one to c and returns how many there are in its window.
func (l *Limiter) count(c counted) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.counts[c]
	if w == nil || l.expired(w) {
		l.makeRoom()
		w = &window{start: l.c.Now()}
		l.counts[c] = w
	}
	w.n++
	return w.n
}

func (l *Limiter) expired(w *window) bool { return l.c.Now().Sub(w.start) >= l.c.Window }

func (l *Limiter) makeRoom() {
	if len(l.counts) < l.sweep {
		return
	}
	for c, w := range l.counts {
		if l.expired(w) {
			delete(l.counts, c)
		}
	}
	for c := range l.counts { // any will do: map order is random
		if len(l.counts) <= maxWindows*7/8 { // so that a sweep serves many
			break
		}
		delete(l.counts, c)
	}
	l.sweep = min(max(1024, 2*len(l.counts)), maxWindows)
}

// pause is how long the n-th failure waits for its answer.
func (l *Limiter) pause(n int) time.Duration {
	if n < 3 || l.c.Pause < 0 {
		return 0
	}
	return min(l.c.Pause<<min(n-3, 16), l.c.MaxPause)
}

// network is the part of an address that one subscriber holds.
func network(remote net.Addr) netip.Prefix {
	var ip netip.Addr
	switch a := remote.(type) {
	case *net.TCPAddr:
		ip = a.AddrPort().Addr()
	case nil:
	default:
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			ip = ap.Addr()
		}
	}
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the zero Prefix for what is no IP address
	return p
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
