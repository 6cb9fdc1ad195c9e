package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/yubin-mail/yubin/store"
)

// HasBinding reports whether a connection can carry -PLUS: the tls-exporter
// binding (RFC 9266) exists on TLS 1.3, and on TLS 1.2 with the extended
// master secret. We do not serve tls-server-end-point, because the SCRAM
// library reads it from the peer's certificates, and a server has none.
func HasBinding(state *tls.ConnectionState) bool {
	_, err := binding(state)
	return err == nil
}

func binding(state *tls.ConnectionState) (scram.ChannelBinding, error) {
	if state == nil || !state.HandshakeComplete {
		return scram.ChannelBinding{}, errors.New("no TLS")
	}
	return scram.NewTLSExporterBinding(state)
}

// scramExchange is SCRAM-SHA-256 (RFC 5802, RFC 7677). The library does the
// arithmetic; what is ours is the order of messages, the limits, and that a
// name nobody has is told from a wrong password by nothing.
//
// After the client's proof the server's own (v=…) goes out as a challenge,
// and the exchange is done when the client has answered it with nothing: the
// mail libraries drop a challenge that comes together with done. We send no
// e=…, because the service's reply says the same.
type scramExchange struct {
	a     *Authenticator
	ctx   context.Context // sasl.Server has none
	facts Facts
	plus  bool

	conversation *scram.ServerConversation
	step         int
	name         string
	credential   store.Credential
	lookupErr    error
	user         store.User
}

func (a *Authenticator) newScram(ctx context.Context, f Facts, plus bool) (Exchange, error) {
	x := &scramExchange{a: a, ctx: ctx, facts: f, plus: plus}
	server, err := scram.SHA256.NewServer(x.lookup)
	if err != nil {
		return nil, fmt.Errorf("start SCRAM: %w", err)
	}
	bound, err := binding(f.TLS)
	switch {
	case plus && err != nil:
		return nil, ErrUnknownMechanism
	case plus:
		x.conversation = server.NewConversationWithChannelBindingRequired(bound)
	case f.PlusOffered && err == nil:
		// Refuses a client that could have used -PLUS but was not told of
		// it (RFC 5802 §6): somebody in between has hidden it.
		x.conversation = server.NewConversationWithChannelBinding(bound)
	default:
		x.conversation = server.NewConversation()
	}
	return x, nil
}

func (x *scramExchange) User() store.User { return x.user }

// Next takes nothing (and asks), client-first, client-final, nothing.
func (x *scramExchange) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && x.step == 0 {
		return []byte{}, false, nil
	}
	x.step++
	switch x.step {
	case 1:
		challenge, err = x.clientFirst(string(response))
	case 2:
		challenge, err = x.clientFinal(string(response))
	case 3:
		if len(response) != 0 {
			err = ErrMalformed
			break
		}
		done = true
	default:
		err = ErrMalformed
	}
	if err == nil && !done {
		return challenge, false, nil
	}
	err = x.a.settle(x.ctx, x.facts.Remote, x.facts.Service, x.name, err)
	if err != nil {
		x.step, x.user = 3, store.User{}
	} else {
		x.a.store.NoteUse(x.user.ID, x.facts.Service)
	}
	return nil, err == nil, err
}

func (x *scramExchange) clientFirst(message string) ([]byte, error) {
	// The mechanism's name and the message must agree on binding.
	if strings.HasPrefix(message, "p=") != x.plus {
		return nil, ErrMalformed
	}
	answer, err := x.conversation.Step(message)
	x.name = x.conversation.Username()
	switch {
	case x.lookupErr != nil:
		return nil, x.lookupErr
	case err != nil:
		return nil, ErrMalformed
	case !sameName(x.conversation.AuthzID(), x.name):
		return nil, store.ErrBadCredentials
	}
	return []byte(answer), nil
}

func (x *scramExchange) lookup(name string) (scram.StoredCredentials, error) {
	x.credential, x.lookupErr = x.find(name)
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(x.credential.Salt), Iters: x.credential.Iterations},
		StoredKey:  x.credential.StoredKey,
		ServerKey:  x.credential.ServerKey,
	}, x.lookupErr
}

func (x *scramExchange) find(name string) (store.Credential, error) {
	if !plausibleName(name) {
		return store.Credential{}, store.ErrBadCredentials
	}
	if !x.a.limiter.mayLogin(x.facts.Remote, name) {
		return store.Credential{}, ErrThrottled
	}
	return x.a.store.Credential(x.ctx, name)
}

func (x *scramExchange) clientFinal(message string) ([]byte, error) {
	// Asked again, so that exchanges begun together do not pass together.
	if !x.a.limiter.mayLogin(x.facts.Remote, x.name) {
		return nil, ErrThrottled
	}
	answer, err := x.conversation.Step(message)
	if err != nil || !x.conversation.Valid() || x.credential.User == 0 {
		return nil, store.ErrBadCredentials
	}
	x.user, err = x.a.store.User(x.ctx, x.credential.User)
	switch {
	case errors.Is(err, store.ErrNoSuchUser), err == nil && x.user.Suspended:
		return nil, store.ErrBadCredentials
	case err != nil:
		return nil, err
	}
	return []byte(answer), nil
}
