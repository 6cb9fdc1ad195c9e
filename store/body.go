package store

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// Body is the raw message of a blob. Its bytes stay until Close, even when
// the message is expunged meanwhile. Reads may be concurrent.
type Body struct {
	s    *Store
	ctx  context.Context // of the session that opened it
	id   BlobID
	size int64

	mu   sync.Mutex
	seq  int64 // of the chunk that is held
	held []byte
	once sync.Once
}

// OpenBody opens a message's bytes, or answers ErrExpunged.
func (s *Store) OpenBody(ctx context.Context, id BlobID) (*Body, error) {
	s.pins.pin(id)
	b := &Body{s: s, ctx: ctx, id: id, seq: -1}
	err := s.readers.row(ctx, `SELECT size FROM blob WHERE id = $1 AND claimed = 1`, id).Scan(&b.size)
	if err != nil {
		b.Close()
		return nil, found(err, ErrExpunged)
	}
	return b, nil
}

// Size is the message's length in octets.
func (b *Body) Size() int64 { return b.size }

// Close lets the bytes go.
func (b *Body) Close() error {
	b.once.Do(func() { b.s.pins.unpin(b.id) })
	return nil
}

// ReadAt implements [io.ReaderAt]. Each chunk is a short read of its own: a
// read transaction held over a slow socket would starve the checkpoint.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read a body at %d", off)
	}
	n := 0
	for n < len(p) && off < b.size {
		data, err := b.chunk(off / chunkSize)
		if err != nil {
			return n, err
		}
		c := copy(p[n:], data[min(off%chunkSize, int64(len(data))):])
		if c == 0 {
			return n, fmt.Errorf("body %d is shorter than its size", b.id)
		}
		n += c
		off += int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// chunk returns one chunk, keeping the last one read.
func (b *Body) chunk(seq int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seq == seq {
		return b.held, nil
	}
	var data []byte
	err := b.s.readers.row(b.ctx, `SELECT data FROM chunk WHERE blob_id = $1 AND seq = $2`, b.id, seq).Scan(&data)
	if err != nil {
		return nil, fmt.Errorf("read chunk %d of body %d: %w", seq, b.id, found(err, ErrExpunged))
	}
	b.seq, b.held = seq, data
	return data, nil
}

// Section reads n octets from off, and only the chunks they lie in.
func (b *Body) Section(off, n int64) io.Reader { return io.NewSectionReader(b, off, n) }

// ReadBody returns a whole message in one read when it has at most limit
// octets and fits one chunk, and nil when it is larger. It answers
// ErrExpunged when it is gone.
func (s *Store) ReadBody(ctx context.Context, id BlobID, limit int64) ([]byte, error) {
	var data []byte
	var size int64
	err := s.readers.row(ctx, `SELECT blob.size, CASE WHEN blob.size <= $1 THEN chunk.data END FROM blob
		LEFT JOIN chunk ON chunk.blob_id = blob.id AND chunk.seq = 0 WHERE blob.id = $2 AND blob.claimed = 1`, min(limit, chunkSize), id).Scan(&size, &data)
	if err != nil {
		return nil, found(err, ErrExpunged)
	}
	if size == 0 {
		return []byte{}, nil
	}
	return data, nil
}

// pins keeps bodies that a session has open from being collected, and
// remembers which may have lost their last reference.
type pins struct {
	mu   sync.Mutex
	open map[BlobID]int
	// going are looked at by the transaction under way, which may delete
	// them. Who wants to open one waits until it has been settled: the
	// channel is closed then.
	going   map[BlobID]chan struct{}
	orphans map[BlobID]struct{}
	wake    chan struct{}
}

func (p *pins) init() {
	p.open, p.going, p.orphans = map[BlobID]int{}, map[BlobID]chan struct{}{}, map[BlobID]struct{}{}
	p.wake = make(chan struct{}, 1)
}

func (p *pins) pin(id BlobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		settled, ok := p.going[id]
		if !ok {
			p.open[id]++
			return
		}
		p.mu.Unlock()
		<-settled
		p.mu.Lock()
	}
}

func (p *pins) unpin(id BlobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[id]--; p.open[id] == 0 {
		delete(p.open, id)
		if _, waiting := p.orphans[id]; waiting {
			p.hint()
		}
	}
}

func (p *pins) hint() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pins) suspect(ids []BlobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.orphans[id] = struct{}{}
	}
	p.hint()
}

func (p *pins) suspects() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.orphans)
}

