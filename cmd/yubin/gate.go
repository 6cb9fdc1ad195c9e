package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/store"
)

// gate is what the settings say about mail of strangers; nil takes it as it
// comes. remember opens a memory of the store.
func (s *settings) gate(remember func(kind string, bounds store.Bounds) (*store.Memory, error)) (*mailauth.Gate, error) {
	policies, err := s.policies()
	if err != nil {
		return nil, err
	}
	resolver := s.checkResolver()
	g := &mailauth.Gate{Policy: func(domain string) mailauth.Policy {
		if p, ok := policies[domain]; ok {
			return p
		}
		return policies[""]
	}}
	if g.Trusted, err = s.trustedNetworks(); err != nil {
		return nil, err
	}
	if s.Check {
		g.Verifier = &mailauth.Verifier{Resolver: resolver, Hostname: s.Hostname}
	}
	if len(s.Blocklists) > 0 {
		g.Blocklist = &mailauth.Blocklist{Resolver: resolver, Zones: s.Blocklists}
	}
	if s.Greylist {
		known, err := remember("greylist", store.Bounds{})
		if err != nil {
			return nil, err
		}
		newcomers, err := remember("newcomers", store.Bounds{Crowd: newcomersOfNetwork})
		if err != nil {
			return nil, err
		}
		g.Greylist = &mailauth.Greylist{Newcomers: newcomers, Known: known, Delay: s.GreylistDelay}
	}
	if g.Verifier == nil && g.Blocklist == nil && g.Greylist == nil {
		return nil, nil
	}
	return g, nil
}

// newcomersOfNetwork is how many pairs of sender and recipient, of one network,
// are waited for at once.
const newcomersOfNetwork = 1000

// resolver is the one that the settings name, or the system's.
func (s *settings) resolver() *resolve.DNS {
	server := s.DNSResolver
	if server == "" {
		return new(resolve.DNS)
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	return &resolve.DNS{Servers: []string{server}, Trusted: true}
}

// checkResolver asks about mail that comes in.
func (s *settings) checkResolver() mailauth.Resolver { return resolve.Net{DNS: s.resolver()} }

// trustedNetworks are those whose clients are not judged.
func (s *settings) trustedNetworks() (all []netip.Prefix, err error) {
	for _, text := range s.TrustedNets {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, of("auth.trusted_networks", fmt.Errorf("%q is no network such as 192.0.2.0/24", text))
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// policies are those of our domains; "" is that of all others.
func (s *settings) policies() (map[string]mailauth.Policy, error) {
	usual := mailauth.Policy{
		SPF:            mailauth.Action(s.CheckSPF),
		DKIM:           mailauth.Action(s.CheckDKIM),
		DMARC:          mailauth.Action(s.CheckDMARC),
		IPRev:          mailauth.Action(s.CheckIPRev),
		NullMX:         mailauth.Action(s.CheckNullMX),
		TrustedSealers: s.TrustedSealers,
	}
	all := map[string]mailauth.Policy{"": usual}
	for _, text := range s.CheckDomains {
		domain, rules, ok := strings.Cut(text, "=")
		p := usual
		into := map[string]*mailauth.Action{"spf": &p.SPF, "dkim": &p.DKIM, "dmarc": &p.DMARC, "iprev": &p.IPRev, "null_mx": &p.NullMX}
		for rule := range strings.SplitSeq(rules, "/") {
			what, action, _ := strings.Cut(strings.TrimSpace(rule), ":")
			known := slices.Contains(actions, action) || what == "dmarc" && (action == "follow" || action == "follow-junk")
			if into[what] == nil || !known {
				ok = false
				break
			}
			*into[what] = mailauth.Action(action)
		}
		if domain = strings.ToLower(strings.TrimSpace(domain)); !ok || domain == "" {
			return nil, of("auth.domains", fmt.Errorf("%q is no rule such as example.test=spf:refuse/dmarc:junk", text))
		}
		all[domain] = p
	}
	return all, nil
}

// keyring is where the DKIM keys are.
func (s *settings) keyring() *mailauth.Keyring {
	return &mailauth.Keyring{Dir: filepath.Join(s.DataDir, "dkim")}
}

// makeKeys gives DKIM keys to the configured domains that have none.
func (s *settings) makeKeys(now time.Time) error {
	if !s.MakeKeys {
		return nil
	}
	for _, domain := range s.Domains {
		if _, err := s.keyring().Generate(domain, now); err != nil && !errors.Is(err, mailauth.ErrHasKeys) {
			return of(domain, err)
		}
	}
	return nil
}

// signer signs mail of users; nil does not.
func (s *settings) signer(log *slog.Logger) *mailauth.Signer {
	if !s.Sign {
		return nil
	}
	keys := s.keyring()
	keys.Log = log
	return &mailauth.Signer{Keys: keys.Keys}
}
