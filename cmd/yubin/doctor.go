package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// How bad a finding is.
type grade string

const (
	good    grade = "ok"
	skipped grade = "skipped"
	warning grade = "warning"
	bad     grade = "problem"
)

// A finding is one thing the doctor looked at: what it is, why it matters,
// and exactly what to type next.
type finding struct {
	Group string `json:"group"`
	Grade grade  `json:"grade"`
	What  string `json:"what"`
	Why   string `json:"why,omitempty"`
	Next  string `json:"next,omitempty"`
}

// A doctor looks at one data folder and whatever runs on it.
type doctor struct {
	*program
	cfg      *config
	live     *runFile // nil when no server runs
	user     string   // whose account the round trip uses
	password string

	group    string
	findings []finding
}

func (d *doctor) find(g grade, what, why, next string) {
	d.findings = append(d.findings, finding{d.group, g, what, why, next})
}

func (p *program) doctorCommand() *cobra.Command {
	var user string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the server and say what to do",
		Long: "Check ports, storage, TLS and, with an account, the way of a mail through the running\n" +
			"server. Exits 0 when all is well, 1 with warnings, 2 with problems.",
		Example: "  yubin doctor\n  YUBIN_PASSWORD=secret yubin doctor --user alice@example.test",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return exit{exitUsage, err}
			}
			d := &doctor{program: p, cfg: cfg, user: user}
			if user != "" {
				secret, ok := p.getenv("YUBIN_PASSWORD")
				if !ok {
					if secret, err = p.askPassword(user); err != nil {
						return err
					}
				}
				d.password = secret
			}
			d.examine(c.Context())
			if asJSON {
				err = p.printJSON(d.findings)
			} else {
				d.report()
			}
			if err != nil {
				return err
			}
			return d.verdict()
		},
	}
	defineFlags(c.Flags())
	c.Flags().StringVar(&user, "user", "", "Account for the round trip; the password comes from YUBIN_PASSWORD or a prompt.")
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

// examine looks at everything, in the order in which a newcomer meets it.
func (d *doctor) examine(ctx context.Context) {
	if r, err := d.server(d.cfg); err == nil {
		d.live = &r
		if r.Demo && d.user == "" {
			d.user, d.password = demoUsers[0].Address, demoUsers[0].Password
		}
	}
	for _, g := range []struct {
		name  string
		check func(context.Context)
	}{
		{d.say("Settings"), d.settings},
		{d.say("Ports"), d.ports},
		{d.say("Storage"), d.storage},
		{d.say("TLS"), d.tls},
		{"MTA-STS", d.policy},
		{d.say("Exposure"), d.exposure},
		{d.say("Round trip"), d.roundTrip},
	} {
		d.group = g.name
		g.check(ctx)
	}
}

// report prints the findings by group.
func (d *doctor) report() {
	ok, warn, wrong, next := marks(d.getenv)
	sign := map[grade]string{good: ok, warning: warn, bad: wrong, skipped: "-"}
	count := map[grade]int{}
	group := ""
	for _, f := range d.findings {
		count[f.Grade]++
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(d.out, "%s\n", group)
		}
		fmt.Fprintf(d.out, "  %s %s\n", sign[f.Grade], f.What)
		indent := "    " + strings.Repeat(" ", len([]rune(sign[f.Grade]))-1)
		if f.Why != "" {
			fmt.Fprintf(d.out, "%s%s\n", indent, f.Why)
		}
		if f.Next != "" {
			fmt.Fprintf(d.out, "%s%s %s\n", indent, next, f.Next)
		}
	}
	fmt.Fprintf(d.out, "\n%d %s  %d %s  %d %s\n", count[good], ok, count[warning], warn, count[bad], wrong)
}

// verdict is the exit code.
func (d *doctor) verdict() error {
	code := exitOK
	for _, f := range d.findings {
		switch f.Grade {
		case warning:
			code = max(code, 1)
		case bad:
			code = max(code, 2)
		}
	}
	if code == exitOK {
		return nil
	}
	return exit{code: code}
}
