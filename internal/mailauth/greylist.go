package mailauth

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Greylist asks clients that nobody has seen before to come again (RFC 6647):
// mail servers do, most senders of junk do not.
type Greylist struct {
	Memory GreyMemory
	Delay  time.Duration // how long a newcomer waits; 0 is 5 minutes
	Window time.Duration // how long it has to come again; 0 is 24 hours
	Keep   time.Duration // how long one that did is known after its last mail; 0 is 36 days
	Now    func() time.Time
}

// GreyKey is a client's network, a sender and a recipient, hashed: who writes
// to whom need not be remembered.
type GreyKey [sha256.Size]byte

// GreyEntry is what is remembered of one.
type GreyEntry struct {
	First time.Time // when it came first
	Last  time.Time // when it came last
	Known bool      // it has come again in time
}

// GreyMemory remembers entries, also over a restart if it can. It may forget
// the oldest. It is for concurrent use.
type GreyMemory interface {
	// Load returns the zero GreyEntry for what is not there.
	Load(ctx context.Context, key GreyKey) (GreyEntry, error)
	Save(ctx context.Context, key GreyKey, e GreyEntry) error
}

// Wait is how long the client has to wait before the mail is taken; 0 is not
// at all.
func (g *Greylist) Wait(ctx context.Context, f Facts, recipient string) (time.Duration, error) {
	now := time.Now()
	if g.Now != nil {
		now = g.Now()
	}
	key := greyKey(f, recipient)
	e, err := g.Memory.Load(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("greylist: %w", err)
	}
	var wait time.Duration
	age, idle := now.Sub(e.First), now.Sub(e.Last)
	delay := cmp.Or(g.Delay, 5*time.Minute)
	switch {
	case e.Known && idle <= cmp.Or(g.Keep, 36*24*time.Hour):
	case !e.Known && !e.First.IsZero() && age >= delay && age <= cmp.Or(g.Window, 24*time.Hour):
		e.Known = true
	case !e.Known && !e.First.IsZero() && age < delay:
		wait = delay - age
	default:
		e, wait = GreyEntry{First: now}, delay
	}
	e.Last = now
	if err := g.Memory.Save(ctx, key, e); err != nil {
		return 0, fmt.Errorf("greylist: %w", err)
	}
	return wait, nil
}

// greyKey: large senders come again from a neighbouring address.
func greyKey(f Facts, recipient string) GreyKey {
	ip := f.RemoteIP.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits)
	return sha256.Sum256([]byte(strings.ToLower(network.String() + "\x00" + f.MailFrom + "\x00" + recipient)))
}

// NewGreyMemory remembers up to max entries until the program ends, and
// forgets those first that have not come for the longest time; 0 is 100 000.
func NewGreyMemory(max int) GreyMemory {
	return &greyMemory{max: cmp.Or(max, 100_000), entries: make(map[GreyKey]*list.Element), order: list.New()}
}

type greyMemory struct {
	max     int
	mu      sync.Mutex
	entries map[GreyKey]*list.Element
	order   *list.List // of remembered, the latest first
}

type remembered struct {
	key GreyKey
	GreyEntry
}

func (m *greyMemory) Load(_ context.Context, key GreyKey) (GreyEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		return e.Value.(*remembered).GreyEntry, nil
	}
	return GreyEntry{}, nil
}

func (m *greyMemory) Save(_ context.Context, key GreyKey, entry GreyEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		e.Value.(*remembered).GreyEntry = entry
		m.order.MoveToFront(e)
		return nil
	}
	m.entries[key] = m.order.PushFront(&remembered{key, entry})
	if m.order.Len() > m.max {
		oldest := m.order.Remove(m.order.Back()).(*remembered)
		delete(m.entries, oldest.key)
	}
	return nil
}
