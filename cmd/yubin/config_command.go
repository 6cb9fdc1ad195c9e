package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	var asJSON bool
	printer := &cobra.Command{
		Use:   "print",
		Short: "Print every setting with its value and where it comes from",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			p.warn(cfg)
			if asJSON {
				return p.printJSON(cfg.asJSON())
			}
			var t table
			for _, k := range cfg.settings.keys() {
				t.row(k.name, cmp.Or(k.masked(), `""`), cfg.origin[k.name])
			}
			return t.print(p.out)
		},
	}
	defineFlags(printer.Flags())
	printer.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration without starting anything",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			p.warn(cfg)
			if cfg.file == "" {
				p.tell("The configuration is fine (no file was read)")
			} else {
				p.tell("The configuration is fine (read from %s)", cfg.file)
			}
			return nil
		},
	}
	defineFlags(check.Flags())
	docs := &cobra.Command{
		Use:    "docs",
		Short:  "Print the table of settings for the documentation",
		Args:   cobra.NoArgs,
		Hidden: true,
		Run:    func(*cobra.Command, []string) { fmt.Fprint(p.out, configDocs()) },
	}
	return parent(&cobra.Command{Use: "config", Short: "See and check the configuration"}, printer, check, docs)
}

// masked is the value for other eyes.
func (k key) masked() string {
	if text := k.shown(); !k.secret || text == "" {
		return text
	}
	return "********"
}

type settingJSON struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
}

func (c *config) asJSON() []settingJSON {
	var list []settingJSON
	for _, k := range c.settings.keys() {
		var value any
		switch p := k.into.(type) {
		case *bool:
			value = *p
		case *int:
			value = *p
		case *[]string:
			value = append([]string{}, *p...)
		default:
			value = k.shown()
		}
		if k.secret {
			value = k.masked()
		}
		list = append(list, settingJSON{k.name, value, c.origin[k.name]})
	}
	return list
}

// configDocs is the registry as a Markdown table.
func configDocs() string {
	var b strings.Builder
	b.WriteString("| key | type | default | environment | since | what it is for |\n|---|---|---|---|---|---|\n")
	var defaults settings
	for _, k := range defaults.keys() {
		value, env := k.value, "`"+k.env()+"`"
		switch k.name {
		case "data_dir":
			value = "~/.local/share/yubin"
		case "hostname":
			value = "the machine's name"
		}
		if value == "" {
			value = "(empty)"
		}
		if k.demo != "" {
			value += "; in demo mode " + k.demo
		}
		if k.secret {
			env += " or `" + k.env() + "_FILE`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.name, k.kind(), value, env, k.since, k.doc)
	}
	return b.String()
}
