package relay

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// Config says how mail leaves. Hostname and Store are needed; the zero value
// of everything else is what a mail server on the Internet does.
type Config struct {
	Hostname string // how we introduce ourselves
	// Names are further names of this server: a domain whose mail exchanger
	// has one of them, or Hostname, leads back here.
	Names []string
	Store *store.Store

	Resolver Resolver // nil is that of the system
	// Dial makes connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Smarthosts take all mail that has no route of its own, the first that
	// can be reached; none is to ask DNS.
	Smarthosts []NextHop
	// Routes are the servers for single domains, and for all domains below
	// one as "*.example.test".
	Routes map[string][]NextHop
	// AllowPrivate lets mail exchangers have addresses that are not public.
	AllowPrivate bool

	TLS    Security       // the least for all connections
	Roots  *x509.CertPool // for Verified; nil is the system's
	NoSTS  bool           // do not ask for MTA-STS policies
	NoDANE bool           // do not ask for certificate records
	// PolicyDir keeps MTA-STS policies over restarts; "" does not.
	PolicyDir string
	// HTTP fetches MTA-STS policies; nil is a client of our own.
	HTTP *http.Client

	// Schedule are the waits between attempts, the last one for good; nil is
	// from 5 minutes to 4 hours. Each is varied by a tenth.
	Schedule []time.Duration
	// WarnAfter is when the sender is told of the delay; 0 is 4 hours.
	WarnAfter time.Duration
	// MaxAge is when we give up; 0 is 5 days.
	MaxAge time.Duration
	// Notices tells senders of what has not gone; nil makes one of its own.
	Notices *Notices

	PerDomain int // connections to one destination; 0 is 5
	Total     int // connections in all; 0 is 200
	Timeouts  Timeouts

	Clock Clock        // nil is the real one
	Log   *slog.Logger // nil discards

	// Tap records the conversations; nil does not.
	Tap *wiretap.Tap
	// Observe hears of every outcome after it has been recorded. It must not
	// wait.
	Observe func(Outcome)
}

// defaultSchedule grows to 4 hours (RFC 5321 §4.5.4.1).
var defaultSchedule = []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour}

