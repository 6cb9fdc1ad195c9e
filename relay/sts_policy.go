package relay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// policy is what one domain asks of those who bring it mail (RFC 8461 §3.2).
type policy struct {
	enforce bool
	testing bool
	servers []string
	maxAge  time.Duration
}

// parsePolicy reads the lines of RFC 8461 §3.2.
func parsePolicy(text string) (*policy, error) {
	if len(text) > maxPolicy {
		return nil, errors.New("it is too long")
	}
	var p policy
	var version, mode string
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
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
			if len(value) > maxName {
				return nil, fmt.Errorf("mx of %d octets", len(value))
			}
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
