package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// A copy made while four senders deliver holds what had been acknowledged
// before it began, whole, and can stand in for the original.
func TestBackupWhileMailArrives(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	ctx := t.Context()
	in := inbox(t, s, ada)
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for i := range 4 {
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := s.Accept(context.Background(), store.Delivery{Body: text(fmt.Sprint(i, n)), Recipients: []store.Recipient{{User: ada.ID}, {Remote: "out@one.test"}}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	waitFor(t, func() bool { return inbox(t, s, ada).Messages > 20 })
	before := inbox(t, s, ada).Messages
	dir := t.TempDir()
	file := filepath.Join(dir, "yubin.db")
	b, err := s.Backup(ctx, file)
	close(stop)
	senders.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if b.Messages < int64(before) || b.Users != 1 || b.Queued != b.Messages {
		t.Errorf("%+v, acknowledged before: %d", b, before)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 || fi.Size() != b.Size {
		t.Errorf("file %v, %v", fi, err)
	}
	if _, err := s.Backup(ctx, file); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto a file that is there: %v", err)
	}
	var adopted store.UIDValidity
	for start := range 2 { // adopted once, not at every start
		r, again := open(t, store.Options{Dir: dir, Server: true})
		m := inbox(t, r, again)
		if m.UIDValidity <= in.UIDValidity || int64(m.Messages) != b.Messages {
			t.Errorf("start %d: restored mailbox %+v", start, m)
		}
		if start == 1 && m.UIDValidity != adopted {
			t.Errorf("UIDVALIDITY changed again, from %d to %d", adopted, m.UIDValidity)
		}
		adopted = m.UIDValidity
		q, err := r.Queue(ctx)
		if err != nil || int64(len(q)) != b.Queued || !q[0].Held {
			t.Errorf("start %d: %d queued, held %v, %v", start, len(q), q[0].Held, err)
		}
		if err := r.IntegrityCheck(ctx); err != nil {
			t.Error(err)
		}
		r.Close()
	}
}
