package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/yubin-mail/yubin/lab"
)

func (p *program) demoCommand() *cobra.Command {
	var o lab.Options
	var wire, save, against string
	var step bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it at work: a mail goes in by SMTP and comes out by POP3 and IMAP",
		Long:  "Play scenarios with real clients over real sockets and measure what becomes of the\nmail by POP3, by IMAP and in a browser. Needs nothing: the server lives in a temporary folder.",
		Example: "  yubin demo\n  yubin demo --scenario read-sync --wire all\n" +
			"  yubin demo --save report.md\n  yubin demo --scenario two-servers\n  yubin demo --against localhost",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o.Lang, o.Wire = lab.Lang(p.tongue), lab.Wire(wire)
			if step {
				o.Pause = p.pause()
			}
			if o.Wire != lab.WireFold && o.Wire != lab.WireAll && o.Wire != lab.WireNone {
				return exit{exitUsage, fmt.Errorf("--wire: %q is not one of fold, all, none", wire)}
			}
			if slices.Contains(o.Scenarios, twoServersName) {
				if len(o.Scenarios) > 1 || against != "" {
					return exit{exitUsage, errors.New(p.say("two-servers is played alone, and brings its servers along: without --against"))}
				}
				return p.demoTwoServers(c.Context(), o, save)
			}
			p.fit(&o)
			server := remote(against)
			if against == "" {
				e, err := embed(c.Context())
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, e.close()) }()
				server = e.server()
			}
			report, err := lab.Run(c.Context(), server, o, p.out)
			if err != nil {
				return p.labReason(err)
			}
			if save != "" {
				if err := lab.Save(save, report); err != nil {
					return err
				}
				fmt.Fprintln(p.err, p.say("Wrote %s", save))
			}
			return report.Err()
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Scenarios, "scenario", nil, "Play only this one, by name or number; repeat it for several.")
	f.StringVar(&wire, "wire", string(lab.WireFold), "How much of the conversations to print: fold, all or none.")
	f.BoolVar(&o.JSON, "json", false, "Answer as JSON.")
	f.StringVar(&save, "save", "", "File for the report; its ending (md, json or csv) says what kind.")
	f.StringVar(&against, "against", "", "Play on the demonstration server of this host instead.")
	f.BoolVar(&step, "step", false, "Wait for Enter after each step.")
	_ = c.RegisterFlagCompletionFunc("scenario", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names := []string{twoServersName + "\t" + twoServersTitle.In(lab.Lang(p.tongue))}
		for _, s := range lab.Scenarios {
			names = append(names, s.ID+"\t"+s.Title.In(lab.Lang(p.tongue)))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

// demoTwoServers plays the two servers as the options say.
func (p *program) demoTwoServers(ctx context.Context, o lab.Options, save string) error {
	tell := p.out
	if o.JSON {
		tell = io.Discard
	}
	report, err := p.playTwoServers(ctx, twoServersActs, tell, o.Pause)
	if err == nil && o.JSON {
		err = report.WriteJSON(p.out)
	}
	if err == nil && save != "" {
		if err = lab.Save(save, report); err == nil {
			fmt.Fprintln(p.err, p.say("Wrote %s", save))
		}
	}
	if err != nil {
		return err
	}
	return report.err()
}

// fit makes the story fit the terminal it is told on.
func (p *program) fit(o *lab.Options) {
	o.ASCII = !utf8Locale(p.getenv)
	if !isTerminal(p.out) {
		return
	}
	if columns, _, err := term.GetSize(int(p.out.(*os.File).Fd())); err == nil {
		o.Width = columns
	}
	_, plain := p.getenv("NO_COLOR")
	kind, _ := p.getenv("TERM")
	o.Colour = !plain && kind != "dumb" && kind != ""
}

// pause waits for Enter.
func (p *program) pause() func(context.Context) error {
	lines := bufio.NewReader(p.in)
	return func(ctx context.Context) error {
		fmt.Fprint(p.err, p.say("[Enter]"))
		read := make(chan error, 1)
		go func() { // ends with the line, or with the program
			_, err := lines.ReadString('\n')
			read <- err
		}()
		select {
		case err := <-read:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remote is a demonstration server on another host or in a container, at the
// usual ports and with the accounts that every demonstration has.
func remote(host string) lab.Server {
	host = strings.Trim(host, "[]")
	return lab.Server{
		SMTP:       net.JoinHostPort(host, "1025"),
		Submission: net.JoinHostPort(host, "1587"),
		POP3:       net.JoinHostPort(host, "1110"),
		IMAP:       net.JoinHostPort(host, "1143"),
		Web:        net.JoinHostPort(host, "8025"),
		Shared:     true,
		Account: func(_ context.Context, role string) (lab.Account, error) {
			u := demoUsers[0]
			if role == "bob" {
				u = demoUsers[1]
			}
			return lab.Account{Address: u.Address, Password: u.Password}, nil
		},
	}
}

func (p *program) labReason(err error) error {
	switch {
	case errors.Is(err, lab.ErrNoSuchScenario):
		var names []string
		for _, s := range lab.Scenarios {
			names = append(names, s.ID)
		}
		names = append(names, twoServersName)
		return exit{exitUsage, errors.New(p.say("there is no such scenario; there are: %s", strings.Join(names, ", ")))}
	case errors.Is(err, lab.ErrNotEmpty):
		return errors.New(p.say("the inboxes of alice and bob must be empty first: the scenarios would download and delete what is in them"))
	}
	return err
}
