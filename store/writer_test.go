package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func openFault(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// batchOf makes the writer take several requests at once: they wait while it
// is held up by another.
func batchOf(s *Store, do ...func(*tx) error) []error {
	begun, gate := make(chan struct{}), make(chan struct{})
	batch := []*request{{do: func(*tx) error { close(begun); <-gate; return nil }, done: make(chan struct{})}}
	for _, d := range do {
		batch = append(batch, &request{do: d, done: make(chan struct{})})
	}
	for i, r := range batch {
		if err := s.writer.send(context.Background(), r); err != nil {
			panic(err)
		}
		if i == 0 {
			<-begun
		}
	}
	close(gate)
	var errs []error
	for _, r := range batch[1:] {
		<-r.done
		errs = append(errs, r.err)
	}
	return errs
}

func put(name string) func(*tx) error {
	return func(t *tx) error {
		return t.must(`INSERT INTO meta (name, value) VALUES ($1, 'x')`, name)
	}
}

func has(t *testing.T, s *Store, name string) bool {
	t.Helper()
	var n int
	if err := s.readers.row(t.Context(), `SELECT count(*) FROM meta WHERE name = $1`, name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// The middle one of three requests fails in each of the ways that SQLite
// knows; its neighbours must be kept and answered truthfully.
func TestMiddleRequestFails(t *testing.T) {
	own := errors.New("own error")
	for _, c := range []struct {
		name string
		fail func(*tx) error
	}{
		{"own error", func(*tx) error { return own }},
		{"constraint", func(t *tx) error { return t.must(`INSERT INTO meta (name, value) VALUES ('a', NULL)`) }},
		{"duplicate", put("a")},
		{"syntax", func(t *tx) error { return t.must(`NOT SQL`) }},
		{"panic", func(*tx) error { panic("in a request") }},
		{"interrupt", func(t *tx) error {
			ctx, cancel := context.WithCancel(context.Background())
			rows, err := t.w.conn.QueryContext(ctx, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO meta SELECT 'n' || i, 'x' FROM n LIMIT 1000000 RETURNING name`)
			cancel()
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return errors.Join(own, rows.Err())
		}},
		{"transaction ended", func(t *tx) error {
			// What SQLITE_FULL, IOERR and NOMEM do.
			return errors.Join(own, t.must(`ROLLBACK`))
		}},
		{"disk full", fillUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openFault(t)
			middle := func(t *tx) error {
				if err := put("middle")(t); err != nil {
					return err
				}
				return c.fail(t)
			}
			errs := batchOf(s, put("a"), middle, put("b"))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("neighbours were answered %v and %v", errs[0], errs[2])
			}
			if errs[1] == nil {
				t.Error("the failing request was answered with success")
			}
			if c.name == "disk full" && !errors.Is(errs[1], ErrFull) {
				t.Errorf("answered %v, want ErrFull", errs[1])
			}
			if !has(t, s, "a") || !has(t, s, "b") || has(t, s, "middle") {
				t.Errorf("kept: a %v, middle %v, b %v; want only the neighbours", has(t, s, "a"), has(t, s, "middle"), has(t, s, "b"))
			}
			if err := s.write(t.Context(), put("later")); err != nil || !has(t, s, "later") {
				t.Errorf("the writer does not recover: %v", err)
			}
			if err := s.IntegrityCheck(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillUp meets a full disk: the file may not grow any more.
func fillUp(t *tx) error {
	var pages int
	if err := t.row(context.Background(), `PRAGMA page_count`).Scan(&pages); err != nil {
		return err
	}
	if _, err := t.w.conn.ExecContext(context.Background(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
		return err
	}
	err := t.must(`INSERT INTO meta (name, value) VALUES ('big', zeroblob(10000000))`)
	_, undo := t.w.conn.ExecContext(context.Background(), `PRAGMA max_page_count = 1073741823`)
	return errors.Join(err, undo)
}

// A commit that fails is nobody's success.
func TestFailedCommitAnswersEverybody(t *testing.T) {
	s := openFault(t)
	orphan := func(name string) func(*tx) error {
		return func(t *tx) error {
			// A deferred constraint is checked at COMMIT.
			if err := put(name)(t); err != nil {
				return err
			}
			return errors.Join(t.must(`PRAGMA defer_foreign_keys = ON`), t.must(`INSERT INTO chunk (blob_id, seq, data) VALUES (12345, 0, 'x')`))
		}
	}
	for i, err := range batchOf(s, put("a"), orphan("b"), put("c")) {
		if err == nil {
			t.Errorf("request %d was answered with success", i)
		}
	}
	if has(t, s, "a") || has(t, s, "b") || has(t, s, "c") {
		t.Error("something was kept")
	}
	if err := s.write(t.Context(), put("later")); err != nil {
		t.Error(err)
	}
}

// A large body's row that was undone with the rest of its commit is nobody's:
// its number is given out again, and must not be dropped as ours then.
func TestUndoneStagingOwnsNothing(t *testing.T) {
	s := openFault(t)
	in := &arrival{s: s, size: stageSize}
	begun, gate := make(chan struct{}), make(chan struct{})
	failed := make(chan error, 2)
	go s.write(t.Context(), func(*tx) error { close(begun); <-gate; return nil })
	<-begun
	go func() { failed <- in.stage(t.Context(), strings.NewReader("")) }()
	go func() {
		failed <- s.write(t.Context(), func(t *tx) error {
			return errors.Join(t.must(`PRAGMA defer_foreign_keys = ON`), t.must(`INSERT INTO chunk (blob_id, seq, data) VALUES (12345, 0, 'x')`))
		})
	}()
	for len(s.writer.queue) < 2 {
		runtime.Gosched()
	}
	close(gate)
	for range cap(failed) {
		if <-failed == nil {
			t.Fatal("the commit has not failed")
		}
	}
	if in.staged != 0 {
		t.Errorf("it takes body %d for its own", in.staged)
	}
}

// Every way of making mailboxes ends at the limit.
func TestMailboxesAreBounded(t *testing.T) {
	s := openFault(t)
	ctx := t.Context()
	u, err := s.CreateUser(ctx, NewUser{Address: "ada@example.test", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(ctx, func(t *tx) error {
		return t.must(`INSERT INTO mailbox (user_id, name, special_use, uid_validity)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT $2, 'box' || i, '', i FROM n`, maxMailboxes-len(firstMailboxes)-1, u.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RenameMailbox(ctx, u.ID, "INBOX", "old"); err != nil {
		t.Errorf("one fewer than the limit: %v", err)
	}
	if err := s.RenameMailbox(ctx, u.ID, "INBOX", "older"); !errors.Is(err, ErrLimit) {
		t.Errorf("renaming INBOX: %v", err)
	}
	if err := s.RenameMailbox(ctx, u.ID, "box1", "a/b"); !errors.Is(err, ErrLimit) {
		t.Errorf("renaming below a new parent: %v", err)
	}
	if _, err := s.CreateMailbox(ctx, u.ID, "new", ""); !errors.Is(err, ErrLimit) {
		t.Errorf("creating: %v", err)
	}
}

// What cannot be noted does not keep a program out: it may have come to remove
// mail from a full disk.
func TestTokenIsGoodThoughItsUseCannotBeNoted(t *testing.T) {
	s := openFault(t)
	ctx := t.Context()
	u, err := s.CreateUser(ctx, NewUser{Address: "ada@example.test", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := s.CreateToken(ctx, u.ID, "tests", nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	s.writer.finish()
	if got, _, err := s.AuthenticateToken(ctx, secret); err != nil || got.ID != u.ID {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), func(t *tx) error { return t.must(`PRAGMA user_version = 99`) }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("err = %v", err)
	}
}

// The driver silently matches nothing when $n do not first appear in
// ascending order; this pins the behaviour that internal/house guards against.
func TestParametersBindByFirstAppearance(t *testing.T) {
	s := openFault(t)
	var a, b string
	if err := s.readers.row(t.Context(), `SELECT $1, $2`, "a", "b").Scan(&a, &b); err != nil || a != "a" || b != "b" {
		t.Errorf("%q %q %v", a, b, err)
	}
	var same string
	if err := s.readers.row(t.Context(), `SELECT $1 || $1`, "x").Scan(&same); err != nil || same != "xx" {
		t.Errorf("a repeated parameter: %q %v", same, err)
	}
}

func TestCancelledRequestIsWithdrawn(t *testing.T) {
	s := openFault(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.write(ctx, put("a")); !errors.Is(err, context.Canceled) || has(t, s, "a") {
		t.Errorf("err = %v", err)
	}
	s.Close()
	if err := s.write(t.Context(), put("a")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestLookingForWorkKeepsNobodyWaiting: only who finds something writes.
func TestLookingForWorkKeepsNobodyWaiting(t *testing.T) {
	s := openFault(t)
	if _, err := s.Accept(t.Context(), Delivery{Body: Bytes([]byte("Subject: x\r\n\r\nx\r\n")), Recipients: []Recipient{{Remote: "u@full.test"}}}); err != nil {
		t.Fatal(err)
	}
	before := s.writer.stats.commits.Load()
	if jobs, err := s.Lease(t.Context(), 32, time.Now().Add(time.Hour), map[string]bool{"full.test": true}); len(jobs) != 0 || err != nil {
		t.Errorf("%v %v", jobs, err)
	}
	if n := s.writer.stats.commits.Load() - before; n != 0 {
		t.Errorf("%d commits", n)
	}
}
