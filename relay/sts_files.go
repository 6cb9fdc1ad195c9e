package relay

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// policyFiles is a folder with a file for each domain whose policy is known,
// so that whoever can keep us from fetching one gains nothing by a restart of
// ours (RFC 8461 §10.2). "" keeps nothing.
type policyFiles string

// policyFile is what such a file holds.
type policyFile struct {
	ID    string    `json:"id"`
	Mode  string    `json:"mode"`
	MX    []string  `json:"mx"`
	Until time.Time `json:"until"`
	Again time.Time `json:"again"`
}

// path is where the domain's policy is; ok is false for a name that could
// lead elsewhere.
func (dir policyFiles) path(domain string) (_ string, ok bool) {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	ok = dir != "" && domain != "" && domain[0] != '.' && len(domain) < maxName &&
		!strings.ContainsFunc(domain, func(r rune) bool { return !plain(r) })
	return filepath.Join(string(dir), domain), ok
}

// read returns what is kept and still in force. Everything else is removed.
func (dir policyFiles) read(now time.Time) (map[string]remembered, error) {
	known := make(map[string]remembered)
	if dir == "" {
		return known, nil
	}
	entries, err := os.ReadDir(string(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	for _, e := range entries {
		path := filepath.Join(string(dir), e.Name())
		var f policyFile
		text, readErr := os.ReadFile(path)
		if readErr == nil {
			readErr = json.Unmarshal(text, &f)
		}
		if readErr != nil || !now.Before(f.Until) || len(known) >= maxPolicies || e.Name()[0] == '.' {
			err = errors.Join(err, os.Remove(path))
			continue
		}
		known[e.Name()] = remembered{
			policy: &policy{enforce: f.Mode == "enforce", testing: f.Mode == "testing", servers: f.MX},
			id:     f.ID, until: f.Until, again: f.Again,
		}
	}
	return known, err
}

// write replaces the domain's file in one step; without a policy it removes it.
func (dir policyFiles) write(domain string, k remembered) error {
	path, ok := dir.path(domain)
	if !ok {
		return nil
	}
	if k.policy == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f := policyFile{ID: k.id, Mode: "none", MX: k.servers, Until: k.until, Again: k.again}
	switch {
	case k.enforce:
		f.Mode = "enforce"
	case k.testing:
		f.Mode = "testing"
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	part := filepath.Join(string(dir), "."+domain) // no domain begins so
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
