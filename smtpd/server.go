package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/store"
)

// Role is what a listener is for.
type Role int

const (
	// MX takes mail for local recipients from anybody.
	MX Role = iota
	// Submission takes mail from users who have logged in.
	Submission
)

// Config says how one listener behaves.
type Config struct {
	Hostname string // named in the greeting and in Received
	Role     Role
	Store    *store.Store
	Auth     *auth.Authenticator
	Limiter  *auth.Limiter // for unknown recipients; nil is one with default limits

	// TLS is for STARTTLS; nil does not offer it.
	TLS *tls.Config
	// Secure: connections of this listener are TLS already.
	Secure bool
	// PlaintextOK: passwords may cross this listener without TLS.
	PlaintextOK bool
	// LoginOnMX offers AUTH on an MX too. It is always offered on Submission.
	LoginOnMX bool
	// Relay takes mail of users who have logged in for other domains too;
	// somebody must bring the store's queue there.
	Relay bool
	// Rewrite has the secrets of mailauth.SRS. With them, and Relay, aliases
	// may lead strangers' mail elsewhere; without, that is refused.
	Rewrite [][]byte

	// Confirm writes the notice that a message has got to addresses of ours, of
	// which some stand for several; false is that there is none. nil does not
	// offer DSN.
	Confirm func(ctx context.Context, d store.Delivery, delivered, expanded []store.Recipient) (store.Delivery, bool)

	// Allowance bounds how much mail of users leaves; nil does not.
	Allowance *auth.Allowance

	// Gate judges the mail of strangers; nil takes it as it comes.
	Gate *mailauth.Gate
	// Signer signs the mail of users; nil does not.
	Signer *mailauth.Signer

	MaxSize       int64 // octets of a message; 0 is 50 MB
	MaxRecipients int   // of one message; 0 is 1000

	// CommandTimeout is how long one command may take to arrive; 0 is the
	// 5 minutes of RFC 5321 §4.5.3.2.7.
	CommandTimeout time.Duration
	// DataTimeout is how long a client may be silent within a message; 0 is
	// the 3 minutes of RFC 5321 §4.5.3.2.5. However steadily it comes, a
	// message has one DataTimeout and a second for each MinRate octets.
	DataTimeout time.Duration
	// MinRate is in octets per second; 0 is 500.
	MinRate int64
	// WriteTimeout is how long a client may take for our replies; 0 is 1 minute.
	WriteTimeout time.Duration

	Log *slog.Logger     // nil discards
	Now func() time.Time // for trace fields; nil is time.Now
}

func (c Config) withDefaults() Config {
	c.Hostname = cmp.Or(c.Hostname, "localhost")
	c.MaxSize = cmp.Or(c.MaxSize, 50_000_000)
	c.MaxRecipients = cmp.Or(c.MaxRecipients, 1000)
	c.CommandTimeout = cmp.Or(c.CommandTimeout, 5*time.Minute)
	c.DataTimeout = cmp.Or(c.DataTimeout, 3*time.Minute)
	c.MinRate = cmp.Or(c.MinRate, 500)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Limiter == nil {
		c.Limiter = auth.NewLimiter(auth.LimiterConfig{})
	}
	if c.Auth == nil {
		c.Auth = auth.New(c.Store, c.Limiter, c.Log)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// login reports whether AUTH is offered at all.
func (c Config) login() bool { return c.Role == Submission || c.LoginOnMX }

// Server serves the connections of one listener.
//
// Inside are two servers of the library: it tells transports that are safe
// from others by their Go type, which wrapping hides. One is told that they
// are not and offers STARTTLS, the other is told that they are.
type Server struct {
	config Config
	clear  *smtp.Server
	secure *smtp.Server
	// upgraded brings connections from clear to secure.
	upgraded *channelListener

	ctx    context.Context // the sessions'; ends when Shutdown loses patience
	cancel context.CancelFunc

	mu       sync.Mutex
	stopping bool
	listener net.Listener
	conns    map[*conn]struct{}
}

// New returns a Server that Serve makes listen.
func New(c Config) *Server {
	s := &Server{config: c.withDefaults(), upgraded: newChannelListener(), conns: make(map[*conn]struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.clear = s.commands()
	s.clear.TLSConfig = s.config.TLS // only to offer STARTTLS: the handshake is conn's
	s.clear.AllowInsecureAuth = s.config.PlaintextOK
	s.secure = s.commands()
	s.secure.AllowInsecureAuth = true
	return s
}

// commands is a server of the library, which reads the commands of a session.
func (s *Server) commands() *smtp.Server {
	l := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return newSession(c), nil
	}))
	l.Domain = s.config.Hostname
	l.MaxRecipients = s.config.MaxRecipients
	l.MaxMessageBytes = s.config.MaxSize
	l.MaxLineLength = 0 // conn's business: the library would count lines of text too
	l.ReadTimeout = s.config.CommandTimeout
	l.WriteTimeout = s.config.WriteTimeout
	l.EnableSMTPUTF8 = true
	l.EnableDSN = true        // read in MAIL and RCPT; rephrase may take it back
	l.EnableREQUIRETLS = true // read in MAIL; rephrase offers it
	l.ErrorLog = slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn)
	return l
}

// Serve accepts connections from l until Shutdown, and then returns nil. Call
// it once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	if s.stopping {
		l.Close()
	}
	s.mu.Unlock()

	l = &connListener{Listener: l, server: s}
	var err error
	if s.config.Secure {
		err = s.secure.Serve(l)
	} else {
		var upgraded sync.WaitGroup
		upgraded.Go(func() { _ = s.secure.Serve(s.upgraded) })
		err = s.clear.Serve(l)
		s.upgraded.Close()
		upgraded.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	return err
}

// Shutdown stops accepting, lets transactions come to their end, and tells
// everybody else 421. When ctx ends first, the remaining connections are
// closed and the context's error is returned. It waits for all of them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	if s.listener != nil {
		s.listener.Close()
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.clear.Shutdown(context.Background())
		s.upgraded.Close()
		_ = s.secure.Shutdown(context.Background())
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		c.Conn.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// enter registers a connection, or returns false when it comes too late.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.conns[c] = struct{}{}
	}
	return !s.stopping
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// connListener makes a conn of each connection of a listener.
type connListener struct {
	net.Listener
	server *Server
}

func (l *connListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := newConn(l.server, raw); l.server.enter(c) {
			return c, nil
		}
		raw.Close()
	}
}

// channelListener is a listener whose connections come from within.
type channelListener struct {
	ch     chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newChannelListener() *channelListener {
	return &channelListener{ch: make(chan net.Conn), closed: make(chan struct{})}
}

// offer hands c to Accept, or returns false when the listener is closed.
func (l *channelListener) offer(c net.Conn) bool {
	select {
	case l.ch <- c:
		return true
	case <-l.closed:
		return false
	}
}

func (l *channelListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *channelListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is of no use to anybody, but part of net.Listener.
func (l *channelListener) Addr() net.Addr { return &net.UnixAddr{Name: "starttls", Net: "unix"} }
