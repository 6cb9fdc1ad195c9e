package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// Backup is what a copy of the store holds.
type Backup struct {
	Users    int
	Messages int64
	Queued   int64
	Size     int64 // octets of the file
}

// Backup writes a copy of the store, as it is at one moment, to a new file,
// while mail comes and goes. It verifies the copy and makes it durable before
// it returns. A file that is there already is an error.
//
// The copy knows that it is one. The first server that opens it in place of
// the original gives every mailbox a new UIDVALIDITY, because UIDs were given
// out after the copy was made (I1), and holds what is queued, because it has
// probably been sent.
func (s *Store) Backup(ctx context.Context, path string) (Backup, error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return Backup{}, fmt.Errorf("back up to %s: %w", path, orElse(err, os.ErrExist))
	}
	part := path + ".part"
	// SQLite fills an empty file. That it is new keeps two copies, which two
	// processes make under one name, from becoming one.
	reserved, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("a copy is being made, or has been broken off: %w", err)
	}
	if err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	defer os.Remove(part)
	if err := errors.Join(reserved.Close(), s.vacuumInto(ctx, part)); err != nil {
		return Backup{}, fmt.Errorf("back up: %w", classify(err))
	}
	b, err := sealCopy(ctx, part)
	if err != nil {
		return Backup{}, fmt.Errorf("verify the copy: %w", err)
	}
	if err := durable(part, 0o600); err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	return b, nil
}

// vacuumInto copies on a connection of its own: the readers' may not write at
// all, and the writer has other things to do.
func (s *Store) vacuumInto(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite3", dsn(filepath.Join(s.dir, fileName), nil))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, file)
	return errors.Join(err, db.Close())
}

// sealCopy checks a copy and marks it as one.
func sealCopy(ctx context.Context, file string) (b Backup, err error) {
	db, err := sql.Open("sqlite3", dsn(file, url.Values{"_journal_mode": {"DELETE"}}))
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var whole string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&whole); err != nil || whole != "ok" {
		return b, orElse(err, fmt.Errorf("the copy is damaged: %s", whole))
	}
	var torn int
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM user), (SELECT count(*) FROM message), (SELECT count(*) FROM queue),
		(SELECT count(*) FROM blob WHERE claimed = 1 AND size <> (SELECT coalesce(sum(length(data)), 0) FROM chunk WHERE blob_id = blob.id))`).
		Scan(&b.Users, &b.Messages, &b.Queued, &torn)
	if err != nil || torn > 0 {
		return b, orElse(err, fmt.Errorf("%d bodies are incomplete", torn))
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('copy', 1) ON CONFLICT (name) DO NOTHING`); err != nil {
		return b, err
	}
	st, err := os.Stat(file)
	if err == nil {
		b.Size = st.Size()
	}
	return b, err
}

func durable(file string, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// adoptCopy makes a copy the original, when the file is one.
func (s *Store) adoptCopy(ctx context.Context) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.affected(`DELETE FROM meta WHERE name = 'copy'`)
		if err != nil || n == 0 {
			return err
		}
		ids, err := list(ctx, t, scanOne[MailboxID], `SELECT id FROM mailbox ORDER BY id`)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, err := t.nextUIDValidity(ctx, s)
			if err != nil {
				return err
			}
			if err := t.must(`UPDATE mailbox SET uid_validity = $1, modseq = modseq + 1 WHERE id = $2`, v, id); err != nil {
				return err
			}
		}
		held, err := t.affected(`UPDATE queue SET held = 1, leased = 0`)
		if err != nil {
			return err
		}
		s.log.Warn("this store is a restored copy: mailboxes have a new UIDVALIDITY", "mailboxes", len(ids), "held in the queue", held)
		return nil
	})
}