func orElse[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

func (c Config) withDefaults() Config {
	if c.Resolver == nil {
		c.Resolver = new(resolve.DNS)
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	switch {
	case c.NoSTS:
		c.HTTP = nil
	case c.HTTP == nil: // after what it is made of
		c.HTTP = c.policyClient()
	}
	if len(c.Schedule) == 0 {
		c.Schedule = defaultSchedule
	}
	orElse(&c.WarnAfter, 4*time.Hour)
	orElse(&c.MaxAge, 5*24*time.Hour)
	orElse(&c.PerDomain, 5)
	orElse(&c.Total, 200)
	c.Timeouts = c.Timeouts.withDefaults()
	if c.Clock == nil {
		c.Clock = realClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Notices == nil {
		c.Notices = &Notices{Hostname: c.Hostname, Store: c.Store, Now: c.Clock.Now, Log: c.Log}
	}
	return c
}

// Relay brings queued mail to other servers. Make it with [New].
type Relay struct {
	Config
	sts   *policies
	conns atomic.Int64

	stopping chan struct{} // closed by Shutdown
	stopOnce sync.Once
	stopped  chan struct{} // closed when Run has ended
	cancel   atomic.Pointer[context.CancelFunc]
	room     chan struct{} // capacity 1: there is room for jobs again

	mu           sync.Mutex
	destinations map[string]*destination
	held         map[store.QueueID]bool // leased and not settled
	waiting      map[string]int         // jobs in memory, by domain
	jobs         int
	workers      int
	running      sync.WaitGroup
}

// New makes a Relay that Run sets to work.
func New(c Config) *Relay {
	c = c.withDefaults()
	r := &Relay{
		Config:       c,
		stopping:     make(chan struct{}),
		stopped:      make(chan struct{}),
		room:         make(chan struct{}, 1),
		destinations: make(map[string]*destination),
		held:         make(map[store.QueueID]bool),
		waiting:      make(map[string]int),
	}
	r.sts = newPolicies(c)
	return r
}

// Bounds on what is leased and not yet done. A domain that has readAhead jobs
// in memory gets no more, so that a dead one costs the others nothing.
const (
	leaseTime = 15 * time.Minute
	maxLease  = 500   // jobs of one lease
	readAhead = 500   // jobs of one domain
	maxJobs   = 50000 // jobs in all
	// gather is how long hints are collected before the queue is read again:
	// an outcome of ours can be a hint too.
	gather = 10 * time.Millisecond
)

// Run brings mail out until Shutdown, or until ctx ends, which breaks off
// what is under way. Call it once. The store must have no other Relay.
func (r *Relay) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.cancel.Store(&cancel)
	defer close(r.stopped)
	// Whoever leased what is leased now has died.
	if err := r.Store.EndLeases(ctx); err != nil {
		return err
	}
	watch := r.Store.WatchQueue()
	defer watch.Close()
	for r.wanted(ctx) {
		began := r.Clock.Now() // before it looks: a clock that is wound meanwhile wakes us early, never late
		next, err := r.lease(ctx)
		if err != nil && r.wanted(ctx) {
			r.Log.Error("read the queue", "err", err)
			next = time.Minute
		}
		due, stop := r.Clock.At(began.Add(next))
		select {
		case <-due:
		case <-watch.C():
		case <-r.room:
		case <-r.stopping:
		case <-ctx.Done():
		}
		stop()
		pause(ctx, r.stopping, gather)
	}
	r.running.Wait()
	return r.Store.EndLeases(context.WithoutCancel(ctx))
}

func (r *Relay) wanted(ctx context.Context) bool {
	select {
	case <-r.stopping:
		return false
	default:
		return ctx.Err() == nil
	}
}

func pause(ctx context.Context, stopping <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stopping:
	case <-ctx.Done():
	}
}

// Shutdown takes up nothing more and waits for the mails that are being sent.
// When ctx ends first, they are broken off, to be sent again later.
func (r *Relay) Shutdown(ctx context.Context) error {
	r.stopOnce.Do(func() { close(r.stopping) })
	cancel := r.cancel.Load()
	if cancel == nil {
		return nil // it has never run
	}
	select {
	case <-r.stopped:
		return nil
	case <-ctx.Done():
	}
	(*cancel)()
	<-r.stopped
	return ctx.Err()
}

// idle is how long we sleep when nothing is queued at all.
const idle = time.Hour

// lease takes what is due, as far as there is room, and returns how long
// there will be nothing else to do.
func (r *Relay) lease(ctx context.Context) (time.Duration, error) {
	for {
		skip, room := r.full()
		if room == 0 {
			return idle, nil // until there is
		}
		now := r.Clock.Now()
		began := time.Now()
		jobs, err := r.Store.Lease(ctx, min(room, maxLease), now.Add(leaseTime), skip)
		if err != nil {
			return 0, err
		}
		for _, rows := range jobs {
			r.dispatch(ctx, rows)
		}
		if len(jobs) > 0 {
			continue
		}
		// Behind a hundred thousand mails for a domain that has enough to do,
		// a look takes long. Hints must not make it take all our time.
		pause(ctx, r.stopping, 3*time.Since(began))
		at, ok, err := r.Store.NextDue(ctx, now)
		if err != nil || !ok {
			return idle, err
		}
		return max(at.Sub(now), gather), nil
	}
}

// full tells which domains have enough to do, and how many jobs there is room for.
func (r *Relay) full() (skip map[string]bool, room int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	skip = make(map[string]bool)
	for domain, n := range r.waiting {
		if n >= readAhead {
			skip[domain] = true
		}
	}
	return skip, max(0, maxJobs-r.jobs)
}

// dispatch gives a job to its destination.
func (r *Relay) dispatch(ctx context.Context, rows []store.Queued) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A job can outlive its lease: what we hold is not begun twice.
	var fresh []store.Queued
	for _, q := range rows {
		if !r.held[q.ID] {
			r.held[q.ID] = true
			fresh = append(fresh, q)
		}
	}
	if len(fresh) == 0 {
		return
	}
	domain := fresh[0].Domain
	r.waiting[domain]++
	r.jobs++
	name := domain
	if hops := r.route(domain); len(hops) > 0 {
		name = key(hops)
	}
	d := r.destinations[name]
	if d == nil {
		d = &destination{name: name, more: make(chan struct{}, 1)}
		r.destinations[name] = d
	}
	d.add(job{rows: fresh, leased: r.Clock.Now()})
	r.staff(ctx, d)
}

// done is for a job that has been settled.
func (r *Relay) done(j job) {
	r.mu.Lock()
	for _, q := range j.rows {
		delete(r.held, q.ID)
	}
	domain := j.rows[0].Domain
	full := r.waiting[domain] == readAhead || r.jobs == maxJobs
	if r.waiting[domain]--; r.waiting[domain] == 0 {
		delete(r.waiting, domain)
	}
	r.jobs--
	r.mu.Unlock()
	if !full {
		return // nothing was left out for want of room
	}
	select {
	case r.room <- struct{}{}:
	default:
	}
}

// errStopping is what breaks off an attempt.
var errStopping = errors.New("the server is stopping")
