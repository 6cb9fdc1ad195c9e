package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/yubin-mail/yubin/store"
)

// The SASL mechanisms.
const (
	Plain           = "PLAIN" // RFC 4616
	Login           = "LOGIN" // never standardised, widely used
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS" // RFC 7677 §3, RFC 9266
)

// Mechanisms are the SASL mechanisms to offer, best first: none on a
// connection that is neither secure nor allowed to carry passwords in clear
// text, -PLUS where the connection has a channel binding ([HasBinding]).
func Mechanisms(secure, plaintextOK, hasBinding bool) []string {
	switch {
	case !secure && !plaintextOK:
		return nil
	case secure && hasBinding:
		return []string{ScramSHA256Plus, ScramSHA256, Plain, Login}
	}
	return []string{ScramSHA256, Plain, Login}
}

// Facts are what a connection knows before somebody logs in on it.
type Facts struct {
	Remote      net.Addr
	TLS         *tls.ConnectionState // nil without TLS
	PlusOffered bool                 // the client has been told of -PLUS
	Service     string               // "smtp", "pop3", …
}

// Exchange is one SASL exchange. User is who it was, once Next has said done
// without an error. Errors of Next are those of [Authenticator.Login] and
// ErrMalformed; it logs, counts and pauses as Login does.
type Exchange interface {
	sasl.Server
	User() store.User
}

// Begin starts an exchange with mechanism mech (in any case), or returns
// ErrUnknownMechanism. It does not ask whether the mechanism was offered.
// The exchange lives no longer than ctx.
func (a *Authenticator) Begin(ctx context.Context, mech string, f Facts) (Exchange, error) {
	p := passwordExchange{a: a, ctx: ctx, facts: f}
	switch strings.ToUpper(mech) {
	case Plain:
		return newPlain(p), nil
	case Login:
		return &loginExchange{passwordExchange: p}, nil
	case ScramSHA256:
		return a.newScram(ctx, f, false)
	case ScramSHA256Plus:
		return a.newScram(ctx, f, true)
	}
	return nil, ErrUnknownMechanism
}

// passwordExchange is what PLAIN and LOGIN share. It keeps the context because
// sasl.Server has none.
type passwordExchange struct {
	a     *Authenticator
	ctx   context.Context
	facts Facts
	user  store.User
}

func (p *passwordExchange) User() store.User { return p.user }

func (p *passwordExchange) login(address, password string) (err error) {
	p.user, err = p.a.Login(p.ctx, p.facts.Remote, p.facts.Service, address, password)
	return err
}

func (p *passwordExchange) malformed() error {
	return p.a.settle(p.ctx, p.facts.Remote, p.facts.Service, "", ErrMalformed)
}

// plainExchange is PLAIN (RFC 4616).
type plainExchange struct {
	passwordExchange
	server sasl.Server
	asked  bool // the message was well-formed, so an error is the login's
}

func newPlain(p passwordExchange) *plainExchange {
	x := &plainExchange{passwordExchange: p}
	x.server = sasl.NewPlainServer(func(identity, address, password string) error {
		x.asked = true
		if !sameName(identity, address) {
			// Acting for somebody else is a right nobody has here.
			return x.a.settle(x.ctx, x.facts.Remote, x.facts.Service, address, store.ErrBadCredentials)
		}
		return x.login(address, password)
	})
	return x
}

func (x *plainExchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := x.server.Next(response)
	if err != nil && !x.asked {
		err = x.malformed()
	}
	return challenge, done && err == nil, err
}

// loginExchange is LOGIN: two prompts, two answers. The first answer may come as the
// initial response.
type loginExchange struct {
	passwordExchange
	name *string
	done bool
}

func (x *loginExchange) Next(response []byte) ([]byte, bool, error) {
	switch {
	case x.done:
		return nil, false, x.malformed()
	case response == nil:
		return []byte("Username:"), false, nil
	case x.name == nil:
		name := string(response)
		x.name = &name
		return []byte("Password:"), false, nil
	}
	x.done = true
	err := x.login(*x.name, string(response))
	return nil, err == nil, err
}

// sameName reports whether an authorization identity is absent or names the
// one who logs in (RFC 4616 §2).
func sameName(identity, address string) bool {
	if identity == "" || identity == address {
		return true
	}
	i, err1 := store.CanonicalAddress(identity)
	a, err2 := store.CanonicalAddress(address)
	return errors.Join(err1, err2) == nil && i == a
}
