package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Event is what has become of a recipient, in the words of the log.
type Event string

// The events of outgoing mail.
const (
	Delivered Event = "delivered"
	Deferred  Event = "deferred"
	Failed    Event = "failed"
)

// Outcome is the result of an attempt for one recipient.
type Outcome struct {
	Event Event
	store.Queued
	Reply  string    // of the server, or our own words
	Status string    // RFC 3463; "" when delivered
	Host   string    // the server that was asked last; "" when none was
	Conn   string    // the connection, as in the log
	TLS    string    // its TLS version; "" is in clear
	Proven bool      // the server's certificate was verified
	Again  time.Time // when it is tried again, when deferred
}

// settle records the outcomes of an attempt and tells the sender what has to
// be told, all in one transaction.
func (r *Relay) settle(ctx context.Context, to []*recipient) {
	if len(to) == 0 {
		return
	}
	now := r.Clock.Now()
	var changes []store.Settlement
	var all []Outcome
	jitter := 0.9 + rand.Float64()/5 // one for all, so that they stay together
	failed, delayed, passed := report{kind: Failed}, report{kind: Deferred}, report{kind: Delivered}
	unvouched := report{kind: Failed, unvouched: true}
	for _, t := range to {
		o := t.outcome(r, now, jitter, ctx.Err() != nil)
		s := store.Settlement{ID: t.ID, Done: o.Event != Deferred, Next: o.Again, Reply: o.Reply}
		switch {
		case o.Event == Delivered && !t.told && t.wants("SUCCESS"):
			passed.to = append(passed.to, t)
		case o.Event == Failed && t.wants("FAILURE"):
			failed.to = append(failed.to, t)
		case o.Event == Failed && r.Notices.handedOn(t):
			unvouched.to = append(unvouched.to, t)
		case o.Event == Deferred && ctx.Err() == nil && !t.Warned && now.Sub(t.Created) >= r.WarnAfter && t.wants("DELAY"):
			s.Warn = true
			delayed.to = append(delayed.to, t)
		}
		changes = append(changes, s)
		all = append(all, o)
	}
	ctx = context.WithoutCancel(ctx) // what has happened must be recorded
	var notices []store.Delivery
	for _, p := range []report{failed, delayed, passed, unvouched} {
		if len(p.to) == 0 {
			continue
		}
		p.at, p.age = now, r.MaxAge
		if d, ok := r.Notices.notice(ctx, p); ok {
			notices = append(notices, d)
		}
	}
	if !r.record(ctx, changes, notices) {
		return
	}
	for _, o := range all {
		r.tell(o)
	}
}

// record does not give up: what it would record is done, and would be done
// again. Meanwhile its worker takes no more.
func (r *Relay) record(ctx context.Context, changes []store.Settlement, notices []store.Delivery) bool {
	for {
		err := r.Store.Settle(ctx, changes, notices...)
		switch {
		case err == nil:
			return true
		case errors.Is(err, store.ErrNoSuchUser) && len(notices) > 0:
			notices = nil // whoever sent it has been deleted this moment
			continue
		}
		r.Log.Error("record an outcome", "err", err)
		if !r.wanted(ctx) {
			return false // the leases end, and it is sent again
		}
		pause(ctx, r.stopping, time.Second)
	}
}

// outcome decides what a verdict leads to.
func (t *recipient) outcome(r *Relay, now time.Time, jitter float64, interrupted bool) Outcome {
	o := Outcome{Event: Delivered, Queued: t.Queued, Reply: t.reply}
	if t.by != nil {
		o.Host, o.Conn, o.Proven = t.by.host.name, t.by.id, t.by.proven
		if t.by.tls != nil {
			o.TLS = tlsVersion(t.by.tls.Version)
		}
	}
	if t.verdict == nil {
		return o
	}
	o.Reply, o.Status, o.Event = t.verdict.reply(), t.verdict.status(), Failed
	switch {
	case t.verdict.final:
	case interrupted: // by ourselves, which is no attempt
		o.Event, o.Again = Deferred, t.Next
	case now.Sub(t.Created) < r.MaxAge:
		o.Event, o.Again = Deferred, r.again(t.Queued, now, jitter)
	}
	return o
}

// again is when a recipient is tried next: as the schedule says, but not
// later than the moments at which something has to be decided.
func (r *Relay) again(q store.Queued, now time.Time, jitter float64) time.Time {
	step := min(max(q.Attempts-1, 0), len(r.Schedule)-1)
	next := now.Add(time.Duration(jitter * float64(r.Schedule[step])))
	for _, moment := range []time.Time{q.Created.Add(r.WarnAfter), q.Created.Add(r.MaxAge)} {
		if moment.After(now) && moment.Before(next) {
			next = moment
		}
	}
	return next
}

// wants reports whether the sender asked for such a notice (RFC 3461 §4.1).
// Nobody who sent with the null reverse-path wants any.
func (t *recipient) wants(kind string) bool {
	switch {
	case t.Sender == "":
		return false
	case t.DSN.Notify == "":
		return kind != "SUCCESS"
	}
	for _, w := range strings.Split(t.DSN.Notify, ",") {
		if strings.EqualFold(strings.TrimSpace(w), kind) {
			return true
		}
	}
	return false
}

func (r *Relay) tell(o Outcome) {
	log := r.Log.With("proto", "relay", "queue", o.ID, "from", o.Sender, "to", o.Recipient, "attempt", o.Attempts)
	if o.Conn != "" {
		log = log.With("conn", o.Conn, "host", o.Host, "tls", o.TLS, "verified", o.Proven)
	}
	switch o.Event {
	case Delivered:
		log.Info("delivered", "reply", o.Reply)
	case Deferred:
		log.Info("deferred", "reply", o.Reply, "next", o.Again)
	case Failed:
		log.Info("failed", "reply", o.Reply)
		if o.Sender == "" {
			log.Warn("a notice cannot be delivered either, and is given up", "reply", o.Reply)
		}
	}
	if r.Observe != nil {
		r.Observe(o)
	}
}