// take gives up to n suspects that nobody has open and lets nobody open them
// until settle.
func (p *pins) take(n int) []BlobID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []BlobID
	for id := range p.orphans {
		if len(ids) == n {
			break
		}
		if p.open[id] == 0 {
			ids = append(ids, id)
			delete(p.orphans, id)
			p.going[id] = make(chan struct{})
		}
	}
	return ids
}

func (p *pins) settle(ids []BlobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		close(p.going[id])
		delete(p.going, id)
	}
}

// garbageEvery is how often the file is searched for bodies that another
// process has orphaned.
const garbageEvery = time.Hour

// Bodies are removed in groups of garbageGroup, and behind other work: when
// nothing has been written for garbageLull, or garbageWait after they came.
const (
	garbageGroup = 256
	garbageLull  = 50 * time.Millisecond
	garbageWait  = 2 * time.Second
)

// collectGarbage removes bodies without a message or queue row. It runs in
// the serving process only. What is left when that ends is found at its next
// start.
func (s *Store) collectGarbage(ctx context.Context) {
	look := time.NewTicker(garbageEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.pins.wake:
			s.awaitLull(ctx)
			if err := s.collectSuspects(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("remove unreferenced bodies", "err", err)
			}
		case <-look.C:
			if err := s.suspectAll(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("look for unreferenced bodies", "err", err)
			}
		}
	}
}

// awaitLull returns when the writer has been idle, when garbageWait is over,
// or when ctx ends.
func (s *Store) awaitLull(ctx context.Context) {
	pause := time.NewTicker(garbageLull)
	defer pause.Stop()
	enough := time.After(garbageWait)
	for seen := int64(-1); ; {
		requests := s.writer.stats.requests.Load()
		if requests == seen {
			return
		}
		seen = requests
		select {
		case <-pause.C:
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// collectSuspects looks at as many bodies as there are suspects now: those
// that come meanwhile have given a hint of their own.
func (s *Store) collectSuspects(ctx context.Context) error {
	for left := s.pins.suspects(); left > 0; {
		ids := s.pins.take(min(left, garbageGroup))
		if len(ids) == 0 {
			return nil // the others are open
		}
		left -= len(ids)
		err := s.write(ctx, func(t *tx) error { return t.collect(ids) })
		s.pins.settle(ids)
		if err != nil {
			return err
		}
	}
	return nil
}

// collect removes those of ids that nothing refers to.
func (t *tx) collect(ids []BlobID) error {
	unused, err := list(context.Background(), t, scanOne[BlobID], `SELECT value FROM json_each($1)
		WHERE NOT EXISTS (SELECT 1 FROM message WHERE blob_id = value) AND NOT EXISTS (SELECT 1 FROM queue WHERE blob_id = value)`, jsonList(ids))
	if err != nil || len(unused) == 0 {
		return err
	}
	return t.dropBlobs(unused...)
}

func (t *tx) dropBlobs(ids ...BlobID) error {
	which := jsonList(ids)
	if t.w.store.fts.available {
		if err := t.must(`DELETE FROM fts WHERE rowid IN (SELECT value FROM json_each($1))`, which); err != nil {
			return err
		}
	}
	if err := t.must(`DELETE FROM chunk WHERE blob_id IN (SELECT value FROM json_each($1))`, which); err != nil {
		return err
	}
	return t.must(`DELETE FROM blob WHERE id IN (SELECT value FROM json_each($1))`, which)
}

// suspectAll finds claimed bodies without rows.
func (s *Store) suspectAll(ctx context.Context) error {
	ids, err := list(ctx, s.readers, scanOne[BlobID], `SELECT id FROM blob WHERE claimed = 1
		AND NOT EXISTS (SELECT 1 FROM message WHERE blob_id = blob.id) AND NOT EXISTS (SELECT 1 FROM queue WHERE blob_id = blob.id)`)
	if err == nil && len(ids) > 0 {
		s.pins.suspect(ids)
	}
	return err
}

// sweepUnclaimed removes, at start, the bodies whose arrival a crash cut off.
func (s *Store) sweepUnclaimed(ctx context.Context) error {
	ids, err := list(ctx, s.readers, scanOne[BlobID], `SELECT id FROM blob WHERE claimed = 0`)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.write(ctx, func(t *tx) error { return t.dropBlobs(id) }); err != nil {
			return fmt.Errorf("sweep unclaimed bodies: %w", err)
		}
	}
	return s.suspectAll(ctx)
}
