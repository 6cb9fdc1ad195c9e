package store

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xdg-go/stringprep"
)

// DefaultIterations is the PBKDF2 cost of a new password: the most that
// Cyrus SASL, which many clients log in with, accepts in SCRAM. One check takes
// ten milliseconds and more.
const DefaultIterations = 1 << 16

// maxPassword bounds what is hashed; longer ones fail like wrong ones.
const maxPassword = 1024

// Credential is what SCRAM-SHA-256 keeps instead of a password (RFC 5802 §3,
// RFC 7677). It also serves PLAIN and LOGIN.
type Credential struct {
	User       UserID // 0 when the credential is a stand-in for an unknown user
	Address    string
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

func newCredential(password string, iterations int) (Credential, error) {
	if password == "" || len(password) > maxPassword {
		return Credential{}, fmt.Errorf("a password has 1 to %d octets", maxPassword)
	}
	c := Credential{Salt: make([]byte, 16), Iterations: iterations}
	rand.Read(c.Salt)
	var err error
	c.StoredKey, c.ServerKey, err = scramKeys(password, c.Salt, iterations)
	return c, err
}

// scramKeys follows RFC 5802 §3.
func scramKeys(password string, salt []byte, iterations int) (stored, server []byte, err error) {
	if prepared, err := stringprep.SASLprep.Prepare(password); err == nil {
		password = prepared
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	h := sha256.Sum256(mac(salted, "Client Key"))
	return h[:], mac(salted, "Server Key"), nil
}

func mac(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		fmt.Fprintf(m, "%s", p)
	}
	return m.Sum(nil)
}

// loginAddress lets a user of the first domain leave the domain out.
func (s *Store) loginAddress(ctx context.Context, name string) (string, error) {
	if !strings.Contains(name, "@") {
		var domain string
		if err := s.readers.row(ctx, `SELECT name FROM domain ORDER BY id LIMIT 1`).Scan(&domain); err != nil {
			return "", found(err, ErrBadAddress)
		}
		name += "@" + domain
	}
	return CanonicalAddress(name)
}

// Credential returns what SCRAM needs for a user name: an address, or the
// local part alone in the first domain. An unknown or suspended user gets a
// stand-in that is always the same for the same name and fits no password, so
// that nobody can ask who exists.
func (s *Store) Credential(ctx context.Context, name string) (Credential, error) {
	address, err := s.loginAddress(ctx, name)
	if errors.Is(err, ErrBadAddress) {
		return s.standIn(name), nil
	}
	if err != nil {
		return Credential{}, err
	}
	c := Credential{Address: address}
	var suspended bool
	err = s.readers.row(ctx, `SELECT id, salt, iterations, stored_key, server_key, suspended FROM user WHERE address = $1`, address).
		Scan(&c.User, &c.Salt, &c.Iterations, &c.StoredKey, &c.ServerKey, &suspended)
	if errors.Is(err, sql.ErrNoRows) || suspended {
		return s.standIn(address), nil
	}
	return c, err
}

func (s *Store) standIn(name string) Credential {
	return Credential{
		Address:    name,
		Salt:       mac(s.auth.standIn, "salt", name)[:16],
		Iterations: s.iter,
		StoredKey:  mac(s.auth.standIn, "stored", name),
		ServerKey:  mac(s.auth.standIn, "server", name),
	}
}

// Authenticate checks a password and answers ErrBadCredentials when it does
// not fit, the user is unknown or suspended: always after the same work. A
// success is remembered for a while, so that clients which reconnect every
// minute are cheap.
func (s *Store) Authenticate(ctx context.Context, name, password string) (User, error) {
	if len(password) > maxPassword {
		return User{}, ErrBadCredentials
	}
	c, err := s.Credential(ctx, name)
	if err != nil {
		return User{}, err
	}
	// The key covers the stored credential: a changed password or a suspended
	// user (who gets a stand-in) ends what was remembered at once.
	key := s.auth.key(c, password)
	if c.User == 0 || !s.auth.knows(key, s.now()) {
		stored, _, err := scramKeys(password, c.Salt, c.Iterations)
		if err != nil {
			return User{}, err
		}
		if subtle.ConstantTimeCompare(stored, c.StoredKey) != 1 || c.User == 0 {
			return User{}, ErrBadCredentials
		}
		s.auth.remember(key, s.now())
	}
	u, err := s.User(ctx, c.User)
	if errors.Is(err, ErrNoSuchUser) {
		err = ErrBadCredentials
	}
	return u, err
}

// Generation moves when the user's password changes or they are suspended. A
// session remembers it at login and ends when it has moved. It answers
// ErrNoSuchUser when the user is gone and ErrBadCredentials while suspended.
func (s *Store) Generation(ctx context.Context, u UserID) (int64, error) {
	var g int64
	var suspended bool
	err := s.readers.row(ctx, `SELECT generation, suspended FROM user WHERE id = $1`, u).Scan(&g, &suspended)
	if err == nil && suspended {
		err = ErrBadCredentials
	}
	return g, found(err, ErrNoSuchUser)
}

// What the cache of recent successes keeps.
const (
	authRemembered = 10 * time.Minute
	authEntries    = 10_000
)

// authCache remembers recent successes under an HMAC of a key that lives in
// this process only; it never holds a password.
type authCache struct {
	secret  []byte // of this process
	standIn []byte // of this store: an unknown user's salt survives a restart
	mu      sync.Mutex
	until   map[[sha256.Size]byte]time.Time
}

func (s *Store) openAuth(ctx context.Context) error {
	a := &s.auth
	a.until = map[[sha256.Size]byte]time.Time{}
	a.secret = make([]byte, 32)
	rand.Read(a.secret)
	fresh := make([]byte, 32)
	rand.Read(fresh)
	return s.write(ctx, func(t *tx) error {
		return t.row(ctx, `INSERT INTO meta (name, value) VALUES ('stand_in', $1)
			ON CONFLICT (name) DO UPDATE SET value = value RETURNING value`, fresh).Scan(&a.standIn)
	})
}

func (a *authCache) key(c Credential, password string) (k [sha256.Size]byte) {
	m := mac(a.secret, "success", string(c.StoredKey), string(c.Salt), c.Address, "\x00", password)
	copy(k[:], m)
	return k
}

func (a *authCache) knows(k [sha256.Size]byte, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.until[k].After(now)
}

func (a *authCache) remember(k [sha256.Size]byte, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.until) >= authEntries {
		for old, until := range a.until {
			if len(a.until) >= authEntries || !until.After(now) {
				delete(a.until, old)
			}
		}
	}
	a.until[k] = now.Add(authRemembered)
}
