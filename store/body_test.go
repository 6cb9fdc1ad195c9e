package store_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestBodyOutlivesItsMessageWhileOpen(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	acc := deliver(t, s, text("kept"), ada)
	b, err := s.OpenBody(t.Context(), acc.Blob)
	if err != nil {
		t.Fatal(err)
	}
	in := inbox(t, s, ada)
	s.Remove(t.Context(), in.ID, []store.UID{1})
	if _, err := b.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("reading an open body of an expunged message: %v", err)
	}
	b.Close()
	waitFor(t, func() bool {
		b, err := s.OpenBody(t.Context(), acc.Blob)
		if err == nil {
			b.Close()
		}
		return errors.Is(err, store.ErrExpunged)
	})
}

// Losing one of its copies must not make a body unreadable through another,
// not even while the collector looks at it.
func TestBodyStaysReadableThroughItsOtherCopies(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	in := inbox(t, s, ada)
	acc := deliver(t, s, text("copied"), ada)
	for range 200 {
		pairs, _, err := s.Copy(t.Context(), in.ID, []store.UID{1}, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Remove(t.Context(), in.ID, []store.UID{pairs[0].To}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			b, err := s.OpenBody(t.Context(), acc.Blob)
			if err != nil {
				t.Fatal(err)
			}
			b.Close()
		}
	}
}

// Collecting waits for a lull, but not for ever.
func TestBodiesAreCollectedWhileOthersWrite(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	ended := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			if _, err := s.Hold(t.Context(), false); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writing.Wait()
	defer close(ended)
	acc := deliver(t, s, text("gone"), ada)
	if _, err := s.Remove(t.Context(), inbox(t, s, ada).ID, []store.UID{1}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		_, err := s.ReadBody(t.Context(), acc.Blob, 1<<10)
		return errors.Is(err, store.ErrExpunged)
	})
}
