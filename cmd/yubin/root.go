package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// A program is one run of yubin: its streams, its language and what it is
// configured to do.
type program struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	getenv  func(string) (string, bool)
	environ []string
	tongue  tongue
	started bool // the command line was understood
}

func (p *program) say(sentence string, args ...any) string { return p.tongue.say(sentence, args...) }

// tell prints a sentence and a line end.
func (p *program) tell(sentence string, args ...any) {
	fmt.Fprintln(p.out, p.say(sentence, args...))
}

// complain says why nothing came of it, a line for each reason.
func (p *program) complain(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			p.complain(one)
		}
		return
	}
	fmt.Fprintf(p.err, "yubin: %s\n", p.explain(err))
}

func terminal(fd int) bool { return term.IsTerminal(fd) }

// root is the tree of commands.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "yubin",
		Short:         "A whole mail system in one program: SMTP in, POP3 and IMAP out",
		Long:          "yubin is a whole mail system in one program: mail comes in by SMTP, is kept in\none store and is read by POP3, by IMAP or in the browser. `yubin demo` shows it at work.",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			p.started = true
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().String("config", "", "Configuration file (YAML); else /etc/yubin/yubin.yaml when it exists.")
	defineFlags(root.PersistentFlags(), everywhere...)
	root.SetFlagErrorFunc(suggestFlag)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: p.say("Running a server:")},
		&cobra.Group{ID: "people", Title: p.say("People and addresses:")},
		&cobra.Group{ID: "look", Title: p.say("Looking into it:")},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", p.serveCommand(), p.demoCommand(), p.backupCommand(), p.configCommand(), p.certCommand(), p.dkimCommand(), p.policyCommand())
	add("people", p.userCommand(), p.aliasCommand(), p.domainCommand(), p.tokenCommand())
	add("look", p.sendCommand(), p.waitCommand(), p.queueCommand(), p.tailCommand(), p.sessionsCommand(), p.doctorCommand(), p.healthcheckCommand())
	root.AddCommand(p.versionCommand(), p.dnsCommand())
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help-command"})
	root.InitDefaultHelpFlag()
	root.InitDefaultCompletionCmd()
	root.SetUsageTemplate(settingsLast(root.UsageTemplate()))
	p.translate(root)
	return root
}

func init() {
	cobra.AddTemplateFunc("own", flagsThat(false))
	cobra.AddTemplateFunc("settings", flagsThat(true))
}

// settingsLast lists a command's own flags first, and then those with which
// every setting can be given: who asks for help should not have to search.
func settingsLast(template string) string {
	const all, more = "{{.LocalFlags.FlagUsages", "{{if .HasHelpSubCommands}}"
	template = strings.Replace(template, all, "{{(own .LocalFlags).FlagUsages", 1)
	return strings.Replace(template, more, "{{with settings .LocalFlags}}{{if .HasAvailableFlags}}\n\nSettings, as in the environment and the file:\n{{.FlagUsages | trimTrailingWhitespaces}}{{end}}{{end}}"+more, 1)
}

// translate puts the help of c and of everything below it into the language
// of the person. What has no translation stays English.
func (p *program) translate(c *cobra.Command) {
	c.Short, c.Long = p.say(c.Short), p.say(c.Long)
	if fits := c.Args; fits != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if fits(c, args) != nil {
				return errors.New(p.say("it is used like this: %s", c.UseLine()))
			}
			return nil
		}
	}
	translate := func(f *pflag.Flag) { f.Usage = p.say(f.Usage) }
	c.PersistentFlags().VisitAll(translate)
	c.Flags().VisitAll(translate)
	if p.tongue == japanese && !c.HasParent() {
		c.SetUsageTemplate(strings.NewReplacer(
			"Usage:", p.say("Usage:"),
			"Aliases:", p.say("Aliases:"),
			"Examples:", p.say("Examples:"),
			"Available Commands:", p.say("Available Commands:"),
			"Additional Commands:", p.say("Additional Commands:"),
			"Global Flags:", p.say("Global Flags:"),
			"Flags:", p.say("Flags:"),
			"Settings, as in the environment and the file:", p.say("Settings, as in the environment and the file:"),
			`Use "{{.CommandPath}} [command] --help" for more information about a command.`,
			p.say(`Use "{{.CommandPath}} [command] --help" for more information about a command.`),
		).Replace(c.UsageTemplate()))
	}
	for _, below := range c.Commands() {
		p.translate(below)
	}
}

// suggestFlag adds the flag that may have been meant.
func suggestFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	name := "--" + unknown.GetSpecifiedName()
	return fmt.Errorf("%w%s", err, cmp.Or(nowCalled(name, func(k key) string { return "--" + k.flag() }), didYouMean(name, known)))
}

// parent makes c a command that only has commands below it.
func parent(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		var known []string
		for _, b := range c.Commands() {
			known = append(known, b.Name())
		}
		slices.Sort(known)
		return exit{exitUsage, fmt.Errorf("unknown command %q for %q%s", args[0], c.CommandPath(), didYouMean(args[0], known))}
	}
	c.AddCommand(below...)
	return c
}

// load reads the configuration for the command c and says what is odd in it.
func (p *program) load(c *cobra.Command) (*config, error) {
	cfg, err := loadConfig(c.Flags(), p.getenv, p.environ)
	if err != nil {
		return nil, err
	}
	if cfg.Lang != "" {
		p.tongue = named(cfg.Lang)
	}
	return cfg, nil
}

func (p *program) warn(cfg *config) {
	for _, w := range cfg.warnings {
		fmt.Fprintln(p.err, "yubin: "+w)
	}
}
