package store

import "sync"

// Watch is woken when something of its user may have changed. A wake-up is a
// hint and no more: it may be lost, doubled or early (I6), and whoever hears
// one asks [Store.Changes].
type Watch struct {
	hub  *hub
	user UserID
	c    chan struct{}
}

// C gives the hints. It holds one: hints that nobody has taken yet are one.
func (w *Watch) C() <-chan struct{} { return w.c }

// Close ends the watch. C stays open and silent.
func (w *Watch) Close() { w.hub.leave(w) }

func (w *Watch) hint() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// Watch begins to watch a user's mail.
func (s *Store) Watch(u UserID) *Watch {
	w := &Watch{hub: &s.hub, user: u, c: make(chan struct{}, 1)}
	s.hub.join(w)
	return w
}

// anybody is whose watches hear of everybody's right to log in.
const anybody UserID = 0

// WatchAccess begins to watch who may be here: it is woken when a password
// has changed, a token has been ended, or somebody has been suspended or deleted, and like every watch
// also when another process has changed anything. [Store.Generation] says
// whom it was about.
func (s *Store) WatchAccess() *Watch { return s.Watch(anybody) }

// Again makes C give another hint, for who could not act on the last one.
func (w *Watch) Again() { w.hint() }

type hub struct {
	mu      sync.Mutex
	watches map[UserID]map[*Watch]struct{}
}

func (h *hub) init() { h.watches = map[UserID]map[*Watch]struct{}{} }

func (h *hub) join(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches[w.user] == nil {
		h.watches[w.user] = map[*Watch]struct{}{}
	}
	h.watches[w.user][w] = struct{}{}
}

func (h *hub) leave(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches[w.user], w)
	if len(h.watches[w.user]) == 0 {
		delete(h.watches, w.user)
	}
}

func (h *hub) wake(u UserID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watches[u] {
		w.hint()
	}
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ws := range h.watches {
		for w := range ws {
			w.hint()
		}
	}
}
