package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

// hashCost is the work behind each password; 0 is the store's default, and
// only tests want less.
var hashCost int

// withStore runs do on the store of the configured folder, whether a server
// runs on it or not. A command that only reads does not make a store that is
// not there: it would answer "nothing" about the wrong folder.
func (p *program) withStore(c *cobra.Command, reads bool, do func(context.Context, *store.Store) error) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	return p.inStore(c.Context(), cfg, reads, do)
}

// inStore is withStore for who has the settings already.
func (p *program) inStore(ctx context.Context, cfg *config, reads bool, do func(context.Context, *store.Store) error) error {
	if err := p.findStore(cfg, reads); err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{Dir: cfg.DataDir, Iterations: hashCost})
	if err != nil {
		return fmt.Errorf("open the mail store in %s: %w", cfg.DataDir, err)
	}
	return errors.Join(do(ctx, s), s.Close())
}

func (p *program) findStore(cfg *config, reads bool) error {
	_, err := os.Stat(filepath.Join(cfg.DataDir, "yubin.db"))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if reads {
		return errors.New(p.say("there is no mail store in %s yet: `yubin serve` makes one, --data-dir names another folder", cfg.DataDir))
	}
	fmt.Fprintln(p.err, p.say("Making a new mail store in %s", cfg.DataDir))
	return os.MkdirAll(cfg.DataDir, 0o700)
}

// about is an error with the thing it is about: an address, mostly.
type about struct {
	subject string
	err     error
}

func (a about) Error() string { return a.subject + ": " + a.err.Error() }
func (a about) Unwrap() error { return a.err }

func of(subject string, err error) error {
	if err == nil {
		return nil
	}
	return about{subject, err}
}

// explain is an error for a person: what happened and, where we know it,
// what to do.
func (p *program) explain(err error) string {
	reason := p.reason(err)
	var a about
	if reason != "" && errors.As(err, &a) {
		return a.subject + ": " + reason
	}
	if reason != "" {
		return reason
	}
	return err.Error()
}

// reason is what a well-known error means, or "".
func (p *program) reason(err error) string {
	var network *net.OpError
	switch {
	case errors.Is(err, store.ErrNoSuchUser):
		return p.say("there is no such user; `yubin user list` shows who there is")
	case errors.Is(err, store.ErrUserExists):
		return p.say("the address is already in use, by a user or by an alias")
	case errors.Is(err, store.ErrBadDomain):
		return p.say("this is not a domain such as example.test: between dots it has 1 to 63 letters, digits and hyphens")
	case errors.Is(err, store.ErrBadAddress):
		return p.say("this is not a mail address such as alice@example.test")
	case errors.Is(err, store.ErrNotLocal):
		return p.say("the domain is not one of ours; `yubin domain add` makes it one")
	case errors.Is(err, store.ErrDomainInUse):
		return p.say("users still have addresses in this domain; remove them first")
	case errors.Is(err, store.ErrNewerSchema):
		return p.say("the mail store was written by a newer yubin; use that version or a backup from before")
	case errors.Is(err, store.ErrFull), errors.Is(err, syscall.ENOSPC):
		return p.say("the disk is full")
	case errors.Is(err, errNoSession):
		return p.say("there is no such session; `yubin sessions list` shows who is connected")
	case errors.Is(err, errAlreadyServing):
		return "" // says all there is to say
	case errors.As(err, &network) && errors.Is(err, syscall.EADDRINUSE):
		return p.say("%s is in use by another program; stop it, or choose another address", network.Addr)
	case errors.As(err, &network) && errors.Is(err, syscall.EACCES):
		return p.say("%s needs more rights than yubin has; use a port above 1023", network.Addr)
	case errors.As(err, &network) && errors.Is(err, syscall.ECONNREFUSED):
		return p.say("nobody answers at %s; is the server running? (`yubin serve`)", network.Addr)
	case errors.Is(err, fs.ErrPermission):
		return p.say("no permission: %s", err)
	case errors.Is(err, context.Canceled):
		return p.say("interrupted")
	}
	return ""
}

// printJSON writes v for a program.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
