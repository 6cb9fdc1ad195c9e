package auth

import (
	"context"
	"errors"
	"net"

	"github.com/yubin-mail/yubin/store"
)

// tokenAccount stands for the account that a token did not name, where
// failures are counted: from one address, tokens are one account together.
const tokenAccount = "token"

// LoginToken is [Authenticator.Login] with a token instead of a password. A
// success is no event: a program may make many a second.
func (a *Authenticator) LoginToken(ctx context.Context, remote net.Addr, service, secret string) (store.User, store.Token, error) {
	if !a.limiter.mayLogin(remote, tokenAccount) {
		return store.User{}, store.Token{}, a.settle(ctx, remote, service, tokenAccount, ErrThrottled)
	}
	if len(secret) > maxPassword {
		return store.User{}, store.Token{}, a.settle(ctx, remote, service, tokenAccount, store.ErrBadCredentials)
	}
	user, token, err := a.store.AuthenticateToken(ctx, secret)
	if err != nil && !errors.Is(err, context.Canceled) {
		err = a.settle(ctx, remote, service, tokenAccount, err)
	}
	return user, token, err
}
