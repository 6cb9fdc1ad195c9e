package imapd

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-sasl"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// A session is one client's conversation. The library calls its methods one
// after another, all but Idle, which runs beside the library's reading and can
// still run while Close or, after a client's mistake, another command does. So
// every method that touches what is below mu holds it.
type session struct {
	conn  *conn
	store *store.Store

	// The library hands down no context, so the session has one of its own,
	// which ends with it.
	ctx    context.Context
	cancel context.CancelFunc

	enabled func() imap.CapSet // by ENABLE

	user       store.User // zero before login; only the library's goroutine writes it
	generation int64
	failures   int

	mu    sync.Mutex
	log   *slog.Logger
	watch *store.Watch // nil before login
	box   *selected    // nil when nothing is selected
}

// selected is the mailbox a client works in.
type selected struct {
	id       store.MailboxID
	readOnly bool
	view     *view
	saved    []store.UID // "$", RFC 5182
}

var (
	_ imapserver.SessionIMAP4rev2      = (*session)(nil)
	_ imapserver.SessionSASL           = (*session)(nil)
	_ imapserver.SessionUnauthenticate = (*session)(nil)
	_ imapserver.SessionAppendLimit    = (*session)(nil)
)

func newSession(ic *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	c := ic.NetConn().(*conn)
	s := &session{conn: c, store: c.server.config.Store, log: c.log}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.enabled = ic.EnabledCaps
	c.attach(s)
	return s, nil, nil
}

// Close ends the session. The connection goes first, because Idle may be
// stuck in a write while it holds mu.
func (s *session) Close() error {
	s.cancel()
	s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	return nil
}

// Login is the LOGIN command (RFC 9051 §6.2.3).
func (s *session) Login(address, password string) error {
	if len(s.conn.mechanisms()) == 0 {
		return no(imap.ResponseCodePrivacyRequired, "Not without TLS")
	}
	user, err := s.conn.server.config.Auth.Login(s.loginContext(), s.conn.RemoteAddr(), "imap", address, password)
	if err == nil {
		err = s.welcome(user)
	}
	return s.admitted(err)
}

func (s *session) loginContext() context.Context { return auth.WithLog(s.ctx, s.log) }

// welcome lets a user in.
func (s *session) welcome(user store.User) error {
	generation, err := s.store.Generation(s.ctx, user.ID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.generation = user, generation
	s.watch = s.store.Watch(user.ID)
	s.log = s.conn.log.With("user", user.Address)
	wiretap.User(s.conn.wire(), user.Address, user.Tap) // also beneath a TLS that STARTTLS has begun
	s.conn.peer.SetLogin(listen.Login{User: int64(user.ID), Address: user.Address, Generation: generation})
	s.conn.peer.SetState(s.state())
	return nil
}

// admitted answers a login, and ends the connection of somebody who guesses.
func (s *session) admitted(err error) error {
	if err == nil {
		s.failures = 0
		return nil
	}
	if s.failures++; s.failures >= s.conn.server.config.MaxFailures {
		s.conn.leave("Too many failed logins")
	}
	return s.reply("log in", err)
}

// state is how far the session is, outside of IDLE; mu is held.
func (s *session) state() listen.State {
	switch {
	case s.user.ID == 0:
		return listen.Connected
	case s.box == nil:
		return listen.Authenticated
	}
	return listen.Selected
}

// enter selects a mailbox, or none; mu is held.
func (s *session) enter(box *selected) {
	s.box = box
	s.conn.peer.SetState(s.state())
}

// forget is what logging out leaves; mu is held.
func (s *session) forget() {
	if s.watch != nil {
		s.watch.Close()
	}
	s.user, s.watch, s.box, s.log = store.User{}, nil, nil, s.conn.log
	s.conn.peer.SetState(s.state())
}

// AuthenticateMechanisms is asked by the library for a list of capabilities
// that ours replaces.
func (s *session) AuthenticateMechanisms() []string { return s.conn.mechanisms() }

// Authenticate is the AUTHENTICATE command (RFC 9051 §6.2.2).
func (s *session) Authenticate(mechanism string) (sasl.Server, error) {
	offered := s.conn.mechanisms()
	if len(offered) == 0 {
		return nil, no(imap.ResponseCodePrivacyRequired, "Not without TLS")
	}
	facts := auth.Facts{Remote: s.conn.RemoteAddr(), Service: "imap"}
	if state, ok := listen.ConnectionState(s.conn.wire()); ok {
		facts.TLS = &state
	}
	known := false
	for _, m := range offered {
		known = known || m == mechanism
		facts.PlusOffered = facts.PlusOffered || m == auth.ScramSHA256Plus
	}
	if !known {
		return nil, s.reply("authenticate", auth.ErrUnknownMechanism)
	}
	x, err := s.conn.server.config.Auth.Begin(s.loginContext(), mechanism, facts)
	if err != nil {
		return nil, s.reply("authenticate", err)
	}
	return &exchange{Exchange: x, session: s}, nil
}

// exchange is a SASL exchange that ends in a session's login.
type exchange struct {
	auth.Exchange
	session *session
}

// Next turns an empty challenge into none: the library would write it as "=",
// which is the spelling of an empty initial response (RFC 4959 §3).
func (x *exchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := x.Exchange.Next(response)
	if err == nil && done {
		err = x.session.welcome(x.User())
	}
	if err != nil {
		return nil, false, x.session.admitted(err)
	}
	if len(challenge) == 0 {
		challenge = nil
	}
	return challenge, done, nil
}

// Unauthenticate is the UNAUTHENTICATE command (RFC 8437).
func (s *session) Unauthenticate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	s.conn.peer.SetLogin(listen.Login{})
	s.conn.since = time.Now()
	return nil
}

// stillWelcome asks whether the user may go on. When not, the connection ends
// after the command; mu is held.
func (s *session) stillWelcome() bool {
	g, err := s.store.Generation(s.ctx, s.user.ID)
	switch {
	case err == nil && g == s.generation:
		return true
	case err == nil, errors.Is(err, store.ErrBadCredentials), errors.Is(err, store.ErrNoSuchUser):
		s.conn.leave(textRevoked)
		return false
	}
	s.reply("check the user", err) // logs it; this may pass
	return true
}

// mailbox finds the user's mailbox of that name.
func (s *session) mailbox(name string) (store.Mailbox, error) {
	return s.store.Mailbox(s.ctx, s.user.ID, name)
}

// current is the selected mailbox; mu is held.
func (s *session) current() (*selected, error) {
	if s.box == nil { // it has been deleted, or closed by this client's own DELETE
		return nil, bad("No mailbox is selected")
	}
	return s.box, nil
}

// writable is current for commands that change the mailbox. The library does
// not enforce EXAMINE.
func (s *session) writable() (*selected, error) {
	box, err := s.current()
	if err == nil && box.readOnly {
		err = no(codeReadOnly, "The mailbox is open for reading only")
	}
	return box, err
}
