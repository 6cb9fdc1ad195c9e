package store

import (
	"context"
	"crypto/rand"
	"time"
)

// LoginID names a login. It is never reused.
type LoginID int64

// Login is somebody logged in with a browser, which shows a secret with each
// request. It is over when it expires, when it is ended, and when its user's
// generation moves (see [Store.Generation]).
type Login struct {
	ID         LoginID
	User       UserID
	Generation int64
	Agent      string // what the browser calls itself
	Remote     string // where it was
	Created    time.Time
	Seen       time.Time
	Expires    time.Time
}

// Bounds on what is kept of logins.
const (
	maxLogins     = 50  // of one user
	maxLoginField = 500 // octets
)

const loginColumns = `login.id, login.user_id, login.generation, login.agent, login.remote, login.created, login.seen, login.expires`

func scanLogin(r scanner) (l Login, err error) {
	var created, seen, expires int64
	err = r.Scan(&l.ID, &l.User, &l.Generation, &l.Agent, &l.Remote, &created, &seen, &expires)
	l.Created, l.Seen, l.Expires = time.UnixMilli(created), time.UnixMilli(seen), time.UnixMilli(expires)
	return l, err
}

// CreateLogin makes a login of what l says, with an ID and a secret that
// nobody can ask for again. When the user has too many the longest unused end;
// they are among ended. It answers ErrNoSuchUser.
func (s *Store) CreateLogin(ctx context.Context, l Login) (secret string, made Login, ended []LoginID, err error) {
	secret = rand.Text()
	l.Agent, l.Remote = l.Agent[:min(len(l.Agent), maxLoginField)], l.Remote[:min(len(l.Remote), maxLoginField)]
	err = s.write(ctx, func(t *tx) error {
		if _, err := readUser(ctx, t, `id = $1`, l.User); err != nil {
			return err
		}
		if err := t.must(`DELETE FROM login WHERE expires <= $1`, s.now().UnixMilli()); err != nil {
			return err
		}
		if ended, err = list(ctx, t, scanOne[LoginID], `SELECT id FROM login WHERE user_id = $1 ORDER BY seen DESC, id DESC LIMIT $2 OFFSET $3`,
			l.User, maxLogins, maxLogins-1); err != nil {
			return err
		}
		for _, id := range ended {
			if err := t.must(`DELETE FROM login WHERE id = $1`, id); err != nil {
				return err
			}
		}
		made, err = scanLogin(t.row(ctx, `INSERT INTO login (user_id, digest, generation, agent, remote, created, seen, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			RETURNING id, user_id, generation, agent, remote, created, seen, expires`,
			l.User, digestOf(secret), l.Generation, l.Agent, l.Remote, l.Created.UnixMilli(), l.Seen.UnixMilli(), l.Expires.UnixMilli()))
		return err
	})
	if err != nil {
		return "", Login{}, nil, err
	}
	return secret, made, ended, nil
}

// FindLogin finds the login of a secret. It answers ErrBadCredentials when
// there is none or it has expired.
func (s *Store) FindLogin(ctx context.Context, secret string) (Login, error) {
	l, err := scanLogin(s.readers.row(ctx, `SELECT `+loginColumns+` FROM login WHERE digest = $1 AND expires > $2`, digestOf(secret), s.now().UnixMilli()))
	return l, found(err, ErrBadCredentials)
}

// NoteLogin notes that a login was used, and until when it is good for that.
func (s *Store) NoteLogin(ctx context.Context, id LoginID, seen, expires time.Time) error {
	return s.write(ctx, func(t *tx) error {
		return t.must(`UPDATE login SET seen = $1, expires = $2 WHERE id = $3`, seen.UnixMilli(), expires.UnixMilli(), id)
	})
}

// fromValidLogins leaves those out that a new password or a suspension ended.
const fromValidLogins = ` FROM login JOIN user ON user.id = login.user_id AND user.generation = login.generation AND user.suspended = 0 `

// Logins lists a user's logins that are not over, the last used first.
func (s *Store) Logins(ctx context.Context, u UserID) ([]Login, error) {
	return list(ctx, s.readers, scanLogin, `SELECT `+loginColumns+fromValidLogins+
		`WHERE login.user_id = $1 AND login.expires > $2 ORDER BY login.seen DESC, login.id DESC`, u, s.now().UnixMilli())
}

// CountLogins counts everybody's logins that are not over.
func (s *Store) CountLogins(ctx context.Context) (n int, err error) {
	err = s.readers.row(ctx, `SELECT count(*)`+fromValidLogins+`WHERE login.expires > $1`, s.now().UnixMilli()).Scan(&n)
	return n, err
}

// EndLogin makes a login of a user worthless at once.
func (s *Store) EndLogin(ctx context.Context, u UserID, id LoginID) error {
	return s.write(ctx, func(t *tx) error { return t.must(`DELETE FROM login WHERE id = $1 AND user_id = $2`, id, u) })
}

// EndOtherLogins ends all logins of a user but one.
func (s *Store) EndOtherLogins(ctx context.Context, u UserID, but LoginID) error {
	return s.write(ctx, func(t *tx) error { return t.must(`DELETE FROM login WHERE user_id = $1 AND id <> $2`, u, but) })
}
