package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

func (p *program) userCommand() *cobra.Command {
	return parent(&cobra.Command{Use: "user", Short: "Add, list, change and remove users"},
		p.userAdd(), p.userList(), p.userSet(), p.userPasswd(), p.userRm())
}

func (p *program) userAdd() *cobra.Command {
	var name string
	var limits userLimits
	var password passwordSource
	var asJSON bool
	c := &cobra.Command{
		Use:     "add ADDRESS",
		Short:   "Add a user; the domain is added when it is new",
		Example: "  yubin user add alice@example.test\n  yubin user add alice@example.test --password-stdin <secret",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			change, err := limits.change(c)
			if err != nil {
				return err
			}
			return p.withStore(c, false, func(ctx context.Context, s *store.Store) error {
				secret, generated, err := p.password(password)
				if err != nil {
					return err
				}
				n := store.NewUser{Address: args[0], Name: name, Password: secret, Tap: limits.tap, Admin: limits.admin}
				if change.Quota != nil {
					n.Quota = *change.Quota
				}
				if change.POP3 != nil {
					n.POP3 = *change.POP3
				}
				u, err := s.CreateUser(ctx, n)
				if errors.Is(err, store.ErrUserExists) {
					if there, _ := s.UserByAddress(ctx, args[0]); there.Suspended {
						return errors.New(p.say("%s is suspended; `yubin user set %s --suspend=false` lets them log in again", there.Address, there.Address))
					}
				}
				if err != nil {
					return of(args[0], err)
				}
				if !generated {
					secret = ""
				}
				if asJSON {
					return p.printJSON(struct {
						Address  string `json:"address"`
						Password string `json:"password,omitempty"`
					}{u.Address, secret})
				}
				p.tell("Added %s", u.Address)
				p.tellPassword(secret)
				return nil
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "Name of the person, as it appears in From.")
	limits.define(c)
	password.define(c)
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

func (p *program) userList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				users, err := s.Users(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return p.printJSON(usersAsJSON(users))
				}
				if len(users) == 0 {
					p.tell("There are no users yet. Add one: yubin user add alice@example.test")
					return nil
				}
				var t table
				t.head(p.say("ADDRESS\tUSED\tQUOTA\tPOP3\tLAST POP3\tLAST IMAP\tLAST WEB\tNOTES"))
				for _, u := range users {
					quota := "-"
					if u.Quota > 0 {
						quota = size(u.Quota).rough()
					}
					t.row(u.Address, size(u.Used).rough(), quota, u.POP3.String(), lately(u.Last.POP3), lately(u.Last.IMAP), lately(u.Last.Web), p.notes(u))
				}
				return t.print(p.out)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

func (p *program) notes(u store.User) string {
	var notes []string
	if u.Name != "" {
		notes = append(notes, u.Name)
	}
	if u.Admin {
		notes = append(notes, p.say("administrator"))
	}
	if u.Suspended {
		notes = append(notes, p.say("suspended"))
	}
	if u.Tap {
		notes = append(notes, p.say("conversations recorded"))
	}
	return strings.Join(notes, ", ")
}

type userJSON struct {
	Address   string `json:"address"`
	Name      string `json:"name,omitempty"`
	Used      int64  `json:"used"`
	Quota     int64  `json:"quota"`
	POP3      string `json:"pop3"`
	Suspended bool   `json:"suspended"`
	Admin     bool   `json:"admin"`
	Tap       bool   `json:"tap"`
	Created   string `json:"created"`
	LastPOP3  string `json:"last_pop3,omitempty"`
	LastIMAP  string `json:"last_imap,omitempty"`
	LastWeb   string `json:"last_web,omitempty"`
}

func usersAsJSON(users []store.User) []userJSON {
	list := []userJSON{}
	for _, u := range users {
		list = append(list, userJSON{u.Address, u.Name, u.Used, u.Quota, u.POP3.String(), u.Suspended, u.Admin, u.Tap,
			timeText(u.Created), timeText(u.Last.POP3), timeText(u.Last.IMAP), timeText(u.Last.Web)})
	}
	return list
}

// timeText writes a time for programs, or "" for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// lately writes when something was, or "-" for never.
func lately(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (p *program) userSet() *cobra.Command {
	var name string
	var suspend bool
	var limits userLimits
	c := &cobra.Command{
		Use:     "set ADDRESS",
		Short:   "Change a user's quota, POP3 policy and rights",
		Example: "  yubin user set alice@example.test --quota 1GB --pop3 keep-days:14\n  yubin user set alice@example.test --suspend=false",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			change, err := limits.change(c)
			if err != nil {
				return err
			}
			if c.Flags().Changed("name") {
				change.Name = &name
			}
			if c.Flags().Changed("suspend") {
				change.Suspended = &suspend
			}
			if change == (store.UserChange{}) {
				return exit{exitUsage, errors.New(p.say("nothing to change: give at least one flag, see `yubin user set --help`"))}
			}
			return p.changeUser(c, args[0], change)
		},
	}
	c.Flags().StringVar(&name, "name", "", "Name of the person, as it appears in From.")
	c.Flags().BoolVar(&suspend, "suspend", false, "Refuse logins; mail still arrives. --suspend=false lifts it.")
	limits.define(c)
	return c
}

func (p *program) changeUser(c *cobra.Command, address string, change store.UserChange) error {
	return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
		u, err := s.UserByAddress(ctx, address)
		if err == nil {
			u, err = s.UpdateUser(ctx, u.ID, change)
		}
		if err != nil {
			return of(address, err)
		}
		p.tell("Changed %s", u.Address)
		return nil
	})
}

func (p *program) userPasswd() *cobra.Command {
	var password passwordSource
	c := &cobra.Command{
		Use:   "passwd ADDRESS",
		Short: "Give a user a new password; open sessions end",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			secret, generated, err := p.password(password)
			if err != nil {
				return err
			}
			if err := p.changeUser(c, args[0], store.UserChange{Password: &secret}); err != nil {
				return err
			}
			if generated {
				p.tellPassword(secret)
			}
			return nil
		},
	}
	password.define(c)
	return c
}

