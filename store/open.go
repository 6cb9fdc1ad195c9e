package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Options say where a store lives and what this process does with it. Only
// Dir is required.
type Options struct {
	Dir string           // data folder; holds yubin.db and tmp/
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now
	// Iterations is the PBKDF2 cost of new passwords; 0 is DefaultIterations.
	Iterations int
	// SpoolMemory is how many octets of messages that are arriving may be in
	// memory, all together; the rest is in files. 0 is DefaultSpoolMemory.
	SpoolMemory int64
	// Server is set by the one process that serves this folder. It sweeps
	// what a crash left unclaimed, removes unreferenced bodies, applies
	// retention, keeps the search index and notices what the command line
	// changes. Without it the store only answers.
	Server bool
}

// Store is the mail store. All methods may be called from many goroutines.
type Store struct {
	dir  string
	log  *slog.Logger
	now  func() time.Time
	iter int
	free func(dir string) (int64, error)

	readers *readers
	writer  *writer
	hub     hub
	pins    pins
	budget  budget
	auth    authCache
	drops   maildropLocks
	fts     index
	uses    uses

	stop    context.CancelFunc // ends the store's own goroutines
	ended   <-chan struct{}    // closed by stop
	running sync.WaitGroup
}

const fileName = "yubin.db"

// readerCount bounds concurrent reads; more only adds contention for memory.
const readerCount = 8

// minSQLite is the first release without the WAL-reset corruption bug.
const minSQLite = 3_051_003

// Open opens the store in o.Dir, making it when it is not there. It answers
// ErrNewerSchema for a file that a newer yubin has written.
func Open(ctx context.Context, o Options) (*Store, error) {
	if _, n, _ := sqlite3.Version(); n < minSQLite {
		return nil, fmt.Errorf("SQLite %d is too old, %d is needed", n, minSQLite)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Iterations == 0 {
		o.Iterations = DefaultIterations
	}
	if o.SpoolMemory == 0 {
		o.SpoolMemory = DefaultSpoolMemory
	}
	tmp := filepath.Join(o.Dir, "tmp")
	if o.Server {
		if err := os.RemoveAll(tmp); err != nil {
			return nil, fmt.Errorf("empty the spool folder: %w", err)
		}
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	s := &Store{dir: o.Dir, log: o.Log, now: o.Now, iter: o.Iterations, free: freeSpace, budget: budget{max: o.SpoolMemory}}
	s.hub.init()
	s.pins.init()
	file := filepath.Join(o.Dir, fileName)
	// The writer comes first: the read-only pool cannot make the file.
	w, err := openWriter(ctx, file, s)
	if err != nil {
		return nil, err
	}
	s.writer = w
	db, err := sql.Open("sqlite3", dsn(file, url.Values{
		"mode": {"ro"}, "_query_only": {"true"}, "_cache_size": {"-16000"},
	}))
	if err == nil {
		s.readers = newReaders(db)
		err = db.PingContext(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open %s for reading: %w", file, err)
	}
	if err := errors.Join(s.openAuth(ctx), s.openIndex(ctx)); err != nil {
		s.Close()
		return nil, err
	}
	var own context.Context
	own, s.stop = context.WithCancel(context.Background())
	s.ended = own.Done()
	if o.Server {
		if err := errors.Join(s.adoptCopy(ctx), s.sweepUnclaimed(ctx)); err != nil {
			s.Close()
			return nil, err
		}
		s.running.Go(func() { s.collectGarbage(own) })
		s.running.Go(func() { s.retain(own) })
		s.running.Go(func() { s.keepIndex(own) })
		s.uses.init()
		s.running.Go(func() { s.keepUses(own) })
	}
	return s, nil
}

// dsn holds the settings that every connection needs: a PRAGMA run once on a
// pool would reach one connection only.
func dsn(file string, more url.Values) string {
	v := url.Values{
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"true"},
		"_journal_mode": {"WAL"},
		// The driver's own default for WAL is NORMAL, which may lose what was
		// acknowledged when power fails (I9).
		"_synchronous": {"FULL"},
	}
	if more.Get("mode") == "ro" {
		v.Del("_journal_mode") // a reader cannot change it
	}
	for k, vs := range more {
		v[k] = vs
	}
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + v.Encode()
}

// Close waits for the requests under way and closes the file.
func (s *Store) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.running.Wait()
	s.writer.finish()
	var err error
	if s.readers != nil {
		err = s.readers.close()
	}
	// The writer goes last: the last one to close copies SQLite's log into the
	// file and removes it, which who only reads cannot do.
	return errors.Join(err, s.writer.close())
}

// IntegrityCheck asks SQLite to verify the whole file.
func (s *Store) IntegrityCheck(ctx context.Context) error {
	rows, err := s.readers.query(ctx, `PRAGMA integrity_check(20)`)
	if err != nil {
		return fmt.Errorf("check integrity: %w", err)
	}
	found, err := scanAll(rows, scanOne[string])
	if err != nil {
		return fmt.Errorf("check integrity: %w", err)
	}
	if len(found) != 1 || found[0] != "ok" {
		return fmt.Errorf("the mail store is damaged: %q", found)
	}
	return nil
}
