package pop3d

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

// Config says how one listener's sessions behave.
type Config struct {
	Hostname string // named in the greeting
	Store    *store.Store
	Auth     *auth.Authenticator

	// TLS is for STLS; nil does not offer it.
	TLS *tls.Config
	// Secure: connections of this listener are TLS already.
	Secure bool
	// PlaintextOK: passwords may cross this listener without TLS.
	PlaintextOK bool

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now

	// IdleTimeout ends a session whose client says nothing (RFC 1939 §3
	// asks for at least 10 minutes); 0 is 10 minutes.
	IdleTimeout time.Duration
	// LoginTimeout is the longest a connection may take to log in, however
	// busy it looks; 0 is 3 minutes.
	LoginTimeout time.Duration
	// WriteTimeout is the longest a client may take for one buffer (32 KiB)
	// of what we send; 0 is 2 minutes.
	WriteTimeout time.Duration
	// LoginDelay is the least time between two logins of one user on this
	// listener (RFC 2449 §6.5), in whole seconds; 0 does not limit them.
	LoginDelay time.Duration
	// Implementation is what CAPA says we are (RFC 2449 §6.9); "" says
	// nothing.
	Implementation string
}

// Server serves the sessions of one listener.
type Server struct {
	config Config
	logins logins

	ctx    context.Context // the sessions'; ends when Shutdown loses patience
	cancel context.CancelFunc
	wg     sync.WaitGroup // sessions

	mu       sync.Mutex
	stopping bool
	listener net.Listener
	sessions map[*session]struct{}
}

// New returns a Server that Serve makes listen.
func New(c Config) *Server {
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 10*time.Minute)
	c.LoginTimeout = cmp.Or(c.LoginTimeout, 3*time.Minute)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 2*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{config: c, sessions: make(map[*session]struct{})}
	s.logins = logins{delay: c.LoginDelay.Truncate(time.Second), now: c.Now}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections from l until Shutdown, and then returns nil. Call
// it once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		return l.Close()
	}
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(conn)
		case s.isStopping():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// Out of file descriptors, most likely: some will come back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.config.Log.Error("failed", "doing", "accept", "err", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Server) start(conn net.Conn) {
	session := newSession(s, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		conn.Close()
		return
	}
	s.sessions[session] = struct{}{}
	s.wg.Go(func() {
		defer func() {
			session.close()
			s.mu.Lock()
			delete(s.sessions, session)
			s.mu.Unlock()
			// One session's bug must not end everybody else's.
			if r := recover(); r != nil {
				session.log.Error("failed", "panic", r, "stack", string(debug.Stack()))
			}
		}()
		session.serve()
	})
}

// Shutdown stops accepting, lets every session finish the command it is at,
// tells the others that we are going, and waits for all of them. None of them
// removes anything that had not been said QUIT to. When ctx ends first it
// closes their connections and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	if s.listener != nil {
		s.listener.Close()
	}
	for session := range s.sessions {
		session.interrupt(fail(codeTemp, shuttingDown))
	}
	s.mu.Unlock()

	finished := make(chan struct{})
	go func() { s.wg.Wait(); close(finished) }()
	var err error
	select {
	case <-finished:
	case <-ctx.Done():
		err = ctx.Err()
		s.mu.Lock()
		for session := range s.sessions {
			session.raw.Close()
		}
		s.mu.Unlock()
	}
	s.cancel()
	<-finished
	return err
}
