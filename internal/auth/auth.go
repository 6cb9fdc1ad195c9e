// Package auth lets people in: it checks a password or a SASL exchange
// against the store, and slows down whoever guesses. It also counts how much
// mail those send who are in (allowance.go).
//
// It is the one door of all four services, so that a guesser who is refused
// by IMAP is refused by POP3 too. It knows no reply code: each service turns
// the errors here into its own words.
//
// Start reading with [Authenticator.Login]; exchange.go and scram.go are the
// SASL mechanisms around it, limiter.go is what is counted.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yubin-mail/yubin/store"
)

// What can go wrong beside store.ErrBadCredentials. Anything else is a
// temporary failure, already in the log.
var (
	// ErrThrottled: too many failures from this address; the password was
	// not looked at.
	ErrThrottled = errors.New("too many failed logins")
	// ErrUnknownMechanism: there is no SASL mechanism of that name, or not
	// on this connection.
	ErrUnknownMechanism = errors.New("unknown authentication mechanism")
	// ErrMalformed: the client's message does not follow the mechanism.
	ErrMalformed = errors.New("malformed authentication exchange")
)

// Longer ones are refused before anything is computed from them.
const (
	maxName     = 512  // octets; an address has at most 254 (RFC 5321 §4.5.3.1.3)
	maxPassword = 1024 // octets
)

// Authenticator checks who somebody is. It is safe for concurrent use.
type Authenticator struct {
	store   *store.Store
	limiter *Limiter
	log     *slog.Logger
	// hashing holds one token per password that is being hashed: a hash
	// costs tens of milliseconds of one core, more at once help nobody.
	hashing chan struct{}
}

// New returns an Authenticator over s. A nil Limiter is one with default
// limits, a nil log discards.
func New(s *store.Store, l *Limiter, log *slog.Logger) *Authenticator {
	if l == nil {
		l = NewLimiter(LimiterConfig{})
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Authenticator{store: s, limiter: l, log: log, hashing: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

type logKey struct{}

// WithLog makes the events of a login go to log, which knows the connection,
// instead of to the Authenticator's own.
func WithLog(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// Login checks a password for service ("smtp", "pop3", …). It logs the
// outcome, counts a failure and, after several, pauses before it returns.
// Errors: store.ErrBadCredentials, ErrThrottled, or a temporary failure.
func (a *Authenticator) Login(ctx context.Context, remote net.Addr, service, address, password string) (store.User, error) {
	user, err := a.check(ctx, remote, address, password)
	if err == nil {
		a.store.NoteUse(user.ID, service)
	}
	return user, a.settle(ctx, remote, service, address, err)
}

func (a *Authenticator) check(ctx context.Context, remote net.Addr, address, password string) (store.User, error) {
	if !plausibleName(address) || len(password) > maxPassword || strings.ContainsRune(password, 0) {
		return store.User{}, store.ErrBadCredentials
	}
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return store.User{}, ctx.Err()
	}
	// Asked only now, so that guesses sent all at once do not pass together.
	if !a.limiter.mayLogin(remote, address) {
		return store.User{}, ErrThrottled
	}
	return a.store.Authenticate(ctx, address, password)
}

// settle ends an attempt: every attempt passes here exactly once.
func (a *Authenticator) settle(ctx context.Context, remote net.Addr, service, address string, err error) error {
	log, ok := ctx.Value(logKey{}).(*slog.Logger)
	if !ok {
		log = a.log.With("remote", remote)
	}
	log = log.With("service", service, "user", shown(address))
	switch {
	case err == nil:
		log.InfoContext(ctx, "login")
	case errors.Is(err, store.ErrBadCredentials):
		pause := a.limiter.loginFailed(remote, address)
		log.InfoContext(ctx, "login-failed", "reason", "credentials", "pause", pause)
		sleep(ctx, pause)
		return store.ErrBadCredentials
	case errors.Is(err, ErrThrottled):
		log.InfoContext(ctx, "login-failed", "reason", "throttled")
	case errors.Is(err, ErrMalformed):
		log.InfoContext(ctx, "login-failed", "reason", "malformed")
	default:
		log.ErrorContext(ctx, "failed", "doing", "login", "err", err)
		return fmt.Errorf("log in: %w", err)
	}
	return err
}

// plausibleName refuses what no address can be, before it reaches the store
// or a log line.
func plausibleName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) &&
		strings.IndexFunc(name, unicode.IsControl) < 0
}

// shown cuts a name that somebody sent to what a log line bears.
func shown(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}
