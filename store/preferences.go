package store

import (
	"context"
	"database/sql"
	"errors"
)

// Bounds on what one user may keep as preferences.
const (
	maxPreferences = 5000
	maxPreference  = 1000 // octets of a name, and of a value
)

// Preference returns what a user has chosen under name, or "".
func (s *Store) Preference(ctx context.Context, u UserID, name string) (value string, err error) {
	err = s.readers.row(ctx, `SELECT value FROM preference WHERE user_id = $1 AND name = $2`, u, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// Preferences lists the names that begin with prefix, sorted, without it.
func (s *Store) Preferences(ctx context.Context, u UserID, prefix string) ([]string, error) {
	return list(ctx, s.readers, scanOne[string], `SELECT substr(name, length($1) + 1) FROM preference
		WHERE user_id = $2 AND substr(name, 1, length($1)) = $1 ORDER BY name`, prefix, u)
}

// SetPreference keeps what a user has chosen; the value "" forgets it. It
// answers ErrLimit when there are too many or one is too long, and
// ErrNoSuchUser.
func (s *Store) SetPreference(ctx context.Context, u UserID, name, value string) error {
	if len(name) > maxPreference || len(value) > maxPreference {
		return ErrLimit
	}
	return s.write(ctx, func(t *tx) error {
		if value == "" {
			return t.must(`DELETE FROM preference WHERE user_id = $1 AND name = $2`, u, name)
		}
		var users, others int
		err := t.row(ctx, `SELECT (SELECT count(*) FROM user WHERE id = $1), (SELECT count(*) FROM preference WHERE user_id = $1 AND name <> $2)`, u, name).Scan(&users, &others)
		switch {
		case err != nil:
			return err
		case users == 0:
			return ErrNoSuchUser
		case others >= maxPreferences:
			return ErrLimit
		}
		return t.must(`INSERT INTO preference (user_id, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value`, u, name, value)
	})
}
