package webd

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// session is what we keep in memory of a login in one browser while it is in
// use. The login itself is in the store: a restart forgets what could be taken
// back, and logs nobody out.
type session struct {
	login   store.Login
	csrf    string
	streams atomic.Int64  // open ones
	ended   chan struct{} // closed when the session is over

	mu      sync.Mutex
	seen    time.Time
	noted   time.Time // what the store knows of seen
	notice  *notice
	warning *notice
	undoing []undo
	sent    []string // letters, so that none is sent twice

	telling sync.Mutex
	wire    *wiretap.Log // what the wire log is told; may be nil
}

// owns reports whether token is the session's.
func (s *session) owns(token string) bool {
	return subtle.ConstantTimeCompare([]byte(s.csrf), []byte(token)) == 1
}

// sessions are the logins that have been in use since we started, by a digest
// of the secret in the cookie.
type sessions struct {
	store      *store.Store
	idle, most time.Duration
	now        func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

func newSessions(c Config) *sessions {
	return &sessions{store: c.Store, idle: c.SessionIdle, most: c.SessionMax, now: c.Now, all: map[[sha256.Size]byte]*session{}}
}

// proof is what the forms of a session carry. It follows from the secret, so
// that a page which was open before a restart still works after it.
func proof(secret string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// expires is when a login that was seen at a time is over.
func (ss *sessions) expires(created, seen time.Time) time.Time {
	idle, most := seen.Add(ss.idle), created.Add(ss.most)
	if idle.Before(most) {
		return idle
	}
	return most
}

// begin makes a login and returns the secret that names it.
func (ss *sessions) begin(u store.UserID, generation int64, r *http.Request) (string, error) {
	now := ss.now()
	secret, _, ended, err := ss.store.CreateLogin(r.Context(), store.Login{
		User: u, Generation: generation, Agent: r.UserAgent(), Remote: r.RemoteAddr, Created: now, Seen: now, Expires: ss.expires(now, now),
	})
	if err != nil {
		return "", err
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.dropWhere(func(s *session) bool { return ss.isOver(s, now) || slices.Contains(ended, s.login.ID) })
	return secret, nil
}

// open are the sessions with a page that hears of changes.
func (ss *sessions) open() (some []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.all {
		if s.streams.Load() > 0 {
			some = append(some, s)
		}
	}
	return some
}

func (s *session) lastSeen() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (ss *sessions) isOver(s *session, now time.Time) bool {
	return now.Sub(s.lastSeen()) > ss.idle || now.Sub(s.login.Created) > ss.most
}

// seenNoted is how exactly the store knows when a login was used last.
const seenNoted = time.Hour

// find returns the session of a secret, and notes that it is in use. It
// answers store.ErrBadCredentials when there is none.
func (ss *sessions) find(ctx context.Context, secret string) (*session, error) {
	key, now := sha256.Sum256([]byte(secret)), ss.now()
	s := ss.get(key)
	if s == nil {
		var err error
		if s, err = ss.load(ctx, key, secret); err != nil {
			return nil, err
		}
	}
	if ss.isOver(s, now) {
		return nil, errors.Join(ss.end(ctx, s), store.ErrBadCredentials)
	}
	s.mu.Lock()
	s.seen = now
	late := now.Sub(s.noted) >= min(seenNoted, ss.idle/10)
	if late {
		s.noted = now
	}
	s.mu.Unlock()
	if !late {
		return s, nil
	}
	return s, ss.store.NoteLogin(ctx, s.login.ID, now, ss.expires(s.login.Created, now))
}

func (ss *sessions) get(key [sha256.Size]byte) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.all[key]
}

// load takes a login out of the store into memory.
func (ss *sessions) load(ctx context.Context, key [sha256.Size]byte, secret string) (*session, error) {
	l, err := ss.store.FindLogin(ctx, secret)
	if err != nil {
		return nil, err
	}
	ss.mu.Lock()
	s := ss.all[key]
	if s == nil {
		s = &session{login: l, csrf: proof(secret), seen: l.Seen, noted: l.Seen, ended: make(chan struct{})}
		ss.all[key] = s
	}
	ss.mu.Unlock()
	// Whoever ended it a moment ago may not have seen it in memory yet.
	if _, err := ss.store.FindLogin(ctx, secret); err != nil {
		ss.forget(func(other *session) bool { return other == s })
		return nil, err
	}
	return s, nil
}

func (ss *sessions) dropWhere(doomed func(*session) bool) {
	for key, s := range ss.all {
		if doomed(s) {
			close(s.ended)
			s.hush()
			delete(ss.all, key)
		}
	}
}

// forget drops sessions from memory. Their logins must be over already.
func (ss *sessions) forget(doomed func(*session) bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.dropWhere(doomed)
}

// end ends one login.
func (ss *sessions) end(ctx context.Context, s *session) error {
	return ss.endOf(ctx, s.login.User, s.login.ID)
}

// endOf ends a login of a user's.
func (ss *sessions) endOf(ctx context.Context, u store.UserID, id store.LoginID) error {
	err := ss.store.EndLogin(ctx, u, id)
	ss.forget(func(s *session) bool { return s.login.User == u && s.login.ID == id })
	return err
}

// endOthers ends all logins of a user but one.
func (ss *sessions) endOthers(ctx context.Context, but *session) error {
	err := ss.store.EndOtherLogins(ctx, but.login.User, but.login.ID)
	ss.forget(func(s *session) bool { return s.login.User == but.login.User && s != but })
	return err
}

// of lists a user's logins, the last used first.
func (ss *sessions) of(ctx context.Context, u store.UserID) ([]store.Login, error) {
	all, err := ss.store.Logins(ctx, u)
	if err != nil {
		return nil, err
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.all { // memory knows exactly what the store knows to the hour
		if i := slices.IndexFunc(all, func(l store.Login) bool { return l.ID == s.login.ID }); i >= 0 {
			all[i].Seen = s.lastSeen()
		}
	}
	slices.SortStableFunc(all, func(a, b store.Login) int { return b.Seen.Compare(a.Seen) })
	return all, nil
}

// cookieName is the session's. The prefix makes browsers refuse it from
// other hosts and without TLS.
func (v *visit) cookieName() string {
	if v.isSecure() {
		return "__Host-yubin"
	}
	return "yubin"
}

func (v *visit) isSecure() bool { return v.s.Secure || v.TLS != nil }

// resume finds out whose request this is.
func (v *visit) resume() {
	c, err := v.Cookie(v.cookieName())
	if err != nil {
		return
	}
	found, err := v.s.sessions.find(v.Context(), c.Value)
	if err != nil && !isOver(err) {
		v.log().Error("failed", "doing", "find a session", "err", err)
	}
	if found == nil {
		return
	}
	if err := v.stillValid(found); err != nil {
		if isOver(err) {
			v.end(found)
		}
		return
	}
	user, err := v.s.Store.User(v.Context(), found.login.User)
	if err != nil {
		return
	}
	v.session, v.user = found, user
}

var errSessionOver = errors.New("session is over")

// stillValid asks whether the password has changed or the user has been
// suspended or removed since the login.
func (v *visit) stillValid(s *session) error {
	g, err := v.s.Store.Generation(v.Context(), s.login.User)
	if err == nil && g != s.login.Generation {
		err = errSessionOver
	}
	return err
}

func isOver(err error) bool {
	return errors.Is(err, errSessionOver) || errors.Is(err, store.ErrNoSuchUser) || errors.Is(err, store.ErrBadCredentials)
}

// end ends a session. When the store cannot be written to, it is at least
// forgotten, and the log says so.
func (v *visit) end(s *session) {
	if err := v.s.sessions.end(v.Context(), s); err != nil {
		v.log().Error("failed", "doing", "end a session", "err", err)
	}
}

// setSession gives the browser the secret of a session, or takes it away.
func (v *visit) setSession(secret string) {
	c := v.cookie(v.cookieName(), secret, v.s.SessionMax)
	c.HttpOnly = true
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

// cookie makes a cookie of ours.
func (v *visit) cookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age.Seconds()),
		Secure: v.isSecure(), SameSite: http.SameSiteLaxMode,
	}
}
