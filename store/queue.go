package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// QueueID names one remote recipient of one mail. It is never reused.
type QueueID int64

// Queued is a remote recipient who still has to get a mail.
//
// States: due (Next has come) → leased (an attempt is under way) → settled,
// which removes the row or sets its next time. A crash during an attempt
// leaves the lease, and the row is due again when it has run out: the next
// server may then get the mail twice, never not at all.
type Queued struct {
	ID         QueueID
	Blob       BlobID
	Size       int64 // octets of the mail
	Sender     string
	Recipient  string
	Domain     string
	DSN        DSN
	UTF8       bool
	RequireTLS bool
	Created    time.Time
	Next       time.Time // when the next attempt is due
	Leased     time.Time // until when an attempt has it; zero is none
	Attempts   int
	Held       bool
	Warned     bool   // the sender has been told of the delay
	Reply      string // of the last attempt
}

const queuedColumns = `queue.id, queue.blob_id, (SELECT size FROM blob WHERE blob.id = queue.blob_id), sender, recipient, domain, notify, original, ret, envid,
	utf8, require_tls, created, next, leased, attempts, held, warned, reply`

func scanQueued(r scanner) (q Queued, err error) {
	var created, next, leased int64
	err = r.Scan(&q.ID, &q.Blob, &q.Size, &q.Sender, &q.Recipient, &q.Domain, &q.DSN.Notify, &q.DSN.Original, &q.DSN.Return, &q.DSN.EnvelopID,
		&q.UTF8, &q.RequireTLS, &created, &next, &leased, &q.Attempts, &q.Held, &q.Warned, &q.Reply)
	q.Created, q.Next = time.UnixMilli(created), time.UnixMilli(next)
	if leased > 0 {
		q.Leased = time.UnixMilli(leased)
	}
	return q, err
}

// Queue lists all queued recipients, oldest first.
func (s *Store) Queue(ctx context.Context) ([]Queued, error) {
	return list(ctx, s.readers, scanQueued, `SELECT `+queuedColumns+` FROM queue ORDER BY id`)
}

// Lease takes up to n mails that are due, each with all its due recipients in
// one domain: what one delivery attempt needs. Nobody else gets them until
// the lease ends. Domains that skip names are left for later.
func (s *Store) Lease(ctx context.Context, n int, until time.Time, skip map[string]bool) ([][]Queued, error) {
	now := s.now().UnixMilli()
	// A reader looks for them, because behind what waits for a domain that is
	// skipped it may have to look long, and whoever writes has all mail wait.
	// The index of what is due gives the order, so that a long queue is not
	// read further than it is taken.
	found, err := list(ctx, s.readers, func(r scanner) (j job, err error) {
		err = r.Scan(&j.Mail, &j.Domain)
		return j, err
	}, `SELECT DISTINCT blob_id, domain FROM (SELECT blob_id, domain FROM queue WHERE held = 0 AND next <= $1 AND leased <= $1
		AND domain NOT IN (SELECT value FROM json_each($2)) ORDER BY next LIMIT $3)`, now, jsonList(slices.Collect(maps.Keys(skip))), n)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var rows []Queued
	err = s.write(ctx, func(t *tx) (err error) {
		// The plus signs keep SQLite from the index of what is due, which
		// holds the whole queue.
		rows, err = list(ctx, t, scanQueued, `UPDATE queue SET leased = $1, attempts = attempts + 1
			FROM (SELECT json_extract(value, '$.Mail') AS mail, json_extract(value, '$.Domain') AS destination FROM json_each($2))
			WHERE blob_id = mail AND domain = destination AND +held = 0 AND +next <= $3 AND leased <= $3 RETURNING `+queuedColumns,
			until.UnixMilli(), jsonList(found), now)
		return err
	})
	return byJob(rows), err
}

// job is what one delivery attempt is about.
type job struct {
	Mail   BlobID
	Domain string
}

// byJob puts rows of one mail and domain together, the oldest first.
func byJob(rows []Queued) (jobs [][]Queued) {
	slices.SortFunc(rows, func(a, b Queued) int {
		return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.ID, b.ID))
	})
	places := make(map[job]int)
	for _, q := range rows {
		j := job{q.Blob, q.Domain}
		i, ok := places[j]
		if !ok {
			i = len(jobs)
			places[j] = i
			jobs = append(jobs, nil)
		}
		jobs[i] = append(jobs[i], q)
	}
	return jobs
}

// EndLeases makes everything due that is leased: whoever had it is gone.
func (s *Store) EndLeases(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error { return t.must(`UPDATE queue SET leased = 0 WHERE leased > 0`) })
}

