package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// The writer: one goroutine owns the only connection that writes.
//
// It takes whatever requests are waiting, runs each in a savepoint of its own
// inside one transaction, commits once, and then answers all of them: one
// fsync serves every delivery that arrived during the one before. Alone, a
// request waits for one fsync and nothing else.
//
//   - A request that fails with an error of its own (a constraint, an
//     ErrNoSuchMailbox) rolls back to its savepoint and hurts nobody.
//   - Some errors (disk full, I/O, out of memory) end SQLite's whole
//     transaction, and the next SAVEPOINT would silently begin and commit
//     another. So ROLLBACK TO must succeed after a failure; when it does not,
//     the batch is rolled back and its requests are run again one by one.
//   - No caller's context reaches the writer's SQL: an interrupt would end the
//     whole transaction too.
//   - Nobody is answered before COMMIT has returned nil (I9), and nothing that
//     follows from a change (hints, garbage) happens before either.
type writer struct {
	store *Store
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	queue chan *request // waiting requests; the capacity bounds a batch

	mu      sync.RWMutex // held for writing by close, for reading by send
	closed  bool
	stopped chan struct{}

	version int64 // PRAGMA data_version: moves when another process commits
	stats   struct{ commits, requests, failed atomic.Int64 }
}

// maxBatch bounds how many requests share a commit.
const maxBatch = 256

// foreignEvery is how often an idle writer looks for other processes' changes.
const foreignEvery = 500 * time.Millisecond

type request struct {
	do   func(*tx) error
	tx   tx
	err  error
	done chan struct{}
}

func openWriter(ctx context.Context, file string, s *Store) (*writer, error) {
	before, _ := os.Stat(file) // nil when there is none
	// SQLite gives its other files the mode of this one.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the mail store: %w", err)
	}
	f.Close()
	db, err := sql.Open("sqlite3", dsn(file, url.Values{
		"_cache_size": {"-64000"},
	}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	w := &writer{
		store: s, db: db,
		stmts:   map[string]*sql.Stmt{},
		queue:   make(chan *request, maxBatch),
		stopped: make(chan struct{}),
	}
	fail := func(err error) (*writer, error) {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	if w.conn, err = db.Conn(ctx); err != nil {
		return fail(err)
	}
	if err := w.verify(ctx); err != nil {
		return fail(err)
	}
	made, err := migrate(ctx, w.conn)
	if err != nil {
		return fail(err)
	}
	switch {
	case made && before == nil:
		s.log.Info("made a new mail store", "file", file)
	case made: // by a start that was cut off, or somebody has emptied it
		s.log.Warn("the mail store was empty; if it has held mail, stop and restore a backup", "file", file)
	}
	if w.version, err = w.dataVersion(); err != nil {
		return fail(err)
	}
	go w.run()
	return w, nil
}

// verify asserts what durability rests on; a driver built with other defaults
// must not go unnoticed.
func (w *writer) verify(ctx context.Context) error {
	var mode string
	var sync, fk int
	err := errors.Join(
		w.conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode),
		w.conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&sync),
		w.conn.QueryRowContext(ctx, `PRAGMA foreign_keys`).Scan(&fk),
	)
	if err != nil {
		return err
	}
	if mode != "wal" || sync != 2 || fk != 1 {
		return fmt.Errorf("journal_mode=%s synchronous=%d foreign_keys=%d, but wal, 2 and 1 are needed", mode, sync, fk)
	}
	for _, p := range []string{fmt.Sprintf(`PRAGMA wal_autocheckpoint = %d`, logPages), `PRAGMA journal_size_limit = 67108864`} {
		if _, err := w.conn.ExecContext(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) dataVersion() (v int64, err error) {
	st, err := w.prepare(`PRAGMA data_version`)
	if err != nil {
		return 0, err
	}
	err = st.QueryRow().Scan(&v)
	return v, err
}

// write runs do on the writer and returns when what it did is durable, or is
// undone. A context that ends while the request still waits withdraws it;
// once it has begun its result is waited for.
func (s *Store) write(ctx context.Context, do func(*tx) error) error {
	r := &request{do: do, done: make(chan struct{})}
	if err := s.writer.send(ctx, r); err != nil {
		return err
	}
	<-r.done
	return r.err
}

func (w *writer) send(ctx context.Context, r *request) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish carries out what waits, and takes nothing more.
func (w *writer) finish() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.stopped
}

// close finishes and closes the connection.
func (w *writer) close() error {
	w.finish()
	for _, st := range w.stmts {
		st.Close()
	}
	w.stmts = nil
	err := w.conn.Close()
	if errors.Is(err, sql.ErrConnDone) { // closed before
		return nil
	}
	return errors.Join(err, w.db.Close())
}

func (w *writer) run() {
	defer close(w.stopped)
	look := time.NewTicker(foreignEvery)
	defer look.Stop()
	var batch []*request
	for {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return
			}
			batch = w.gather(append(batch[:0], r))
			w.commit(batch)
			clear(batch)
		case <-look.C:
			w.noticeForeign()
		}
	}
}

