package relay

import (
	"context"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// job is one mail for one domain, with all its recipients there.
type job struct {
	rows   []store.Queued
	leased time.Time
}

// destination is where mail of one domain goes, or of all that share a
// configured server: the jobs that wait, and the workers, each with a
// connection that it keeps for the next mail. Relay.mu guards it.
type destination struct {
	name    string
	jobs    []job
	workers int
	idle    int           // of them
	more    chan struct{} // capacity 1: there are jobs
	alive   bool          // somebody could be reached last time

	// failure is why nobody could be reached, found at failedAt. Jobs that
	// waited then need not find out for themselves.
	failure  *verdict
	failedAt time.Time
}

func (d *destination) add(j job) {
	d.jobs = append(d.jobs, j)
	d.hint()
}

func (d *destination) hint() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// staff starts workers while d has jobs that nobody takes. One of them finds
// out whether anybody is there: dead destinations shall not take the places
// of the living.
func (r *Relay) staff(ctx context.Context, d *destination) {
	limit := 1
	if d.alive {
		limit = r.PerDomain
	}
	for n := d.idle; n < len(d.jobs) && d.workers < limit && r.workers < r.Total; n++ {
		d.workers++
		r.workers++
		r.running.Go(func() { r.work(ctx, d) })
	}
}

// worker is a connection and who uses it.
type worker struct {
	d    *destination
	conn *conn // nil between connections
	// recording are the outcomes on their way to the store; places bounds
	// them, and with them how many mails of a connection a crash can double.
	recording sync.WaitGroup
	places    chan struct{}
}

// unrecorded is how many outcomes of a worker may wait for the disk while it
// goes on.
const unrecorded = 4

func (w *worker) hangUp() {
	if w.conn != nil {
		w.conn.quit()
		w.conn = nil
	}
}

// work does jobs until there have been none for a while.
func (r *Relay) work(ctx context.Context, d *destination) {
	w := &worker{d: d, places: make(chan struct{}, unrecorded)}
	defer w.recording.Wait()
	defer w.hangUp()
	for {
		j, ok := r.next(ctx, d)
		if !ok {
			return
		}
		to := r.attempt(ctx, w, j)
		w.places <- struct{}{}
		w.recording.Go(func() {
			r.settle(ctx, to)
			r.done(j)
			<-w.places
		})
	}
}

// next waits for a job. When it returns false the worker has left.
func (r *Relay) next(ctx context.Context, d *destination) (j job, ok bool) {
	timeout := time.NewTimer(r.Timeouts.Idle)
	defer timeout.Stop()
	late := false
	for {
		r.mu.Lock()
		if len(d.jobs) > 0 && r.wanted(ctx) {
			j, d.jobs = d.jobs[0], d.jobs[1:]
			if len(d.jobs) > 0 {
				d.hint()
			}
			r.mu.Unlock()
			return j, true
		}
		if late || !r.wanted(ctx) {
			r.leave(ctx, d)
			r.mu.Unlock()
			return j, false
		}
		d.idle++
		r.mu.Unlock()
		select {
		case <-d.more:
		case <-timeout.C:
			late = true
		case <-r.stopping:
		case <-ctx.Done():
		}
		r.mu.Lock()
		d.idle--
		r.mu.Unlock()
	}
}

// leave gives a worker's place to a destination that has none.
func (r *Relay) leave(ctx context.Context, d *destination) {
	d.workers--
	r.workers--
	if d.workers == 0 && len(d.jobs) == 0 && d.failure == nil {
		delete(r.destinations, d.name)
	}
	if !r.wanted(ctx) {
		return
	}
	for name, other := range r.destinations {
		switch {
		case len(other.jobs) > 0:
			r.staff(ctx, other)
		case other.workers == 0 && r.Clock.Now().Sub(other.failedAt) > leaseTime:
			delete(r.destinations, name)
		}
	}
}

// excuse returns why j need not be tried: it was waiting already when nobody
// could be reached.
func (r *Relay) excuse(d *destination, j job) *verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.failure == nil {
		return nil
	}
	for _, q := range j.rows {
		if !q.Next.Before(d.failedAt) {
			return nil
		}
	}
	return d.failure
}

// unreachable notes why nobody is there.
func (r *Relay) unreachable(d *destination, v *verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.failure, d.failedAt, d.alive = v, r.Clock.Now(), false
}

// reachable notes that somebody is there.
func (r *Relay) reachable(ctx context.Context, d *destination) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.failure, d.alive = nil, true
	r.staff(ctx, d)
}
