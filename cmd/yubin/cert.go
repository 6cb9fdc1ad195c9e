package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/internal/pki"
)

func tlsDir(cfg *config) string { return filepath.Join(cfg.DataDir, "tls") }

func (p *program) certCommand() *cobra.Command {
	var file string
	export := &cobra.Command{
		Use:     "export",
		Short:   "Print the certificate of the local authority, for clients to trust",
		Example: "  yubin cert export --out yubin-ca.pem\n  curl --cacert yubin-ca.pem imaps://localhost:1993 -u alice@yubin.test:alice",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			if cfg.TLSCert != "" {
				return errors.New(p.say("the server uses your own certificate, %s: there is no local authority to trust", cfg.TLSCert))
			}
			text, err := pki.Public(tlsDir(cfg))
			if errors.Is(err, fs.ErrNotExist) {
				return errors.New(p.say("there is no certificate in %s yet: `yubin serve` makes one, --data-dir names another folder", cfg.DataDir))
			}
			if err != nil {
				return err
			}
			if file == "" {
				_, err = p.out.Write(text)
				return err
			}
			if err := os.WriteFile(file, text, 0o644); err != nil {
				return err
			}
			p.tell("Wrote %s. Clients that trust it accept this server and nothing else.", file)
			return nil
		},
	}
	export.Flags().StringVar(&file, "out", "", "File to write; else standard output.")
	return parent(&cobra.Command{Use: "cert", Short: "The server's certificate"}, export, p.certSeveral())
}

// certSeveral is for demonstrations with several servers that trust each
// other; real ones have an authority that everybody knows.
func (p *program) certSeveral() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "several NAME[,NAME...] ...",
		Short:   "Make one authority and a certificate for each of several servers",
		Example: "  yubin cert several --dir certs mail.alpha.test,mta-sts.alpha.test mail.beta.test,mta-sts.beta.test",
		Hidden:  true,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var servers [][]string
			for _, names := range args {
				servers = append(servers, strings.Split(names, ","))
			}
			return pki.Issue(dir, time.Now(), servers...)
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "Folder for ca.pem and for a file, NAME.pem, for each server.")
	return c
}
