package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// TokenID names a token. It is never reused.
type TokenID int64

// Token is what a program logs in with in place of its user's password. What
// it may do is in its scopes, whose meaning is up to whoever asks.
type Token struct {
	ID      TokenID
	User    UserID
	Name    string // what it is for
	Scopes  []string
	Created time.Time
	Expires time.Time // zero is never
	Used    time.Time // to the hour; zero is never
}

// Has reports whether scope is among the token's.
func (t Token) Has(scope string) bool { return slices.Contains(t.Scopes, scope) }

// tokenPrefix makes a token known for one where it has leaked to.
const tokenPrefix = "yubin_"

// Bounds on what one user may keep as tokens.
const (
	maxTokens    = 200
	maxTokenName = 200 // octets
)

const tokenColumns = `token.id, token.user_id, token.name, token.scopes, token.created, token.expires, token.used`

func scanToken(r scanner) (t Token, err error) {
	var scopes string
	var created, expires, used int64
	err = r.Scan(&t.ID, &t.User, &t.Name, &scopes, &created, &expires, &used)
	t.Scopes = strings.Fields(scopes)
	t.Created, t.Expires, t.Used = time.UnixMilli(created), timeOrZero(expires), timeOrZero(used)
	return t, err
}

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func millisOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// digestOf is what is kept of a secret.
func digestOf(secret string) []byte {
	d := sha256.Sum256([]byte(secret))
	return d[:]
}

// CreateToken makes a token and returns its secret, which nobody can ask for
// again. A zero expires is never. Tokens of the user that have expired go. It
// answers ErrNoSuchUser, and ErrLimit when there are too many or the name is
// too long.
func (s *Store) CreateToken(ctx context.Context, u UserID, name string, scopes []string, expires time.Time) (secret string, made Token, err error) {
	if len(name) > maxTokenName {
		return "", Token{}, ErrLimit
	}
	secret = tokenPrefix + rand.Text()
	err = s.write(ctx, func(t *tx) error {
		if _, err := readUser(ctx, t, `id = $1`, u); err != nil {
			return err
		}
		now := s.now().UnixMilli()
		if err := t.must(`DELETE FROM token WHERE user_id = $1 AND expires > 0 AND expires <= $2`, u, now); err != nil {
			return err
		}
		var others int
		if err := t.row(ctx, `SELECT count(*) FROM token WHERE user_id = $1`, u).Scan(&others); err != nil || others >= maxTokens {
			return orElse(err, ErrLimit)
		}
		made, err = scanToken(t.row(ctx, `INSERT INTO token (user_id, name, digest, scopes, created, expires) VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING id, user_id, name, scopes, created, expires, used`,
			u, name, digestOf(secret), strings.Join(scopes, " "), now, millisOrZero(expires)))
		return err
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, made, nil
}

// Tokens lists a user's tokens that have not expired, oldest first.
func (s *Store) Tokens(ctx context.Context, u UserID) ([]Token, error) {
	return list(ctx, s.readers, scanToken, `SELECT `+tokenColumns+` FROM token
		WHERE user_id = $1 AND (expires = 0 OR expires > $2) ORDER BY id`, u, s.now().UnixMilli())
}

// tokenUseNoted is how exactly we know when a token was used last.
const tokenUseNoted = time.Hour

// AuthenticateToken finds the token of a secret and whose it is. It answers
// ErrBadCredentials when there is none, it has expired, or its user is
// suspended.
func (s *Store) AuthenticateToken(ctx context.Context, secret string) (User, Token, error) {
	now := s.now()
	k, err := scanToken(s.readers.row(ctx, `SELECT `+tokenColumns+` FROM token WHERE digest = $1 AND (expires = 0 OR expires > $2)`,
		digestOf(secret), now.UnixMilli()))
	if err != nil {
		return User{}, Token{}, found(err, ErrBadCredentials)
	}
	u, err := s.User(ctx, k.User)
	if err != nil {
		return User{}, Token{}, err
	}
	if u.Suspended {
		return User{}, Token{}, ErrBadCredentials
	}
	if now.Sub(k.Used) >= tokenUseNoted {
		k.Used = now
		// On a full disk mail must still be read and removed.
		if err := s.write(ctx, func(t *tx) error { return t.must(`UPDATE token SET used = $1 WHERE id = $2`, now.UnixMilli(), k.ID) }); err != nil {
			s.log.Error("failed", "doing", "note that a token was used", "err", err)
		}
	}
	return u, k, nil
}

// RemoveToken makes a token of a user worthless at once. It reports whether
// there was one.
func (s *Store) RemoveToken(ctx context.Context, u UserID, id TokenID) (bool, error) {
	var n int64
	err := s.write(ctx, func(t *tx) (err error) {
		n, err = t.affected(`DELETE FROM token WHERE id = $1 AND user_id = $2`, id, u)
		t.wake(anybody)
		return err
	})
	return n > 0, err
}
