package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mattn/go-sqlite3"
)

// querier runs a statement, in the writer's transaction or on a reader.
type querier interface {
	query(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	row(ctx context.Context, q string, args ...any) *sql.Row
}

// readers is the read-only pool with its prepared statements.
type readers struct {
	db    *sql.DB
	stmts sync.Map // query text -> *sql.Stmt
	// views bounds the transactions open at once to one less than there are
	// connections: who holds one may need another to prepare a statement, and
	// must not wait for those who wait for the same.
	views chan struct{}
}

func newReaders(db *sql.DB) *readers {
	db.SetMaxOpenConns(readerCount)
	db.SetMaxIdleConns(readerCount)
	return &readers{db: db, views: make(chan struct{}, readerCount-1)}
}

func (r *readers) prepare(q string) (*sql.Stmt, error) {
	if st, ok := r.stmts.Load(q); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := r.db.Prepare(q)
	if err != nil {
		return nil, err
	}
	if other, loaded := r.stmts.LoadOrStore(q, st); loaded {
		st.Close()
		st = other.(*sql.Stmt)
	}
	return st, nil
}

// query reads outside any transaction. Reads are short, so a cancelled
// context is looked at before and not during one: the driver would start a
// goroutine per statement to watch it.
func (r *readers) query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st, err := r.prepare(q)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(context.WithoutCancel(ctx), args...)
}

func (r *readers) row(ctx context.Context, q string, args ...any) *sql.Row {
	st, err := r.prepare(q)
	if err != nil { // let the pool report it from Scan
		return r.db.QueryRowContext(ctx, q, args...)
	}
	return st.QueryRowContext(context.WithoutCancel(ctx), args...)
}

// view runs fn on one consistent snapshot of the file.
func (r *readers) view(ctx context.Context, fn func(querier) error) error {
	select {
	case r.views <- struct{}{}:
		defer func() { <-r.views }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t, err := r.db.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer t.Rollback()
	return fn(readTx{r, t})
}

func (r *readers) close() error {
	r.stmts.Range(func(_, st any) bool { st.(*sql.Stmt).Close(); return true })
	return r.db.Close()
}

type readTx struct {
	r *readers
	t *sql.Tx
}

func (v readTx) query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	st, err := v.r.prepare(q)
	if err != nil {
		return nil, err
	}
	return v.t.StmtContext(context.WithoutCancel(ctx), st).QueryContext(context.WithoutCancel(ctx), args...)
}

func (v readTx) row(ctx context.Context, q string, args ...any) *sql.Row {
	st, err := v.r.prepare(q)
	if err != nil {
		return v.t.QueryRowContext(ctx, q, args...)
	}
	return v.t.StmtContext(context.WithoutCancel(ctx), st).QueryRowContext(context.WithoutCancel(ctx), args...)
}

type scanner interface{ Scan(dest ...any) error }

// scanAll reads every row and closes rows.
func scanAll[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func scanOne[T any](s scanner) (v T, err error) {
	err = s.Scan(&v)
	return v, err
}

// jsonList is a list to be read with json_each.
func jsonList[T any](all []T) string {
	b, err := json.Marshal(all)
	if err != nil || all == nil {
		return "[]" // numbers and strings cannot fail
	}
	return string(b)
}

// list is query and scanAll in one.
func list[T any](ctx context.Context, db querier, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	rows, err := db.query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scan)
}

// found turns an absent row into what its absence means.
func found(err, absent error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return absent
	}
	return err
}

// classify adds our meaning to SQLite's own errors.
func classify(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code == sqlite3.ErrFull {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// isUnique reports whether err is a violated UNIQUE or PRIMARY KEY.
func isUnique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
