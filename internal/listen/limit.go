package listen

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits bounds who may connect. An address is an IPv4 address or an IPv6
// /64, which is what one subscriber usually has.
type Limits struct {
	PerAddress int              // connections open at once from one address; 0 is no limit
	Total      int              // connections open at once from everywhere; 0 is no limit
	Rate       int              // new connections from one address within a minute; 0 is no limit
	Now        func() time.Time // nil is time.Now
	Log        *slog.Logger     // hears of refusals, once a minute at most; nil discards
}

// Refused counts the callers who were turned away, by the limit that they met.
type Refused struct{ Rate, PerAddress, Total int64 }

// All is all of them.
func (r Refused) All() int64 { return r.Rate + r.PerAddress + r.Total }

const (
	// refusalTime is how long telling a caller to go away may take.
	refusalTime = 2 * time.Second
	// refusals is how many callers are told so at once. The others are
	// closed without a word: a flood must not cost more than it is worth.
	refusals = 32
	// rateWindow is the minute of Limits.Rate.
	rateWindow = time.Minute
)

// Limit returns a listener whose Accept returns only connections within the
// limits. For the others it calls refuse, off the accept loop and with a
// short deadline set, and closes the connection. A nil refuse says nothing,
// which is right in front of TLS.
func Limit(l net.Listener, limits Limits, refuse func(net.Conn)) *Limited {
	if limits.Now == nil {
		limits.Now = time.Now
	}
	if limits.Log == nil {
		limits.Log = slog.New(slog.DiscardHandler)
	}
	return &Limited{
		Listener: l,
		limits:   limits,
		refuse:   refuse,
		slots:    make(chan struct{}, refusals),
		open:     make(map[*Conn]struct{}),
		callers:  make(map[netip.Prefix]*caller),
	}
}

// Limited is a listener with limits, which knows its open connections.
type Limited struct {
	net.Listener
	limits Limits
	refuse func(net.Conn)

	slots    chan struct{} // a semaphore: one element for each refusal under way
	refusing sync.WaitGroup

	mu      sync.Mutex
	open    map[*Conn]struct{}
	callers map[netip.Prefix]*caller
	swept   time.Time
	refused Refused
	news    refusalNews
	empty   chan struct{} // made by Drain, closed when the last connection is
}

// caller is what we remember of one address.
type caller struct {
	open  int
	since time.Time // start of the minute that count is about
	count int
}

// Accept waits for the next connection that is within the limits.
func (l *Limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.admit(c); admitted != nil {
			return admitted, nil
		}
		l.turnAway(c)
	}
}

// admit returns c wrapped and counted, or nil when a limit is reached.
func (l *Limited) admit(c net.Conn) net.Conn {
	now := l.limits.Now()
	address, known := addressOf(c)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	l.report(now)
	var from *caller
	if known {
		from = l.callers[address]
		if from == nil {
			from = &caller{since: now}
			l.callers[address] = from
		}
		if now.Sub(from.since) >= rateWindow {
			from.since, from.count = now, 0
		}
		from.count++
		if l.limits.Rate > 0 && from.count > l.limits.Rate {
			return l.decline(&l.refused.Rate, "connections in a minute", c, now)
		}
		if l.limits.PerAddress > 0 && from.open >= l.limits.PerAddress {
			return l.decline(&l.refused.PerAddress, "connections from one address", c, now)
		}
	}
	if l.limits.Total > 0 && len(l.open) >= l.limits.Total {
		return l.decline(&l.refused.Total, "connections", c, now)
	}
	if from != nil {
		from.open++
	}
	admitted := &Conn{Conn: c, owner: l, from: from, id: ids.Add(1), since: time.Now()}
	l.open[admitted] = struct{}{}
	return admitted
}

// refusalNews is what the log has not been told of refusals yet.
type refusalNews struct {
	told  time.Time
	count int
	limit string // of the last
	from  net.Addr
}

// decline counts a refusal, and tells the log unless it has just been told.
// mu is held.
func (l *Limited) decline(counter *int64, limit string, c net.Conn, now time.Time) net.Conn {
	*counter++
	l.news.count++
	l.news.limit, l.news.from = limit, c.RemoteAddr()
	l.report(now)
	return nil
}

// report tells the log of the refusals since it was told last, once a minute
// at most: a flood of callers must not become one of lines. mu is held.
func (l *Limited) report(now time.Time) {
	if l.news.count == 0 || now.Sub(l.news.told) < rateWindow {
		return
	}
	l.limits.Log.Warn("connections refused", "count", l.news.count, "limit", l.news.limit, "last", l.news.from)
	l.news = refusalNews{told: now}
}

// Refused returns how many callers were turned away.
func (l *Limited) Refused() Refused {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// sweep forgets, once a minute, the addresses that nothing is known of.
func (l *Limited) sweep(now time.Time) {
	if now.Sub(l.swept) < rateWindow {
		return
	}
	l.swept = now
	for address, from := range l.callers {
		if from.open == 0 && now.Sub(from.since) >= rateWindow {
			delete(l.callers, address)
		}
	}
}

func (l *Limited) turnAway(c net.Conn) {
	if l.refuse == nil {
		c.Close()
		return
	}
	select {
	case l.slots <- struct{}{}:
	default:
		c.Close()
		return
	}
	l.refusing.Go(func() {
		defer func() { <-l.slots }()
		defer c.Close()
		if c.SetDeadline(time.Now().Add(refusalTime)) == nil {
			l.refuse(c)
		}
	})
}

// Close stops accepting and waits for the refusals under way, which are
// short. Accepted connections stay open.
func (l *Limited) Close() error {
	err := l.Listener.Close()
	l.refusing.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news.told = time.Time{} // what is left to tell is told now
	l.report(l.limits.Now())
	return err
}

// Open counts the accepted connections that are not closed yet.
func (l *Limited) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// Drain waits until every accepted connection is closed. When ctx ends
// first, it closes those that remain and returns the context's error. Call
// it after Close, so that no new ones come.
func (l *Limited) Drain(ctx context.Context) error {
	l.mu.Lock()
	if len(l.open) == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()

	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	remaining := make([]*Conn, 0, len(l.open))
	for c := range l.open {
		remaining = append(remaining, c)
	}
	l.mu.Unlock()
	for _, c := range remaining {
		c.Close()
	}
	return ctx.Err()
}

// closed takes a connection out of the books.
func (l *Limited) closed(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	if c.from != nil {
		c.from.open--
	}
	if len(l.open) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// addressOf returns what the limits count c under.
func addressOf(c net.Conn) (netip.Prefix, bool) {
	remote := c.RemoteAddr()
	if remote == nil {
		return netip.Prefix{}, false
	}
	ap, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Prefix{}, false
	}
	address := ap.Addr().Unmap().WithZone("")
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	return prefix, err == nil
}
