package pop3d

import (
	"errors"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// user answers the same whether the name exists or not (RFC 1939 §13).
func (s *session) user(args []string) reply {
	if !s.mayLogin() {
		return fail(codeNone, useTLS)
	}
	s.name = args[0]
	return ok(sendPassword)
}

// pass logs in (RFC 1939 §7). After a failure USER must come again.
func (s *session) pass(args []string) reply {
	name := s.name
	s.name = ""
	switch {
	case !s.mayLogin():
		return fail(codeNone, useTLS)
	case name == "":
		return fail(codeNone, userFirst)
	}
	u, err := s.Auth.Login(s.ctx, s.raw.RemoteAddr(), service, name, args[0])
	return s.login(u, err)
}

// apop says why we do not: see the package's notes.
func (s *session) apop([]string) reply { return fail(codeNone, noAPOP) }

const service = "pop3"

// login is the end of PASS and of AUTH. The pause after a failure has been
// served already.
func (s *session) login(u store.User, err error) reply {
	if err == nil {
		return s.enter(u)
	}
	r := words(err)
	s.failures++
	if s.failures >= maxFailures || errors.Is(err, auth.ErrThrottled) {
		return r.hangingUp()
	}
	return r
}

// enter takes the maildrop and with it the session to the TRANSACTION state.
// When somebody else has it the session stays where it is (RFC 1939 §4).
func (s *session) enter(u store.User) reply {
	wiretap.User(s.raw, u.Address, u.Tap)
	// Asked after the password: before it, the answer would say that the
	// user exists (RFC 2449 §8.1.1).
	if !s.logins.may(u.ID) {
		return fail(codeLoginDelay, loggedInLately, int(s.logins.delay/time.Second))
	}
	generation, err := s.Store.Generation(s.ctx, u.ID)
	if err != nil {
		return s.failure(err)
	}
	drop, err := s.Store.OpenMaildrop(s.ctx, u.ID)
	if err != nil {
		return s.failure(err)
	}
	s.logins.note(u.ID)
	s.access = access{generation, s.Now()}
	s.drop = newMaildrop(drop)
	s.peer.SetLogin(listen.Login{User: int64(u.ID), Address: u.Address, Generation: generation})
	s.peer.SetState(listen.Transaction)
	return s.drop.summary()
}

// access is the right to go on: it ends when the password changes or the
// account is suspended.
type access struct {
	generation int64
	checked    time.Time
}

// revoked asks the store at most once a second, and before QUIT always.
func (s *session) revoked() bool {
	now := s.Now()
	if now.Sub(s.checked) < time.Second && s.verb != "QUIT" {
		return false
	}
	generation, err := s.Store.Generation(s.ctx, s.drop.User.ID)
	if errors.Is(err, store.ErrNoSuchUser) || errors.Is(err, store.ErrBadCredentials) {
		return true
	}
	if err != nil { // the command itself will meet what ails the store
		s.log.Error("failed", "verb", s.verb, "err", err)
		return false
	}
	s.checked = now
	return generation != s.generation
}

// logins remembers when each user logged in last, for LOGIN-DELAY
// (RFC 2449 §6.5). It forgets at a restart.
type logins struct {
	delay time.Duration // 0: remembers nothing
	now   func() time.Time

	mu    sync.Mutex
	last  map[store.UserID]time.Time
	sweep int // when last is this large, what no longer matters is removed
}

func (l *logins) may(u store.UserID) bool {
	if l.delay == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last, found := l.last[u]
	return !found || l.now().Sub(last) >= l.delay
}

func (l *logins) note(u store.UserID) {
	if l.delay == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.last == nil {
		l.last = make(map[store.UserID]time.Time)
	}
	if len(l.last) >= l.sweep {
		for u, t := range l.last {
			if now.Sub(t) >= l.delay {
				delete(l.last, u)
			}
		}
		l.sweep = max(1024, 2*len(l.last))
	}
	l.last[u] = now
}
