package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// demoDomain and demoUsers are what a demonstration has.
const demoDomain = "yubin.test"

var demoUsers = []store.NewUser{
	{Address: "alice@" + demoDomain, Name: "Alice", Password: "alice", Tap: true, Admin: true},
	{Address: "bob@" + demoDomain, Name: "Bob", Password: "bob", Tap: true},
}

// pause is how long a failed login waits at first; in a demonstration people
// try things out.
func (c *config) pause() time.Duration {
	if c.Demo {
		return -1
	}
	return 0
}

// seed puts into the store what the configuration asks for and is not there.
func (n *node) seed(ctx context.Context) error {
	for _, domain := range n.cfg.Domains {
		if err := n.store.AddDomain(ctx, domain); err != nil {
			return of("domains: "+domain, err)
		}
	}
	for _, entry := range n.cfg.Users {
		address, password, ok := strings.Cut(entry, ":")
		if !ok || password == "" {
			return fmt.Errorf("users: an entry is not of the form address:password (from %s)", n.cfg.origin["users"])
		}
		if _, err := n.store.UserByAddress(ctx, address); err == nil {
			continue // its password may have been changed since
		}
		if _, err := n.store.CreateUser(ctx, store.NewUser{Address: address, Password: password}); err != nil {
			return of("users: "+address, err)
		}
		n.log.Info("user added", "user", address)
	}
	if n.cfg.Demo {
		return n.seedDemo(ctx)
	}
	return n.suspendDemo(ctx)
}

// seedDemo makes the demonstration's users what the documentation says.
func (n *node) seedDemo(ctx context.Context) error {
	for _, want := range demoUsers {
		_, err := n.store.Authenticate(ctx, want.Address, want.Password)
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrBadCredentials) {
			return of(want.Address, err)
		}
		u, err := n.store.UserByAddress(ctx, want.Address)
		if errors.Is(err, store.ErrNoSuchUser) || errors.Is(err, store.ErrNotLocal) {
			_, err = n.store.CreateUser(ctx, want)
		} else if err == nil {
			active := false
			_, err = n.store.UpdateUser(ctx, u.ID, store.UserChange{Password: &want.Password, Suspended: &active})
		}
		if err != nil {
			return of(want.Address, err)
		}
	}
	return nil
}

// suspendDemo locks out the demonstration's users when the folder of a
// demonstration has become the folder of a real server: everybody knows
// their passwords.
func (n *node) suspendDemo(ctx context.Context) error {
	for _, known := range demoUsers {
		u, err := n.store.Authenticate(ctx, known.Address, known.Password)
		if errors.Is(err, store.ErrBadCredentials) {
			continue
		}
		if err == nil {
			suspended := true
			_, err = n.store.UpdateUser(ctx, u.ID, store.UserChange{Suspended: &suspended})
		}
		if err != nil {
			return of(known.Address, err)
		}
		n.log.Warn("suspended a user of the demonstration, whose password everybody knows",
			"user", u.Address, "next", "yubin user passwd "+u.Address+" && yubin user set "+u.Address+" --suspend=false")
	}
	return nil
}
