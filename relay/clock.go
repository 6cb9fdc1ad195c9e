package relay

import (
	"slices"
	"sync"
	"time"
)

// Clock tells when retries and notices are due. The store that a relay works
// for must be opened with the same clock's Now. Network timeouts are always
// in real time.
type Clock interface {
	Now() time.Time
	// At sends on the channel when t has come. stop gives up waiting.
	At(t time.Time) (c <-chan time.Time, stop func())
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) At(t time.Time) (<-chan time.Time, func()) {
	timer := time.NewTimer(time.Until(t))
	return timer.C, func() { timer.Stop() }
}

// WoundClock is a Clock that moves only when it is wound, so that a test or a
// demonstration need not wait four hours to see a warning.
type WoundClock struct {
	mu      sync.Mutex
	now     time.Time
	waiting []*wait
}

type wait struct {
	at time.Time
	c  chan time.Time // capacity 1: whoever waits may have gone
}

// NewWoundClock is a clock that stands at start.
func NewWoundClock(start time.Time) *WoundClock { return &WoundClock{now: start} }

// Now is where the clock stands.
func (w *WoundClock) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// At implements [Clock].
func (w *WoundClock) At(at time.Time) (<-chan time.Time, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &wait{at: at, c: make(chan time.Time, 1)}
	if !at.After(w.now) {
		t.c <- w.now
		return t.c, func() {}
	}
	w.waiting = append(w.waiting, t)
	return t.c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting = slices.DeleteFunc(w.waiting, func(o *wait) bool { return o == t })
	}
}

// Advance winds the clock forward and wakes everybody whose time has come.
func (w *WoundClock) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.waiting = slices.DeleteFunc(w.waiting, func(t *wait) bool {
		if t.at.After(w.now) {
			return false
		}
		t.c <- w.now
		return true
	})
}
