package listen

import (
	"context"
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
}

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
	return &Limited{
		Listener: l,
		limits:   limits,
		refuse:   refuse,
		slots:    make(chan struct{}, refusals),
		open:     make(map[*limitedConn]struct{}),
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
	open    map[*limitedConn]struct{}
	callers map[netip.Prefix]*caller
	swept   time.Time
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
			return nil
		}
		if l.limits.PerAddress > 0 && from.open >= l.limits.PerAddress {
			return nil
		}
	}
	if l.limits.Total > 0 && len(l.open) >= l.limits.Total {
		return nil
	}
	if from != nil {
		from.open++
	}
	admitted := &limitedConn{Conn: c, owner: l, from: from}
	l.open[admitted] = struct{}{}
	return admitted
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
	remaining := make([]*limitedConn, 0, len(l.open))
	for c := range l.open {
		remaining = append(remaining, c)
	}
	l.mu.Unlock()
	for _, c := range remaining {
		c.Close()
	}
	return ctx.Err()
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn
	owner *Limited
	from  *caller // nil when the address is not one
	once  sync.Once
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		l := c.owner
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
	})
	return err
}

// NetConn returns the connection beneath.
func (c *limitedConn) NetConn() net.Conn { return c.Conn }

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
