package imapd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
)

// Config is what a Server needs to know. Store and Auth are required.
type Config struct {
	Hostname string // for the greeting; empty is "localhost"
	Version  string // for ID; empty is not told
	Store    *store.Store
	Auth     *auth.Authenticator
	TLS      *tls.Config // for STARTTLS; nil is none

	// Secure says that the listener's connections are encrypted already.
	Secure bool
	// PlaintextOK lets clients log in without TLS.
	PlaintextOK bool

	MaxSize     int64         // octets of a message in APPEND; 0 is 50 MiB
	MaxFailures int           // failed logins until BYE; 0 is 5
	LoginTime   time.Duration // from connecting to a login; 0 is two minutes
	Log         *slog.Logger  // nil discards
}

// Server serves IMAP on one kind of listener.
type Server struct {
	config Config
	imap   *imapserver.Server

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	leaving   bool
	empty     chan struct{} // closed when leaving and the last conn is gone
}

// New makes a server.
func New(config Config) *Server {
	if config.Hostname == "" {
		config.Hostname = "localhost"
	}
	if config.MaxSize == 0 {
		config.MaxSize = 50 << 20
	}
	config.MaxSize = min(config.MaxSize, math.MaxUint32-1)
	if config.MaxFailures == 0 {
		config.MaxFailures = 5
	}
	if config.LoginTime == 0 {
		config.LoginTime = 2 * time.Minute
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		config:    config,
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
		empty:     make(chan struct{}),
	}
	s.imap = imapserver.New(&imapserver.Options{
		NewSession: newSession,
		Caps:       libraryCaps,
		Logger:     slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug),
		// Whether a password may pass is decided in Login: the library
		// looks for a *tls.Conn, which it never sees.
		InsecureAuth: true,
	})
	return s
}

// Serve accepts connections until Shutdown, when it returns nil, or until the
// listener fails.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.leaving {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	return s.imap.Serve(&listener{l, s})
}

// Shutdown stops listening and says BYE to everybody. Commands that are being
// carried out may finish until ctx ends; then their connections are closed,
// and Shutdown returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.leaving {
		s.leaving = true
		if len(s.conns) == 0 {
			close(s.empty)
		}
	}
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.leave("The server is stopping; please come back soon")
	}
	s.mu.Unlock()

	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	<-s.empty
	return ctx.Err()
}

// remember takes a connection in, unless the server is stopping.
func (s *Server) remember(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leaving {
		s.conns[c] = struct{}{}
	}
	return !s.leaving
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c]; !ok {
		return
	}
	delete(s.conns, c)
	if s.leaving && len(s.conns) == 0 {
		close(s.empty)
	}
}

// listener puts a conn beneath the library for each connection.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		wire, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{server: l.server, since: time.Now(),
			log: l.server.config.Log.With("proto", "imap", "conn", listen.Number(wire), "remote", wire.RemoteAddr())}
		c.life.wire = wire
		c.out.answered = true
		c.peer = listen.Of(wire)
		c.peer.OnHangUp(c.sendAway)
		if l.server.remember(c) {
			return c, nil
		}
		wire.Close()
	}
}
