package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// An embedded server lives as long as one demonstration, on free loopback
// ports and in a temporary folder.
type embedded struct {
	node *node
	run  runFile
	dir  string
}

// embed starts one. The person's own settings have no part in it, so that a
// demonstration shows the same everywhere.
func embed(ctx context.Context) (*embedded, error) {
	dir, err := os.MkdirTemp("", "yubin-demo-")
	if err != nil {
		return nil, err
	}
	e := &embedded{dir: dir}
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	defineFlags(flags)
	err = flags.Parse([]string{
		"--demo", "--data-dir", dir, "--hostname", "mail." + demoDomain, "--wiretap-enabled=false",
		"--smtp-addr", "127.0.0.1:0", "--submission-addr", "127.0.0.1:0", "--submissions-addr=",
		"--pop3-addr", "127.0.0.1:0", "--pop3s-addr=", "--imap-addr", "127.0.0.1:0", "--imaps-addr=", "--http-addr", "127.0.0.1:0", "--web-undo-send=0s", "--https-addr=", "--admin-addr=",
	})
	var cfg *config
	if err == nil {
		cfg, err = loadConfig(flags, func(name string) (string, bool) {
			return os.DevNull, name == "YUBIN_CONFIG"
		}, nil)
	}
	if err == nil {
		e.node, err = start(ctx, cfg, slog.DiscardHandler)
	}
	if err == nil {
		e.run, err = readRunFile(dir)
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// server is the embedded server as the lab sees it: every role gets an
// account of its own.
func (e *embedded) server() lab.Server {
	return lab.Server{
		SMTP:       e.run.reach("smtp"),
		Submission: e.run.reach("submission"),
		POP3:       e.run.reach("pop3"),
		IMAP:       e.run.reach("imap"),
		Web:        e.run.reach("http"),
		Account: func(ctx context.Context, role string) (lab.Account, error) {
			a := lab.Account{Address: role + "@" + demoDomain, Password: rand.Text()}
			u, err := e.node.store.CreateUser(ctx, store.NewUser{Address: a.Address, Password: a.Password})
			if errors.Is(err, store.ErrUserExists) {
				// bob, whom every demonstration has.
				if u, err = e.node.store.UserByAddress(ctx, a.Address); err == nil {
					_, err = e.node.store.UpdateUser(ctx, u.ID, store.UserChange{Password: &a.Password})
				}
			}
			return a, err
		},
	}
}

func (e *embedded) close() error {
	var err error
	if e.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		err = e.node.stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}
