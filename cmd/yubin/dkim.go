package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/message"
)

func (p *program) dkimCommand() *cobra.Command {
	generate := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Make the first keys of a domain, which sign from now on",
		Args:  cobra.ExactArgs(1),
		RunE: p.withKeys(func(k *mailauth.Keyring, args []string) error {
			keys, err := k.Generate(args[0], time.Now())
			if err != nil {
				return p.keyError(args[0], err)
			}
			p.remark(p.say("These records belong in DNS:"))
			p.printKeys(keys)
			return nil
		}),
	}
	show := &cobra.Command{
		Use:   "show [DOMAIN]",
		Short: "Print the DNS records of all keys",
		Args:  cobra.MaximumNArgs(1),
		RunE: p.withKeys(func(k *mailauth.Keyring, args []string) error {
			domains := args
			if len(args) == 0 {
				var err error
				if domains, err = k.Domains(); err != nil {
					return err
				}
			}
			for _, d := range domains {
				keys, err := k.List(d)
				if err == nil && len(keys) == 0 {
					err = mailauth.ErrNoKeys
				}
				if err != nil {
					return p.keyError(d, err)
				}
				p.printKeys(keys)
			}
			return nil
		}),
	}
	check := &cobra.Command{
		Use:   "check FILE",
		Short: "Verify the signatures of a mail in a file; - reads standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.checkMail(c, cfg, args[0])
		},
	}
	return parent(&cobra.Command{Use: "dkim", Short: "Keys that sign outgoing mail"}, generate, show, p.dkimRotate(), check)
}

func (p *program) dkimRotate() *cobra.Command {
	var unchecked bool
	c := &cobra.Command{
		Use:   "rotate DOMAIN",
		Short: "Change to new keys: once to make them, again when they are in DNS",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&unchecked, "unchecked", false, "Sign with the new keys without a look into DNS.")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := p.load(c)
		if err != nil {
			return err
		}
		k := cfg.keyring()
		keys, err := k.Prepare(args[0], time.Now())
		if err == nil {
			p.remark(p.say("These records belong in DNS; run the same command again when they are there:"))
			p.printKeys(keys)
			return nil
		}
		if !errors.Is(err, mailauth.ErrHasKeys) {
			return p.keyError(args[0], err)
		}
		if keys, err = k.List(args[0]); err != nil {
			return err
		}
		for _, key := range keys {
			if key.State != mailauth.Next || unchecked {
				continue
			}
			ok, err := key.Published(c.Context(), cfg.checkResolver())
			if err == nil && !ok {
				err = errors.New(p.say("not in DNS yet; --unchecked changes all the same"))
			}
			if err != nil {
				return of(key.Name(), err)
			}
		}
		if err := k.Activate(args[0]); err != nil {
			return p.keyError(args[0], err)
		}
		p.tell("The new keys sign. Leave the old records in DNS for a week.")
		return nil
	}
	return c
}

// withKeys is what a command does that needs the keys only.
func (p *program) withKeys(do func(*mailauth.Keyring, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cfg, err := p.load(c)
		if err != nil {
			return err
		}
		return do(cfg.keyring(), args)
	}
}

// keyError says what is wrong with a domain's keys.
func (p *program) keyError(domain string, err error) error {
	switch {
	case errors.Is(err, mailauth.ErrHasKeys):
		err = errors.New(p.say("the domain has keys already; `yubin dkim rotate` changes them"))
	case errors.Is(err, mailauth.ErrNoKeys):
		err = errors.New(p.say("the domain has no keys; `yubin dkim generate` makes them"))
	case errors.Is(err, mailauth.ErrNoDomain):
		err = errors.New(p.say("that is no name of a domain"))
	}
	return of(domain, err)
}

// remark is a sentence between records, as a zone file has it.
func (p *program) remark(sentence string) { fmt.Fprintln(p.out, ";", sentence) }

// printKeys prints records as a zone file has them; what is no record is a
// comment there.
func (p *program) printKeys(keys []mailauth.StoredKey) {
	for _, k := range keys {
		fmt.Fprintf(p.out, "; %s %s\n%s", k.Kind(), k.State, k.DNSRecord())
	}
}

// maxCheck is the largest mail that is checked from a file.
const maxCheck = 100 << 20

func (p *program) checkMail(c *cobra.Command, cfg *config, name string) error {
	in := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(message.NewCanonicalReader(in), maxCheck))
	if err != nil {
		return of(name, err)
	}
	v := &mailauth.Verifier{Resolver: cfg.checkResolver(), Hostname: cfg.Hostname}
	r, err := v.CheckSignatures(c.Context(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return of(name, err)
	}
	_, err = p.out.Write(bytes.ReplaceAll(r.Header(), []byte("\r\n"), []byte("\n")))
	return err
}