func (p *program) userRm() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rm ADDRESS",
		Short: "Remove a user with all mail",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				u, err := s.UserByAddress(ctx, args[0])
				if err != nil {
					return of(args[0], err)
				}
				if !yes {
					if err := p.confirm(u); err != nil {
						return err
					}
				}
				if err := s.DeleteUser(ctx, u.ID); err != nil {
					return of(args[0], err)
				}
				p.tell("Removed %s", u.Address)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "Do not ask.")
	return c
}

// confirm lets a person at a terminal type the address again.
func (p *program) confirm(u store.User) error {
	if !isTerminal(p.in) {
		return errors.New(p.say("this removes all mail of %s: add --yes if you mean it", u.Address))
	}
	fmt.Fprint(p.err, p.say("This removes %s and %s of mail. Type the address to go on: ", u.Address, size(u.Used).rough()))
	line, _ := bufio.NewReader(p.in).ReadString('\n')
	if strings.TrimSpace(line) != u.Address {
		return errors.New(p.say("nothing has been removed"))
	}
	return nil
}

// userLimits are the flags that user add and user set share.
type userLimits struct {
	quota, pop3 string
	tap, admin  bool
}

func (l *userLimits) define(c *cobra.Command) {
	c.Flags().StringVar(&l.quota, "quota", "", "Room for mail, such as 1GB; 0 is no limit.")
	c.Flags().StringVar(&l.pop3, "pop3", "", "What deleting by POP3 does: delete, keep, keep-days:N or trash.")
	c.Flags().BoolVar(&l.admin, "admin", false, "The user may manage users, mail and settings in the browser.")
	c.Flags().BoolVar(&l.tap, "tap", false, "The user agrees to have conversations recorded for 'yubin tail'.")
}

func (l *userLimits) change(c *cobra.Command) (store.UserChange, error) {
	var change store.UserChange
	if c.Flags().Changed("quota") {
		q, err := parseSize(l.quota)
		if err != nil {
			return change, exit{exitUsage, fmt.Errorf("--quota: %w", err)}
		}
		octets := int64(q)
		change.Quota = &octets
	}
	if c.Flags().Changed("pop3") {
		policy, err := store.ParsePOP3Policy(l.pop3)
		if err != nil {
			return change, exit{exitUsage, fmt.Errorf("--pop3: %w", err)}
		}
		change.POP3 = &policy
	}
	if c.Flags().Changed("tap") {
		change.Tap = &l.tap
	}
	if c.Flags().Changed("admin") {
		change.Admin = &l.admin
	}
	return change, nil
}
