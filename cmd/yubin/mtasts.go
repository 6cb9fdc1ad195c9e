package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// policyHost is where a domain's policy is looked for (RFC 8461 §3.3).
func policyHost(domain string) string { return "mta-sts." + domain }

// policy is what we ask of those who bring us mail (RFC 8461 §3.2); "" is
// that we have none.
func (s *settings) policy() string {
	if s.MTASTSMode == "" {
		return ""
	}
	servers := s.MTASTSServers
	if len(servers) == 0 {
		servers = []string{s.Hostname}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\r\nmode: %s\r\n", s.MTASTSMode)
	for _, name := range servers {
		fmt.Fprintf(&b, "mx: %s\r\n", strings.ToLower(name))
	}
	fmt.Fprintf(&b, "max_age: %d\r\n", int64(s.MTASTSMaxAge/time.Second))
	return b.String()
}

// policyRecord says in DNS that there is a policy, and by its id which one
// (RFC 8461 §3.1).
func (s *settings) policyRecord(domain string) string {
	sum := sha256.Sum256([]byte(s.policy()))
	return fmt.Sprintf("_mta-sts.%s. TXT \"v=STSv1; id=%s\"", domain, hex.EncodeToString(sum[:8]))
}

// checkPolicy refuses what would be no policy.
func (s *settings) checkPolicy() error {
	const year = 31557600 * time.Second // RFC 8461 §3.2
	if s.MTASTSMode != "" && (s.MTASTSMaxAge < time.Second || s.MTASTSMaxAge > year) {
		return of("mta_sts.max_age", fmt.Errorf("%s is not between a second and a year", s.MTASTSMaxAge))
	}
	for _, name := range s.MTASTSServers {
		if strings.Trim(strings.TrimPrefix(strings.ToLower(name), "*."), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || name == "" {
			return of("mta_sts.mx", fmt.Errorf("%q is not the name of a server", name))
		}
	}
	return nil
}

func (p *program) policyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "mta-sts [DOMAIN ...]",
		Short: "Print the DNS records that announce the policy for mail to us",
		Long: "Print the DNS records that announce the policy of mta_sts.mode, for the domains named or for all of 'domains'.\n" +
			"The server itself serves the policy on https.addr, under the name mta-sts.DOMAIN.",
		RunE: func(c *cobra.Command, domains []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			if cfg.MTASTSMode == "" {
				return errors.New(p.say("there is no policy; mta_sts.mode sets one"))
			}
			if len(domains) == 0 {
				domains = cfg.Domains
			}
			for _, d := range domains {
				fmt.Fprintf(p.out, "%s\n%s. CNAME %s.\n; https://%s/.well-known/mta-sts.txt\n", cfg.policyRecord(d), policyHost(d), cfg.Hostname, policyHost(d))
			}
			for line := range strings.Lines(cfg.policy()) {
				fmt.Fprintf(p.out, ";   %s\n", strings.TrimSpace(line))
			}
			return nil
		},
	}
}

// policy is whether others can get at our policy, and fulfil it.
func (d *doctor) policy(context.Context) {
	if d.cfg.MTASTSMode == "" {
		return
	}
	if d.cfg.HTTPSAddr == "" {
		d.find(warning, d.say("the policy for mail to us (MTA-STS) is served nowhere"), d.say("Other servers must find it at port 443."), "YUBIN_HTTPS_ADDR=:443")
	}
	leaf, err := d.leaf()
	if err != nil {
		return // said under TLS
	}
	for _, domain := range d.cfg.Domains {
		if leaf.VerifyHostname(policyHost(domain)) != nil {
			d.find(warning, d.say("the certificate is not for %s", policyHost(domain)), d.say("Other servers do not believe the policy."), d.say("restart the server, or get a certificate with that name"))
		}
	}
	if d.cfg.TLSCert == "" && d.cfg.MTASTSMode == "enforce" {
		d.find(warning, d.say("the policy asks for a certificate that everybody can verify, and this server's is its own"),
			d.say("Servers that follow the policy bring no mail."), "tls.cert, tls.key")
		return
	}
	d.find(good, d.say("other servers are told to use TLS (MTA-STS: %s)", d.cfg.MTASTSMode), "", "yubin mta-sts")
}
