package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestQueueIsLeasedByDomainAndSettledWithItsNotices(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s, ada := open(t, store.Options{Server: true, Now: func() time.Time { return now }})
	ctx := t.Context()
	w := s.WatchQueue()
	defer w.Close()
	d := store.Delivery{Sender: ada.Address, Body: text("away"), Recipients: []store.Recipient{
		{Remote: "bob@one.test", DSN: store.DSN{Notify: "FAILURE"}}, {Remote: "eve@one.test"}, {Remote: "kim@two.test"}, {User: ada.ID},
	}}
	acc, err := s.Accept(ctx, d)
	if err != nil || acc.Queued != 3 || len(acc.Delivered) != 1 {
		t.Fatalf("%+v %v", acc, err)
	}
	select {
	case <-w.C():
	default:
		t.Error("no hint that something is due")
	}
	if jobs, err := s.Lease(ctx, 10, now.Add(time.Minute), map[string]bool{"one.test": true, "two.test": true}); len(jobs) != 0 || err != nil {
		t.Errorf("leased skipped domains: %v %v", jobs, err)
	}
	jobs, err := s.Lease(ctx, 10, now.Add(time.Minute), nil)
	if err != nil || len(jobs) != 2 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	slices.SortFunc(jobs, func(a, b []store.Queued) int { return len(b) - len(a) })
	one := jobs[0]
	if len(one) != 2 || one[0].Domain != "one.test" || one[0].Attempts != 1 || one[0].DSN.Notify != "FAILURE" || one[0].Size != acc.Size {
		t.Errorf("job %+v", one)
	}
	if again, _ := s.Lease(ctx, 10, now.Add(time.Minute), nil); len(again) != 0 {
		t.Error("leased twice")
	}
	now = now.Add(2 * time.Minute) // a crash forgot them
	if again, _ := s.Lease(ctx, 1, now.Add(time.Minute), nil); len(again) != 1 || again[0][0].Attempts != 2 {
		t.Errorf("after the lease ran out: %v", again)
	}
	notice := store.Delivery{Body: text("undeliverable"), Recipients: []store.Recipient{{User: ada.ID}}}
	err = s.Settle(ctx, []store.Settlement{{ID: one[0].ID, Done: true}, {ID: one[1].ID, Next: now.Add(time.Hour), Warn: true, Reply: "450 4.2.0 later"}}, notice)
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.Queue(ctx)
	if err != nil || len(q) != 2 || !q[0].Warned || q[0].Reply != "450 4.2.0 later" || !q[0].Next.Equal(now.Add(time.Hour)) || !q[0].Leased.IsZero() {
		t.Errorf("queue %+v %v", q, err)
	}
	if inbox(t, s, ada).Messages != 2 {
		t.Error("the notice was not delivered")
	}
	if n, err := s.Hold(ctx, true, q[0].ID, q[1].ID, 999); n != 2 || err != nil {
		t.Errorf("held %d, %v", n, err)
	}
	if n, err := s.Hold(ctx, true, q[0].ID); n != 0 || err != nil {
		t.Errorf("held once more: %d, %v", n, err)
	}
	now = now.Add(24 * time.Hour)
	if jobs, _ := s.Lease(ctx, 10, now, nil); len(jobs) != 0 {
		t.Error("leased what is held")
	}
	if _, ok, _ := s.NextDue(ctx, now.Add(-time.Second)); ok {
		t.Error("something is due although all is held")
	}
	if n, _ := s.Retry(ctx, q[0].ID); n != 1 {
		t.Error("retry found nothing")
	}
	if at, ok, err := s.NextDue(ctx, now.Add(-time.Second)); !ok || err != nil || !at.Equal(now) {
		t.Errorf("due at %v, %v, %v", at, ok, err)
	}
	s.Remove(ctx, inbox(t, s, ada).ID, uidsOf(t, s, inbox(t, s, ada).ID))
	whole(t, s, acc.Blob) // the queue still needs it
	if n, _ := s.Drop(ctx, q[0].ID, q[1].ID); n != 2 {
		t.Error("drop found nothing")
	}
	waitFor(t, func() bool {
		b, err := s.OpenBody(ctx, acc.Blob)
		if err == nil {
			b.Close()
		}
		return err != nil
	})
}

func TestLeasesEndAndTimesAreFound(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s, ada := open(t, store.Options{Server: true, Now: func() time.Time { return now }})
	ctx := t.Context()
	d := store.Delivery{Sender: ada.Address, Body: text("away"), Recipients: []store.Recipient{{Remote: "bob@one.test"}, {Remote: "eve@one.test"}}}
	for range 3 {
		if _, err := s.Accept(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	// A mail with two recipients is one job, however few are asked for.
	jobs, err := s.Lease(ctx, 4, now.Add(time.Hour), nil)
	if err != nil || len(jobs) != 2 || len(jobs[0]) != 2 || len(jobs[1]) != 2 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	if rest, _ := s.Lease(ctx, 10, now.Add(time.Hour), nil); len(rest) != 1 {
		t.Errorf("%d jobs are left", len(rest))
	}
	if err := s.EndLeases(ctx); err != nil {
		t.Fatal(err)
	}
	all, err := s.Lease(ctx, 10, now.Add(time.Hour), nil)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d jobs after the leases have ended, %v", len(all), err)
	}
	var later []store.Settlement
	for i, job := range all {
		for _, q := range job {
			later = append(later, store.Settlement{ID: q.ID, Next: now.Add(time.Duration(i+1) * time.Hour)})
		}
	}
	if err := s.Settle(ctx, later); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Duration{0: time.Hour, time.Hour: 2 * time.Hour, 150 * time.Minute: 3 * time.Hour, 3 * time.Hour: 0} {
		at, ok, err := s.NextDue(ctx, now.Add(after))
		if err != nil || ok != (want > 0) || ok && !at.Equal(now.Add(want)) {
			t.Errorf("after %v: %v %v %v", after, at, ok, err)
		}
	}
}

func TestLeaseOfALongQueue(t *testing.T) {
	s, _ := open(t, store.Options{})
	for i := range 300 {
		if _, err := s.Accept(t.Context(), store.Delivery{Body: text("x"), Recipients: []store.Recipient{{Remote: fmt.Sprintf("u@d%d.test", i%3)}}}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[store.QueueID]bool{}
	for {
		jobs, err := s.Lease(t.Context(), 32, time.Now().Add(time.Hour), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs) == 0 {
			break
		}
		for _, j := range jobs {
			seen[j[0].ID] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("leased %d of 300", len(seen))
	}
}
