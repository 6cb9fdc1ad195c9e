package webd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
	_ "time/tzdata" // people read dates in their own zone, also where the system knows none

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// Config is what the web server needs. Store and Auth are required.
type Config struct {
	Hostname string   // our name in Message-ID and Received, and one that Host may have; "" is localhost
	Hosts    []string // further names that Host may have; addresses, localhost and the mail domains always are
	Store    *store.Store
	Auth     *auth.Authenticator
	Secure   bool   // the pages are served over TLS: cookies are sent over nothing else
	Policy   string // what our domains ask of other mail servers (RFC 8461 §3.2); "" is nothing

	Demo         bool          // a demonstration: the login page offers DemoAccounts
	DemoAccounts []DemoAccount // whose passwords everybody may know

	Relay  bool             // mail may leave for other servers: somebody brings the store's queue there
	Signer *mailauth.Signer // signs the mail of users; nil does not
	// Allowance bounds how much mail of users leaves; nil does not.
	Allowance *auth.Allowance
	MaxSize   int64         // octets of a message; 0 is 25 MiB
	UndoSend  time.Duration // how long a sent message waits for second thoughts; 0 is 5 s, negative not at all

	SessionIdle time.Duration // a login ends when unused for so long; 0 is three days
	SessionMax  time.Duration // and after so long in any case; 0 is 30 days

	Lab *lab.Server  // where the compare lab plays; its accounts are ours to make; nil: there is no lab
	Tap *wiretap.Tap // whose conversations the wire log shows; nil: there are none

	Operation Operation // what the admin page and the set-up help know and can do

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now
}

// DemoAccount is an account that the login page of a demonstration offers.
type DemoAccount struct{ Address, Password string }

// Server is the web server of one listener.
type Server struct {
	Config
	handler  http.Handler
	http     *http.Server
	sessions *sessions
	later    *later
	*office
	labs *labs

	ctx    context.Context // ends with the server: streams listen to it
	cancel context.CancelFunc
	once   sync.Once
}

// New makes a server that is not serving yet.
func New(c Config) *Server {
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.MaxSize == 0 {
		c.MaxSize = 25 << 20
	}
	if c.UndoSend == 0 {
		c.UndoSend = 5 * time.Second
	}
	if c.SessionIdle == 0 {
		c.SessionIdle = 3 * 24 * time.Hour
	}
	if c.SessionMax == 0 {
		c.SessionMax = 30 * 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{Config: c, sessions: newSessions(c), later: newLater(c.Log)}
	s.office = newOffice(s)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.labs = newLabs(s)
	s.handler = s.guard(s.routes())
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(s.cancel)
	return s
}

// routes collects the routes of all features.
func (s *Server) routes() *http.ServeMux {
	m := &routes{Server: s, mux: http.NewServeMux()}
	s.assetRoutes(m)
	s.loginRoutes(m)
	s.mailRoutes(m)
	s.labRoutes(m)
	s.wireRoutes(m)
	s.actRoutes(m)
	s.folderRoutes(m)
	s.searchRoutes(m)
	s.composeRoutes(m)
	s.suggestRoutes(m)
	s.liveRoutes(m)
	s.adminRoutes(m)
	s.apiRoutes(m)
	s.setupRoutes(m)
	return m.mux
}

// Handler is the whole site.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers on l until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	defer s.office.serve(s.ctx)()
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown ends streams, waits for the requests under way until ctx ends,
// and does what was waiting to be undone.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.once.Do(func() {
		s.cancel()
		if err = s.http.Shutdown(ctx); err != nil {
			err = errors.Join(err, s.http.Close())
		}
		s.labs.finish()
		s.later.finish()
	})
	return err
}

// routes registers what a feature serves. Methods differ in who may call.
type routes struct {
	*Server
	mux *http.ServeMux
}

// open is for everybody, logged in or not. It must not change anything for
// somebody who is logged in.
func (m *routes) open(pattern string, serve func(*visit) error) {
	m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v := m.visit(w, r)
		v.finish(v.attempt(serve))
	})
}

// user is a page for whoever is logged in; others are sent to log in first
// and come back.
func (m *routes) user(pattern string, serve func(*visit) error) {
	m.open(pattern, func(v *visit) error {
		if v.session == nil {
			return v.askLogin()
		}
		if who := v.claimed(); who != "" && who != v.user.Address {
			return errOtherUser
		}
		return serve(v)
	})
}

// claimed is whose page it is that asks for a piece of itself, or for news: in
// this browser somebody else may have logged in since.
func (v *visit) claimed() string {
	if who := v.URL.Query().Get("for"); who != "" {
		return who
	}
	who, _ := url.PathUnescape(v.Header.Get("X-User")) // what cannot be read is nobody's
	return who
}

// write changes something: it takes at most limit octets, and only with the
// session's token.
func (m *routes) write(pattern string, limit int64, serve func(*visit) error) {
	m.open(pattern, func(v *visit) error {
		err := v.mayWrite(limit)
		if errors.Is(err, errLoggedOut) {
			return v.askLogin()
		}
		if err != nil {
			return err
		}
		return serve(v)
	})
}

// mayWrite reads a form, and checks that it is one of this session's.
func (v *visit) mayWrite(limit int64) error {
	if v.session == nil {
		return errLoggedOut
	}
	if err := v.readForm(limit); err != nil {
		return err
	}
	if !v.session.owns(v.token()) {
		return errToken
	}
	return nil
}

// smallForm is the limit for forms without files.
const smallForm = 1 << 20
