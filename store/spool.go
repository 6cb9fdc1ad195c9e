package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// Reader is one pass over a source.
type Reader = io.ReadCloser

// Bytes is a message in memory.
type Bytes []byte

// Size is the message's length.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open returns a reader of the whole message.
func (b Bytes) Open() (Reader, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Prefix is head followed by body: a message with its trace header.
func Prefix(head []byte, body Source) Source { return prefixed{head, body} }

type prefixed struct {
	head []byte
	body Source
}

func (p prefixed) Size() int64 { return int64(len(p.head)) + p.body.Size() }

func (p prefixed) Open() (Reader, error) {
	r, err := p.body.Open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(p.head), r), r}, nil
}

// spoolMemory is what a spool keeps in memory before it turns to a file.
const spoolMemory = 1 << 20

// DefaultSpoolMemory is what all spools together keep in memory unless
// Options say otherwise, in octets.
const DefaultSpoolMemory = 64_000_000

// budget is memory shared by all spools of a store.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// Spool takes a message as it arrives, in memory up to 1 MiB and in a
// temporary file of the data folder beyond, so that many senders of large
// mails do not exhaust memory. It is a Source once it has been written.
// It is not for concurrent use. Close it always.
type Spool struct {
	s    *Store
	buf  []byte
	held int64 // taken from the budget
	file *os.File
	size int64
}

// NewSpool returns an empty spool.
func (s *Store) NewSpool() *Spool { return &Spool{s: s} }

// Write appends b. It answers ErrFull when the disk has no room.
func (p *Spool) Write(b []byte) (int, error) {
	if p.file == nil {
		need := int64(len(p.buf) + len(b))
		if need <= spoolMemory && p.reserve(need) {
			p.buf = append(p.buf, b...)
			p.size += int64(len(b))
			return len(b), nil
		}
		if err := p.toFile(); err != nil {
			return 0, err
		}
	}
	n, err := p.file.Write(b)
	p.size += int64(n)
	return n, spoolError(err)
}

// reserve grows the buffer by doubling, and what it holds of the budget with it.
func (p *Spool) reserve(need int64) bool {
	grown := max(p.held, 8<<10)
	for grown < need {
		grown *= 2
	}
	if grown == p.held {
		return true
	}
	if !p.s.budget.take(grown - p.held) {
		return false
	}
	p.held = grown
	p.buf = append(make([]byte, 0, grown), p.buf...)
	return true
}

func (p *Spool) toFile() error {
	f, err := os.CreateTemp(filepath.Join(p.s.dir, "tmp"), "spool-*")
	if err != nil {
		return spoolError(err)
	}
	p.file = f
	if _, err := f.Write(p.buf); err != nil {
		return spoolError(err)
	}
	p.forget()
	return nil
}

func (p *Spool) forget() {
	p.s.budget.give(p.held)
	p.buf, p.held = nil, 0
}

func spoolError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("spool: %w: %w", ErrFull, err)
	}
	return fmt.Errorf("spool: %w", err)
}

// Size is how much has been written.
func (p *Spool) Size() int64 { return p.size }

// Open returns a reader of what has been written. It stays good until Close.
func (p *Spool) Open() (Reader, error) {
	if p.file == nil {
		return Bytes(p.buf).Open()
	}
	return io.NopCloser(io.NewSectionReader(p.file, 0, p.size)), nil
}

// ReadAt implements [io.ReaderAt] for what has been written.
func (p *Spool) ReadAt(b []byte, off int64) (int, error) {
	if p.file == nil {
		return bytes.NewReader(p.buf).ReadAt(b, off)
	}
	return p.file.ReadAt(b, off)
}

// Close forgets the message and removes its file.
func (p *Spool) Close() error {
	p.forget()
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
