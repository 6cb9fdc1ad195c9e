package store

import (
	"context"
	"database/sql"
)

// tx is one request's share of the writer's transaction.
type tx struct {
	w       *writer
	woken   []UserID
	orphans []BlobID
	after   []func()
}

func (t *tx) exec(q string, args ...any) (sql.Result, error) {
	st, err := t.w.prepare(q)
	if err != nil {
		return nil, err
	}
	return st.Exec(args...)
}

// must runs a statement whose result does not matter.
func (t *tx) must(q string, args ...any) error {
	_, err := t.exec(q, args...)
	return err
}

// affected runs a statement and says how many rows it changed.
func (t *tx) affected(q string, args ...any) (int64, error) {
	res, err := t.exec(q, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) query(_ context.Context, q string, args ...any) (*sql.Rows, error) {
	st, err := t.w.prepare(q)
	if err != nil {
		return nil, err
	}
	return st.Query(args...)
}

func (t *tx) row(_ context.Context, q string, args ...any) *sql.Row {
	st, err := t.w.prepare(q)
	if err != nil { // let the connection report it from Scan
		return t.w.conn.QueryRowContext(context.Background(), q, args...)
	}
	return st.QueryRow(args...)
}

// wake hints to u's watchers once this request is durable.
func (t *tx) wake(u UserID) { t.woken = append(t.woken, u) }

// orphan names bodies that may have lost their last reference.
func (t *tx) orphan(b ...BlobID) { t.orphans = append(t.orphans, b...) }

// then runs fn once this request is durable. It must not block.
func (t *tx) then(fn func()) { t.after = append(t.after, fn) }

func (t *tx) committed(s *Store) {
	for _, fn := range t.after {
		fn()
	}
	for _, u := range t.woken {
		s.hub.wake(u)
	}
	if len(t.orphans) > 0 {
		s.pins.suspect(t.orphans)
	}
}
