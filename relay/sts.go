package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds on policies of strangers. RFC 8461 §3.2 and §3.3 suggest these.
const (
	maxPolicy       = 64 << 10
	maxPolicies     = 10000
	maxPolicyAge    = 31557600 * time.Second
	policyTimeout   = time.Minute
	policyRetry     = 5 * time.Minute
	maxPolicyServer = 100 // mx lines
)

// policies is what domains ask of those who bring them mail (RFC 8461),
// remembered as long as they say.
type policies struct {
	resolver Resolver
	client   *http.Client
	now      func() time.Time
	log      *slog.Logger

	mu    sync.Mutex
	known map[string]remembered
}

// policy is what one domain asks.
type policy struct {
	enforce bool
	testing bool
	servers []string
	maxAge  time.Duration
}

// remembered is a policy, or nil for the failure to get one.
type remembered struct {
	*policy
	id    string
	until time.Time
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
	if !p.now().Before(old.until) {
		old = remembered{}
	}
	// RFC 8461 §5.1: a policy is in force until it has run out, whatever has
	// become of its record.
	id := p.id(ctx, domain)
	if id == "" || id == old.id {
		return old.inForce()
	}
	fresh, err := p.fetch(ctx, domain)
	if ctx.Err() != nil {
		return old.inForce()
	}
	next := remembered{policy: fresh, id: id}
	if err != nil {
		p.log.Warn("policy cannot be fetched", "domain", domain, "err", err)
		if old.policy != nil {
			return old.inForce()
		}
		next.until = p.now().Add(policyRetry)
	} else {
		next.until = p.now().Add(fresh.maxAge)
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

func (p *policies) remember(domain string, k remembered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for d := range p.known { // any, when there are too many
		if len(p.known) < maxPolicies {
			break
		}
		delete(p.known, d)
	}
	p.known[domain] = k
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

// fetch gets a policy (RFC 8461 §3.3).
func (p *policies) fetch(ctx context.Context, domain string) (*policy, error) {
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	client := *p.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	response, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("the server answers " + response.Status)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("it is %q instead of text/plain", response.Header.Get("Content-Type"))
	}
	return parsePolicy(io.LimitReader(response.Body, maxPolicy+1))
}

// parsePolicy reads the lines of RFC 8461 §3.2.
func parsePolicy(r io.Reader) (*policy, error) {
	var p policy
	var version, mode string
	seen := make(map[string]bool)
	size := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		size += len(lines.Bytes()) + 1
		name, value, ok := strings.Cut(lines.Text(), ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name != "mx" && seen[name] { // the first one counts
			continue
		}
		seen[name] = true
		switch name {
		case "version":
			version = value
		case "mode":
			mode = value
		case "mx":
			p.servers = append(p.servers, strings.ToLower(strings.TrimSuffix(value, ".")))
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("max_age %q", value)
			}
			p.maxAge = min(time.Duration(n)*time.Second, maxPolicyAge)
		}
	}
	p.enforce, p.testing = mode == "enforce", mode == "testing"
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case size > maxPolicy:
		return nil, errors.New("it is too long")
	case version != "STSv1":
		return nil, fmt.Errorf("version %q", version)
	case !seen["max_age"]:
		return nil, errors.New("it has no max_age")
	case mode != "enforce" && mode != "testing" && mode != "none":
		return nil, fmt.Errorf("mode %q", mode)
	case mode != "none" && len(p.servers) == 0, len(p.servers) > maxPolicyServer:
		return nil, fmt.Errorf("it names %d servers", len(p.servers))
	}
	return &p, nil
}

// allows matches a mail server (RFC 8461 §4.1).
func (p *policy) allows(name string) bool {
	name = strings.ToLower(name)
	for _, s := range p.servers {
		if s == name {
			return true
		}
		if suffix, ok := strings.CutPrefix(s, "*"); ok && strings.HasPrefix(suffix, ".") {
			if label, ok := strings.CutSuffix(name, suffix); ok && label != "" && !strings.Contains(label, ".") {
				return true
			}
		}
	}
	return false
}

// policyClient fetches policies from public addresses only.
func policyClient(allowPrivate bool) *http.Client {
	d := &net.Dialer{Timeout: 20 * time.Second}
	if !allowPrivate {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(address); err != nil || !isPublic(to.Addr()) {
				return fmt.Errorf("%s is not a public address", address)
			}
			return nil
		}
	}
	return &http.Client{Timeout: policyTimeout, Transport: &http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true,
		DisableKeepAlives: true, TLSHandshakeTimeout: 20 * time.Second, MaxResponseHeaderBytes: 64 << 10}}
}
