package webd

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// session is one login in one browser. It lives in memory: a restart logs
// everybody out.
type session struct {
	id         string // public: for the list, and to revoke
	user       store.UserID
	generation int64
	csrf       string
	agent      string // what the browser calls itself
	remote     string
	created    time.Time
	streams    atomic.Int64 // open ones

	mu      sync.Mutex
	seen    time.Time
	ended   chan struct{} // closed when the session is over
	notice  *notice
	warning *notice
	undoing []undo
	sent    []string // letters, so that none is sent twice
}

// owns reports whether token is the session's.
func (s *session) owns(token string) bool {
	return subtle.ConstantTimeCompare([]byte(s.csrf), []byte(token)) == 1
}

// maxSessions is how many logins one user may have; the longest unused goes.
const maxSessions = 50

// sessions are all logins, by a digest of the secret in the cookie.
type sessions struct {
	idle, most time.Duration
	now        func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

func newSessions(c Config) *sessions {
	return &sessions{idle: c.SessionIdle, most: c.SessionMax, now: c.Now, all: map[[sha256.Size]byte]*session{}}
}

// begin makes a session and returns the secret that names it.
func (ss *sessions) begin(u store.UserID, generation int64, r *http.Request) string {
	secret := rand.Text()
	now := ss.now()
	s := &session{
		id: rand.Text()[:12], user: u, generation: generation, csrf: rand.Text(),
		agent: r.UserAgent(), remote: r.RemoteAddr, created: now, seen: now, ended: make(chan struct{}),
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var own []*session
	for key, other := range ss.all {
		if ss.isOver(other, now) {
			ss.drop(key)
		} else if other.user == u {
			own = append(own, other)
		}
	}
	if len(own) >= maxSessions {
		oldest := slices.MinFunc(own, func(a, b *session) int { return a.lastSeen().Compare(b.lastSeen()) })
		ss.dropWhere(func(s *session) bool { return s == oldest })
	}
	ss.all[sha256.Sum256([]byte(secret))] = s
	return secret
}

func (s *session) lastSeen() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (ss *sessions) isOver(s *session, now time.Time) bool {
	return now.Sub(s.lastSeen()) > ss.idle || now.Sub(s.created) > ss.most
}

// find returns the session of a secret, and notes that it is in use.
func (ss *sessions) find(secret string) *session {
	key, now := sha256.Sum256([]byte(secret)), ss.now()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.all[key]
	if s == nil {
		return nil
	}
	if ss.isOver(s, now) {
		ss.drop(key)
		return nil
	}
	s.mu.Lock()
	s.seen = now
	s.mu.Unlock()
	return s
}

func (ss *sessions) drop(key [sha256.Size]byte) {
	close(ss.all[key].ended)
	delete(ss.all, key)
}

func (ss *sessions) dropWhere(doomed func(*session) bool) {
	for key, s := range ss.all {
		if doomed(s) {
			ss.drop(key)
		}
	}
}

// end ends every session that doomed chooses.
func (ss *sessions) end(doomed func(*session) bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.dropWhere(doomed)
}

// of lists a user's sessions, the last used first.
func (ss *sessions) of(u store.UserID) []*session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	now := ss.now()
	var own []*session
	for _, s := range ss.all {
		if s.user == u && !ss.isOver(s, now) {
			own = append(own, s)
		}
	}
	slices.SortFunc(own, func(a, b *session) int { return b.lastSeen().Compare(a.lastSeen()) })
	return own
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
	found := v.s.sessions.find(c.Value)
	if found == nil {
		return
	}
	if err := v.stillValid(found); err != nil {
		if isOver(err) {
			v.s.sessions.end(func(s *session) bool { return s == found })
		}
		return
	}
	user, err := v.s.Store.User(v.Context(), found.user)
	if err != nil {
		return
	}
	v.session, v.user = found, user
}

var errSessionOver = errors.New("session is over")

// stillValid asks whether the password has changed or the user has been
// suspended or removed since the login.
func (v *visit) stillValid(s *session) error {
	g, err := v.s.Store.Generation(v.Context(), s.user)
	if err == nil && g != s.generation {
		err = errSessionOver
	}
	return err
}

func isOver(err error) bool {
	return errors.Is(err, errSessionOver) || errors.Is(err, store.ErrNoSuchUser) || errors.Is(err, store.ErrBadCredentials)
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
