package smtpd

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

var _ smtp.AuthSession = (*session)(nil)

// tls is what TLS agreed on, or nil without.
func (s *session) tls() *tls.ConnectionState {
	if state, ok := listen.ConnectionState(s.conn); ok {
		return &state
	}
	return nil
}

// AuthMechanisms are what EHLO offers now.
func (s *session) AuthMechanisms() []string {
	if !s.Config.login() {
		return nil
	}
	return auth.Mechanisms(s.conn.isSecure(), s.PlaintextOK, auth.HasBinding(s.tls()))
}

// Auth begins a SASL exchange. RFC 4954 §4.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	x, err := s.begin(mechanism)
	if err != nil {
		return nil, s.reply("AUTH", err)
	}
	return &exchange{s, x}, nil
}

func (s *session) begin(mechanism string) (auth.Exchange, error) {
	offered := s.AuthMechanisms()
	switch {
	case !s.Config.login():
		return nil, errNoAuth
	case s.conn.busy.Load():
		return nil, errInTransaction
	case !slices.Contains(offered, mechanism):
		return nil, auth.ErrUnknownMechanism
	}
	return s.Config.Auth.Begin(auth.WithLog(s.ctx, s.log), mechanism, auth.Facts{
		Remote:      s.conn.RemoteAddr(),
		TLS:         s.tls(),
		PlusOffered: slices.Contains(offered, auth.ScramSHA256Plus),
		Service:     "smtp",
	})
}

// exchange gives the library a SASL exchange in words it may send.
type exchange struct {
	s *session
	x auth.Exchange
}

func (e *exchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := e.x.Next(response)
	if err == nil && done {
		err = e.s.loggedIn(e.x.User())
	}
	if errors.Is(err, store.ErrBadCredentials) || errors.Is(err, auth.ErrThrottled) {
		if e.s.conn.failures++; e.s.conn.failures >= passwordPatience {
			err = errPatience
		}
	}
	if err != nil {
		return nil, false, e.s.reply("AUTH", err)
	}
	e.s.conn.answering = !done
	return challenge, done, nil
}

func (s *session) loggedIn(u store.User) error {
	generation, err := s.Store.Generation(s.ctx, u.ID)
	if err != nil {
		return err
	}
	s.login = &login{user: u, generation: generation}
	s.log = s.log.With("user", u.Address)
	s.conn.peer.SetLogin(listen.Login{User: int64(u.ID), Address: u.Address, Generation: generation})
	s.conn.peer.SetState(s.state())
	wiretap.User(s.conn.Conn, u.Address, u.Tap)
	return nil
}
