package store

import (
	"cmp"
	ring "container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory holds small values under keys, each until it expires, and has them
// again after a restart. Get and Set never wait for the disk: changes are
// written behind, many in one transaction. So a crash loses those of the last
// few seconds; closing the store loses none.
//
// When there are too many values, those are forgotten that have not been set
// for the longest time. The zero value remembers until the program ends. It is
// for concurrent use.
type Memory struct {
	store  *Store // nil for the zero value
	kind   string
	bounds Bounds
	delay  time.Duration // how long changes are collected
	wake   chan struct{} // capacity 1: something has changed

	mu      sync.Mutex
	entries map[string]entry
	order   *ring.List            // of memo, the one that was set last in front
	crowds  map[string]*ring.List // of memo too: those of each crowd; nil when they are not bounded
	changed map[string]struct{}   // keys that the file has otherwise
}

// Bounds says how many values a [Memory] holds.
type Bounds struct {
	Max int // in all; 0 is 100 000
	// Crowd is for keys that begin with the same eight octets, so that whoever
	// sets many of them makes the others forget nothing; 0 is no such bound.
	Crowd int
}

type memo struct {
	key, value string
	expires    time.Time
}

// entry is where a memo stands.
type entry struct {
	inOrder, inCrowd *ring.Element // inCrowd is nil without crowds
}

// crowd is what a key is counted with.
func crowd(key string) string { return key[:min(len(key), 8)] }

const (
	maxMemory   = 100_000
	memoryDelay = 5 * time.Second
	// memoryBatch bounds how long a transaction keeps the writer from mail.
	memoryBatch = 500
)

// Memory opens the memory of one kind. It is to be asked for each kind once.
func (s *Store) Memory(ctx context.Context, kind string, bounds Bounds) (*Memory, error) {
	m := &Memory{store: s, kind: kind, bounds: bounds, delay: memoryDelay, wake: make(chan struct{}, 1)}
	m.init()
	known, err := listMemos(ctx, s, kind, m.limit())
	if err != nil {
		return nil, fmt.Errorf("remember %s: %w", kind, err)
	}
	for _, k := range slices.Backward(known) {
		m.put(k)
	}
	s.running.Go(m.writeBehind)
	return m, nil
}

func listMemos(ctx context.Context, s *Store, kind string, max int) ([]memo, error) {
	return list(ctx, s.readers, func(r scanner) (k memo, err error) {
		var key []byte
		var expires int64
		err = r.Scan(&key, &k.value, &expires)
		k.key, k.expires = string(key), time.UnixMilli(expires)
		return k, err
	}, `SELECT key, value, expires FROM memory WHERE kind = $1 AND expires > $2 ORDER BY expires DESC LIMIT $3`, kind, s.now().UnixMilli(), max)
}

func (m *Memory) limit() int { return cmp.Or(m.bounds.Max, maxMemory) }

func (m *Memory) init() {
	if m.entries != nil {
		return
	}
	m.entries, m.order, m.changed = make(map[string]entry), ring.New(), make(map[string]struct{})
	if m.bounds.Crowd > 0 {
		m.crowds = make(map[string]*ring.List)
	}
}

// Get returns the value under key, if there is one.
func (m *Memory) Get(key string) (value string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok {
		return "", false
	}
	return e.inOrder.Value.(memo).value, true
}

// Set puts a value under key. It may be forgotten once it has expired.
func (m *Memory) Set(key, value string, expires time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.put(memo{key, value, expires})
	m.change(key)
	if of := m.crowds[crowd(key)]; of != nil && of.Len() > m.bounds.Crowd {
		m.forget(of.Back().Value.(memo).key)
	}
	if m.order.Len() > m.limit() {
		m.forget(m.order.Back().Value.(memo).key)
	}
}

// put makes a memo the newest of all and of its crowd. m.mu is held, here and
// below.
func (m *Memory) put(k memo) {
	m.remove(k.key)
	e := entry{inOrder: m.order.PushFront(k)}
	if m.crowds != nil {
		of := m.crowds[crowd(k.key)]
		if of == nil {
			of = ring.New()
			m.crowds[crowd(k.key)] = of
		}
		e.inCrowd = of.PushFront(k)
	}
	m.entries[k.key] = e
}

func (m *Memory) remove(key string) {
	e, ok := m.entries[key]
	if !ok {
		return
	}
	delete(m.entries, key)
	m.order.Remove(e.inOrder)
	if of := m.crowds[crowd(key)]; of != nil {
		if of.Remove(e.inCrowd); of.Len() == 0 {
			delete(m.crowds, crowd(key))
		}
	}
}

func (m *Memory) forget(key string) {
	m.remove(key)
	m.change(key)
}

// change notes that a key is to be written.
func (m *Memory) change(key string) {
	if m.store == nil {
		return
	}
	m.changed[key] = struct{}{}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// writeBehind writes what has changed until the store closes, and then what is
// left.
func (m *Memory) writeBehind() {
	ended := m.store.ended
	for {
		select {
		case <-m.wake:
		case <-ended:
			m.flush()
			return
		}
		select {
		case <-time.After(m.delay):
		case <-ended:
		}
		m.flush()
	}
}

// flush writes all changes. What cannot be written stays a change.
func (m *Memory) flush() {
	for {
		keys, memos := m.take()
		if len(keys) == 0 {
			return
		}
		err := m.store.write(context.Background(), func(t *tx) error { return m.write(t, keys, memos) })
		if err == nil {
			continue
		}
		m.store.log.Warn("what is remembered could not be written", "kind", m.kind, "err", err)
		m.mu.Lock()
		for _, key := range keys {
			m.changed[key] = struct{}{}
		}
		m.mu.Unlock()
		return
	}
}

// take takes some changes: keys, and the values of those that have one.
func (m *Memory) take() (keys []string, memos map[string]memo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	memos = make(map[string]memo)
	for key := range m.changed {
		if len(keys) == memoryBatch {
			break
		}
		keys = append(keys, key)
		if e, ok := m.entries[key]; ok {
			memos[key] = e.inOrder.Value.(memo)
		}
		delete(m.changed, key)
	}
	return keys, memos
}

func (m *Memory) write(t *tx, keys []string, memos map[string]memo) error {
	for _, key := range keys {
		k, ok := memos[key]
		var err error
		if ok {
			err = t.must(`INSERT INTO memory (kind, key, value, expires) VALUES ($1, $2, $3, $4)
				ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires = excluded.expires`, m.kind, []byte(key), k.value, k.expires.UnixMilli())
		} else {
			err = t.must(`DELETE FROM memory WHERE kind = $1 AND key = $2`, m.kind, []byte(key))
		}
		if err != nil {
			return err
		}
	}
	return t.must(`DELETE FROM memory WHERE kind = $1 AND expires <= $2`, m.kind, m.store.now().UnixMilli())
}
