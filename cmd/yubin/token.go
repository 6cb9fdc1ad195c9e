package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/webd"
)

func (p *program) tokenCommand() *cobra.Command {
	return parent(&cobra.Command{Use: "token", Short: "Tokens with which programs use the API"},
		p.tokenAdd(), p.tokenList(), p.tokenRm())
}

// withUser runs do on the store and the user of an address.
func (p *program) withUser(c *cobra.Command, address string, do func(context.Context, *store.Store, store.User) error) error {
	return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
		u, err := s.UserByAddress(ctx, address)
		if err != nil {
			return of(address, err)
		}
		return do(ctx, s, u)
	})
}

func (p *program) tokenAdd() *cobra.Command {
	var name string
	var scopes []string
	var lasts time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:     "add ADDRESS",
		Short:   "Make a token for a user and print it; it cannot be shown again",
		Example: "  yubin token add alice@example.test --scope read,send --name tests --for 720h",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			for _, scope := range scopes {
				if !slices.Contains(webd.Scopes, scope) {
					return exit{exitUsage, fmt.Errorf("--scope: %q is not one of %s", scope, strings.Join(webd.Scopes, ", "))}
				}
			}
			return p.withUser(c, args[0], func(ctx context.Context, s *store.Store, u store.User) error {
				var expires time.Time
				if lasts > 0 {
					expires = time.Now().Add(lasts)
				}
				secret, made, err := s.CreateToken(ctx, u.ID, name, scopes, expires)
				if err != nil {
					return of(args[0], err)
				}
				if asJSON {
					return p.printJSON(struct {
						tokenJSON
						Token string `json:"token"`
					}{newTokenJSON(made), secret})
				}
				p.tell("Token: %s", secret)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringSliceVar(&scopes, "scope", []string{"read"}, "What it allows: read, send, admin; repeat it for several.")
	f.StringVar(&name, "name", "", "What it is for.")
	f.DurationVar(&lasts, "for", 0, "How long it is good, such as 720h; 0 is for ever.")
	f.BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

type tokenJSON struct {
	ID      store.TokenID `json:"id"`
	Name    string        `json:"name"`
	Scopes  []string      `json:"scopes"`
	Created time.Time     `json:"created"`
	Expires time.Time     `json:"expires,omitzero"`
	Used    time.Time     `json:"used,omitzero"`
}

func newTokenJSON(t store.Token) tokenJSON {
	return tokenJSON{t.ID, t.Name, t.Scopes, t.Created.UTC(), t.Expires, t.Used}
}

func (p *program) tokenList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list ADDRESS",
		Short: "List a user's tokens",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withUser(c, args[0], func(ctx context.Context, s *store.Store, u store.User) error {
				all, err := s.Tokens(ctx, u.ID)
				if err != nil {
					return err
				}
				if asJSON {
					list := []tokenJSON{}
					for _, t := range all {
						list = append(list, newTokenJSON(t))
					}
					return p.printJSON(list)
				}
				if len(all) == 0 {
					p.tell("There are no tokens.")
					return nil
				}
				var rows table
				rows.head(p.say("ID\tALLOWS\tENDS\tLAST USED\tFOR"))
				for _, t := range all {
					rows.row(strconv.FormatInt(int64(t.ID), 10), strings.Join(t.Scopes, ","), lately(t.Expires), lately(t.Used), printable(t.Name))
				}
				return rows.print(p.out)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

func (p *program) tokenRm() *cobra.Command {
	return &cobra.Command{
		Use:   "rm ADDRESS ID",
		Short: "Make a token worthless at once",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withUser(c, args[0], func(ctx context.Context, s *store.Store, u store.User) error {
				id, err := strconv.ParseInt(args[1], 10, 64)
				gone := false
				if err == nil {
					gone, err = s.RemoveToken(ctx, u.ID, store.TokenID(id))
				}
				if err != nil || !gone {
					return of(args[1], errors.New(p.say("there is no such token; `yubin token list` shows which there are")))
				}
				p.tell("Removed %s", args[1])
				return nil
			})
		},
	}
}