// NextDue is when the first recipient after a moment becomes due; ok is false
// when nothing waits for later.
func (s *Store) NextDue(ctx context.Context, after time.Time) (at time.Time, ok bool, err error) {
	var ms *int64
	err = s.readers.row(ctx, `SELECT min(next) FROM queue WHERE held = 0 AND next > $1`, after.UnixMilli()).Scan(&ms)
	if err != nil || ms == nil {
		return time.Time{}, false, err
	}
	return time.UnixMilli(*ms), true, nil
}

// Settlement is the outcome of an attempt for one recipient.
type Settlement struct {
	ID    QueueID
	Done  bool      // delivered or failed for good: the row goes
	Next  time.Time // when to try again, unless Done
	Warn  bool      // a delay notice is among the notices
	Reply string
}

// Settle records outcomes and accepts the notices (RFC 3464) that follow from
// them, in one transaction: no notice is lost and none is sent twice.
func (s *Store) Settle(ctx context.Context, outcomes []Settlement, notices ...Delivery) error {
	ins, release, err := s.receiveAll(ctx, notices)
	defer release()
	if err != nil {
		return err
	}
	// What is done makes nothing due.
	waits := len(notices) > 0 || slices.ContainsFunc(outcomes, func(o Settlement) bool { return !o.Done })
	return s.write(ctx, func(t *tx) error {
		for _, o := range outcomes {
			if !o.Done {
				if err := t.must(`UPDATE queue SET leased = 0, next = $1, reply = $2, warned = max(warned, $3) WHERE id = $4`,
					o.Next.UnixMilli(), o.Reply, o.Warn, o.ID); err != nil {
					return err
				}
				continue
			}
			blobs, err := list(ctx, t, scanOne[BlobID], `DELETE FROM queue WHERE id = $1 RETURNING blob_id`, o.ID)
			if err != nil {
				return err
			}
			t.orphan(blobs...)
		}
		if err := t.keepAll(ctx, s, notices, ins); err != nil {
			return err
		}
		if waits {
			t.then(s.hub.wakeQueue)
		}
		return nil
	})
}

// Hold keeps recipients from being tried, or lets them go again.
func (s *Store) Hold(ctx context.Context, held bool, ids ...QueueID) (int, error) {
	return s.changeQueue(ctx, ids, func(t *tx, id QueueID) (int64, error) {
		return t.affected(`UPDATE queue SET held = $1 WHERE id = $2 AND held <> $1`, held, id)
	})
}

// Retry makes recipients due now.
func (s *Store) Retry(ctx context.Context, ids ...QueueID) (int, error) {
	return s.changeQueue(ctx, ids, func(t *tx, id QueueID) (int64, error) {
		return t.affected(`UPDATE queue SET next = $1, held = 0 WHERE id = $2`, s.now().UnixMilli(), id)
	})
}

// AdvanceQueue makes everything that waits as old, and its next attempt as
// near, as if d had passed, and returns how many recipients that are. Only a
// demonstration has a use for it.
func (s *Store) AdvanceQueue(ctx context.Context, d time.Duration) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		k, err := t.affected(`UPDATE queue SET created = created - $1, next = next - $1`, d.Milliseconds())
		n = int(k)
		t.then(s.hub.wakeQueue)
		return err
	})
	return n, err
}

// Drop removes recipients without a notice to anybody.
func (s *Store) Drop(ctx context.Context, ids ...QueueID) (int, error) {
	return s.changeQueue(ctx, ids, func(t *tx, id QueueID) (int64, error) {
		blobs, err := list(ctx, t, scanOne[BlobID], `DELETE FROM queue WHERE id = $1 RETURNING blob_id`, id)
		t.orphan(blobs...)
		return int64(len(blobs)), err
	})
}

// changeQueue returns how many of ids have changed.
func (s *Store) changeQueue(ctx context.Context, ids []QueueID, change func(*tx, QueueID) (int64, error)) (int, error) {
	n := 0
	err := s.write(ctx, func(t *tx) error {
		n = 0
		for _, id := range ids {
			k, err := change(t, id)
			if err != nil {
				return err
			}
			n += int(k)
		}
		t.then(s.hub.wakeQueue)
		return nil
	})
	return n, err
}

// WatchQueue gives hints that something may be due (I6).
func (s *Store) WatchQueue() *Watch { return s.Watch(queueWatcher) }

// queueWatcher is no user: the hub knows the queue by it.
const queueWatcher UserID = -1

func (h *hub) wakeQueue() { h.wake(queueWatcher) }
