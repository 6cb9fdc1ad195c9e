package relay

import (
	"context"
	"errors"
	"time"

	"github.com/yubin-mail/yubin/store"
)

const (
	// maxMails is how many mails go over one connection.
	maxMails = 1000
	// maxSearch is how long one server after another is tried, if they all
	// let us wait.
	maxSearch = 10 * time.Minute
)

// attempt tries one job, and returns its recipients with what has become of
// them.
func (r *Relay) attempt(ctx context.Context, w *worker, j job) []*recipient {
	to := make([]*recipient, len(j.rows))
	for i, q := range j.rows {
		to[i] = &recipient{Queued: q}
	}
	if v := r.excuse(w.d, j); v != nil {
		settleAll(to, nil, v)
		return to
	}
	m, err := r.openMail(ctx, j.rows[0])
	var v *verdict
	switch {
	case errors.As(err, &v):
		settleAll(to, nil, v)
	case errors.Is(err, store.ErrExpunged):
		return nil // somebody has dropped it meanwhile
	case err != nil:
		if ctx.Err() == nil {
			r.Log.Error("make a mail ready", "queue", j.rows[0].ID, "err", err)
		}
		settleAll(to, nil, later("3.0", "the message cannot be made ready at present"))
	default:
		defer m.close()
		r.deliver(ctx, w, m, to)
	}
	return to
}

// deliver asks one server after another until everybody is settled.
func (r *Relay) deliver(ctx context.Context, w *worker, m *mail, to []*recipient) {
	l := levelOf(m, to[0].Queued)
	if c := w.conn; c != nil && (c.level != l || c.sent >= maxMails) {
		w.hangUp()
	}
	if c := w.conn; c != nil {
		// A server may have closed it meanwhile, which says nothing.
		_ = c.send(ctx, m, to)
		if c.broken {
			w.hangUp()
		}
	}
	left := untried(to)
	if len(left) == 0 {
		return
	}
	hosts, v := r.hosts(ctx, to[0].Domain, l)
	reached := false
	var by *conn
	begin := time.Now()
	for _, h := range hosts {
		if ctx.Err() != nil || time.Since(begin) > maxSearch {
			break
		}
		c, why := r.connect(ctx, h, l)
		if why == nil {
			reached = true
			r.reachable(ctx, w.d)
			w.conn, by = c, c
			why = c.send(ctx, m, left)
			if c.broken {
				w.hangUp()
			}
			if left = untried(left); len(left) == 0 {
				return
			}
		}
		v = milder(v, why)
	}
	if ctx.Err() != nil {
		v = later("3.2", "%v", errStopping)
	} else if !reached && l == ordinary {
		r.unreachable(w.d, v)
	}
	settleAll(left, by, v)
}

// milder is the verdict of several servers: it is final only if all say so.
func milder(a, b *verdict) *verdict {
	if a == nil || a.final && !b.final {
		return b
	}
	return a
}

func levelOf(m *mail, q store.Queued) level {
	switch {
	case q.RequireTLS && q.Sender != "": // RFC 8689 §5: a notice is not to get lost for it
		return strict
	case m.wantsNoTLS():
		return relaxed
	}
	return ordinary
}