// gather adds the requests that are waiting. Those whom the last commit
// answered are about to ask again; letting them run first makes batches of
// all of them instead of one and the rest.
func (w *writer) gather(batch []*request) []*request {
	runtime.Gosched()
	for len(batch) < maxBatch {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// errTransactionLost says that SQLite has ended the batch's transaction.
var errTransactionLost = errors.New("transaction lost")

// commit runs and answers a batch.
func (w *writer) commit(batch []*request) {
	err := w.try(batch)
	if errors.Is(err, errTransactionLost) && len(batch) > 1 {
		w.store.log.Warn("commit: running the batch again one by one", "requests", len(batch), "err", err)
		for _, r := range batch {
			w.commit([]*request{r})
		}
		return
	}
	w.stats.commits.Add(1)
	w.stats.requests.Add(int64(len(batch)))
	for _, r := range batch {
		if err != nil && r.err == nil {
			r.err = err
		}
		if r.err != nil {
			r.err = classify(r.err)
			w.stats.failed.Add(1)
		} else {
			r.tx.committed(w.store)
		}
		close(r.done)
	}
}

// try runs the batch in one transaction. Each request's own failure is in its
// err; what is returned concerns them all, and nothing has been kept then.
func (w *writer) try(batch []*request) (err error) {
	if err := w.exec(`BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			w.exec(`ROLLBACK`) // fails when SQLite has done it already
		}
	}()
	alone := len(batch) == 1
	for _, r := range batch {
		r.err, r.tx = nil, tx{w: w}
		if alone {
			if r.err = r.run(); r.err != nil {
				return r.err
			}
			break
		}
		if err := w.exec(`SAVEPOINT r`); err != nil {
			return fmt.Errorf("%w: savepoint: %w", errTransactionLost, err)
		}
		if r.err = r.run(); r.err != nil {
			if err := w.exec(`ROLLBACK TO r`); err != nil {
				return fmt.Errorf("%w: %w after %w", errTransactionLost, err, r.err)
			}
		}
		if err := w.exec(`RELEASE r`); err != nil {
			return fmt.Errorf("%w: release: %w", errTransactionLost, err)
		}
	}
	if err := w.exec(`COMMIT`); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// run calls the request; a panic in it is its error, not the writer's end.
func (r *request) run() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", v, debug.Stack())
		}
	}()
	return r.do(&r.tx)
}

func (w *writer) prepare(q string) (*sql.Stmt, error) {
	if st := w.stmts[q]; st != nil {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), q)
	if err != nil {
		return nil, err
	}
	w.stmts[q] = st
	return st, nil
}

func (w *writer) exec(q string) error {
	st, err := w.prepare(q)
	if err != nil {
		return err
	}
	_, err = st.Exec()
	return err
}

// noticeForeign wakes everybody when another process has written the file:
// the command line works beside a running server.
func (w *writer) noticeForeign() {
	v, err := w.dataVersion()
	if err != nil {
		w.store.log.Error("look for other writers", "err", err)
		return
	}
	if v != w.version {
		w.version = v
		w.store.hub.wakeAll()
	}
}

// Stats counts the writer's work since the store was opened.
type Stats struct {
	Commits  int64 // transactions, each with one fsync
	Requests int64 // requests that shared them
	Failed   int64 // requests that were answered with an error
}

// Stats returns the counters; Requests/Commits is the mean batch.
func (s *Store) Stats() Stats {
	st := &s.writer.stats
	return Stats{Commits: st.commits.Load(), Requests: st.requests.Load(), Failed: st.failed.Load()}
}

var _ slog.LogValuer = Stats{}

// LogValue makes Stats readable in a log line.
func (st Stats) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("commits", st.Commits), slog.Int64("requests", st.Requests), slog.Int64("failed", st.Failed))
}
