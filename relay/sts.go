package relay

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds on policies of strangers. RFC 8461 §3.2 and §3.3 suggest these.
const (
	maxPolicy       = 64 << 10
	maxPolicies     = 5000
	maxPolicyAge    = 31557600 * time.Second
	policyTimeout   = time.Minute
	policyRetry     = 5 * time.Minute
	policyRefresh   = 24 * time.Hour
	maxPolicyServer = 100 // mx lines
	maxName         = 255 // octets of a domain (RFC 1035 §2.3.4)
)

// policies is what domains ask of those who bring them mail (RFC 8461),
// remembered as long as they say, over restarts too.
type policies struct {
	resolver Resolver
	client   *http.Client
	now      func() time.Time
	log      *slog.Logger
	files    policyFiles

	mu    sync.Mutex
	known map[string]remembered
}

// remembered is a policy, or nil for the failure to get one.
type remembered struct {
	*policy
	id    string
	until time.Time // it is in force
	again time.Time // when it is fetched again although its record is the same
}

// newPolicies is what was known when the server stopped.
func newPolicies(c Config) *policies {
	p := &policies{resolver: c.Resolver, client: c.HTTP, now: c.Clock.Now, log: c.Log, files: policyFiles(c.PolicyDir), known: make(map[string]remembered)}
	if p.client == nil {
		return p
	}
	known, err := p.files.read(p.now())
	if err != nil {
		p.log.Warn("policies of other domains cannot be read", "err", err)
	}
	p.known = known
	return p
}

// policy returns the domain's policy, or nil when it has none or when nobody
// knows of one.
func (p *policies) policy(ctx context.Context, domain string) *policy {
	if p.client == nil {
		return nil
	}
	p.mu.Lock()
	old := p.known[domain]
	p.mu.Unlock()
	now := p.now()
	if !now.Before(old.until) {
		old = remembered{}
	}
	// RFC 8461 §5.1: a policy is in force until it has run out, whatever has
	// become of its record.
	id := p.id(ctx, domain)
	if id == "" || id == old.id && now.Before(old.again) {
		return old.inForce()
	}
	fresh, err := p.fetch(ctx, domain)
	if ctx.Err() != nil {
		return old.inForce()
	}
	next := remembered{policy: fresh, id: id}
	if err == nil {
		next.until = now.Add(fresh.maxAge)
		next.again = now.Add(min(fresh.maxAge, policyRefresh))
	} else {
		p.log.Warn("policy cannot be fetched", "domain", domain, "err", err)
		if old.policy == nil {
			old.until = now.Add(policyRetry)
		}
		next = old
		// Somebody could be in the way to keep us from the new one: what is
		// in force stays so, and the server is asked again, but not at once.
		next.id, next.again = id, now.Add(policyRetry)
	}
	p.remember(domain, next)
	return next.inForce()
}

func (k remembered) inForce() *policy {
	if k.policy == nil || !k.enforce && !k.testing {
		return nil
	}
	return k.policy
}

// remember keeps k in memory and, when it is a policy, in a file. Of too many,
// the one goes that runs out first.
func (p *policies) remember(domain string, k remembered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.known[domain]; !ok && len(p.known) >= maxPolicies {
		first := slices.MinFunc(slices.Collect(maps.Keys(p.known)), func(a, b string) int {
			return cmp.Or(p.known[a].until.Compare(p.known[b].until), cmp.Compare(a, b))
		})
		delete(p.known, first)
		p.keep(first, remembered{})
	}
	p.known[domain] = k
	p.keep(domain, k)
}

// keep makes the domain's file what is remembered of it.
func (p *policies) keep(domain string, k remembered) {
	if err := p.files.write(domain, k); err != nil {
		p.log.Warn("policy cannot be kept over a restart", "domain", domain, "err", err)
	}
}

// id is the version of the domain's policy, or "" when there is none
// (RFC 8461 §3.1).
func (p *policies) id(ctx context.Context, domain string) string {
	texts, _, err := p.resolver.LookupTXT(ctx, "_mta-sts."+domain)
	if err != nil {
		return ""
	}
	found := ""
	for _, t := range texts {
		fields := strings.Split(t, ";")
		if strings.TrimSpace(fields[0]) != "v=STSv1" {
			continue
		}
		if found != "" {
			return "" // several are none
		}
		for _, f := range fields[1:] {
			if name, value, _ := strings.Cut(strings.TrimSpace(f), "="); strings.TrimSpace(name) == "id" {
				found = strings.TrimSpace(value)
			}
		}
	}
	if len(found) > 32 {
		return ""
	}
	return found
}
