package main

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

func (p *program) aliasCommand() *cobra.Command {
	var asJSON bool
	add := &cobra.Command{
		Use:   "add ALIAS TARGET",
		Short: "Make an address lead to a user; repeat it for several",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, false, func(ctx context.Context, s *store.Store) error {
				if err := s.AddAlias(ctx, args[0], args[1]); err != nil {
					return of(args[0]+" → "+args[1], err)
				}
				p.tell("%s now leads to %s", args[0], args[1])
				return nil
			})
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the aliases",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				aliases, err := s.Aliases(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					type alias struct {
						Address string   `json:"address"`
						Targets []string `json:"targets"`
					}
					list := []alias{}
					for _, a := range aliases {
						list = append(list, alias(a))
					}
					return p.printJSON(list)
				}
				if len(aliases) == 0 {
					p.tell("There are no aliases yet. Add one: yubin alias add info@example.test alice@example.test")
					return nil
				}
				var t table
				t.head(p.say("ALIAS\tLEADS TO"))
				for _, a := range aliases {
					t.row(a.Address, strings.Join(a.Targets, ", "))
				}
				return t.print(p.out)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	rm := &cobra.Command{
		Use:   "rm ALIAS [TARGET]",
		Short: "Remove an alias, or one of its targets",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				if err := s.RemoveAlias(ctx, args[0], strings.Join(args[1:], "")); err != nil {
					return of(args[0], err)
				}
				p.tell("Removed %s", args[0])
				return nil
			})
		},
	}
	return parent(&cobra.Command{Use: "alias", Short: "Addresses that lead to users"}, add, list, rm)
}

func (p *program) domainCommand() *cobra.Command {
	var asJSON bool
	var catchAll string
	add := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Receive mail for a domain",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, false, func(ctx context.Context, s *store.Store) error {
				err := s.AddDomain(ctx, args[0])
				if err == nil && c.Flags().Changed("catch-all") {
					err = s.SetCatchAll(ctx, args[0], catchAll)
				}
				if err != nil {
					return of(args[0], err)
				}
				p.tell("Mail for %s is received here", args[0])
				return nil
			})
		},
	}
	add.Flags().StringVar(&catchAll, "catch-all", "", "Address that takes what nobody else in the domain does; empty for none.")
	list := &cobra.Command{
		Use:   "list",
		Short: "List the domains",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				domains, err := s.Domains(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					type domain struct {
						Name     string `json:"name"`
						CatchAll string `json:"catch_all,omitempty"`
						Users    int    `json:"users"`
					}
					list := []domain{}
					for _, d := range domains {
						list = append(list, domain(d))
					}
					return p.printJSON(list)
				}
				if len(domains) == 0 {
					p.tell("There are no domains yet. Add one: yubin domain add example.test")
					return nil
				}
				var t table
				t.head(p.say("DOMAIN\tUSERS\tCATCH-ALL"))
				for _, d := range domains {
					t.row(d.Name, strconv.Itoa(d.Users), cmp.Or(d.CatchAll, "-"))
				}
				return t.print(p.out)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	rm := &cobra.Command{
		Use:   "rm DOMAIN",
		Short: "Stop receiving mail for a domain; its aliases go too",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				if err := s.RemoveDomain(ctx, args[0]); err != nil {
					return of(args[0], err)
				}
				p.tell("Mail for %s is no longer received here", args[0])
				return nil
			})
		},
	}
	return parent(&cobra.Command{Use: "domain", Short: "Domains we receive mail for"}, add, list, rm)
}
