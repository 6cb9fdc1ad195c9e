package mailauth

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Keyring keeps the keys of our domains in a folder: a folder for each domain
// in it, a PEM file for each key. Several programs may use one at once; what
// one changes, the others see at their next message.
//
// A key is made as next, because its record has to be in DNS before anybody
// can verify with it. Then it signs, and in the end it is old: it signs no
// more, but its record has to stay while mail that it signed is under way.
type Keyring struct {
	Dir string
	Log *slog.Logger // hears of keys that cannot be read; nil discards

	mu    sync.Mutex
	known map[string]ring
}

// KeyState is where in its life a key is.
type KeyState string

const (
	Next    KeyState = "next"
	Signing KeyState = "signing"
	Old     KeyState = "old"
)

// StoredKey is a key of a Keyring.
type StoredKey struct {
	Key
	State KeyState
}

type ring struct {
	changed time.Time // of the folder
	keys    []Key
}

var (
	// ErrHasKeys: the domain has keys already.
	ErrHasKeys = errors.New("the domain has keys already")
	// ErrNoKeys: the domain has none for this.
	ErrNoKeys = errors.New("the domain has no such keys")
	// ErrNoDomain: that is no name of a domain.
	ErrNoDomain = errors.New("not a domain")
)

// Keys are those that a domain signs with, for [Signer].
func (r *Keyring) Keys(domain string) []Key {
	info, err := os.Stat(filepath.Join(r.Dir, domain))
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[domain]; ok && known.changed.Equal(info.ModTime()) {
		return known.keys
	}
	all, err := r.List(domain)
	if err != nil {
		log := cmp.Or(r.Log, slog.New(slog.DiscardHandler))
		log.Error("failed", "doing", "read DKIM keys", "domain", domain, "err", err)
	}
	var keys []Key
	for _, k := range all {
		if k.State == Signing {
			keys = append(keys, k.Key)
		}
	}
	if r.known == nil {
		r.known = make(map[string]ring)
	}
	r.known[domain] = ring{info.ModTime(), keys}
	return keys
}

// Domains are those that have keys.
func (r *Keyring) Domains() ([]string, error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list DKIM keys: %w", err)
	}
	var domains []string
	for _, e := range entries {
		if e.IsDir() && asciiName(e.Name()) == e.Name() {
			domains = append(domains, e.Name())
		}
	}
	return domains, nil
}

// List reads all keys of a domain, by state and name. Those that can be read
// are returned beside an error.
func (r *Keyring) List(domain string) ([]StoredKey, error) {
	name := asciiName(domain)
	if name == "" {
		return nil, ErrNoDomain
	}
	entries, err := os.ReadDir(filepath.Join(r.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []StoredKey
	for _, e := range entries {
		selector, ok := strings.CutSuffix(e.Name(), ".pem")
		if !ok {
			continue
		}
		state := Signing
		for _, other := range []KeyState{Next, Old} {
			if s, ok := strings.CutSuffix(selector, "."+string(other)); ok {
				selector, state = s, other
			}
		}
		octets, readErr := os.ReadFile(filepath.Join(r.Dir, name, e.Name()))
		if readErr == nil {
			k := StoredKey{Key{Domain: name, Selector: selector}, state}
			if k.Private, readErr = ParseKey(octets); readErr == nil {
				all = append(all, k)
			}
		}
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", e.Name(), readErr))
		}
	}
	slices.SortStableFunc(all, func(a, b StoredKey) int { return cmp.Compare(b.State, a.State) })
	if err != nil {
		err = fmt.Errorf("read DKIM keys: %w", err)
	}
	return all, err
}

// Generate makes the first keys of a domain, one of each kind, which sign from
// now on. It answers ErrHasKeys when there are some.
func (r *Keyring) Generate(domain string, now time.Time) ([]StoredKey, error) {
	all, err := r.List(domain)
	if err == nil && len(all) > 0 {
		err = ErrHasKeys
	}
	if err != nil {
		return nil, err
	}
	return r.add(domain, Signing, now)
}

// Prepare makes the keys that are to sign next. It answers ErrHasKeys when
// there are some.
func (r *Keyring) Prepare(domain string, now time.Time) ([]StoredKey, error) {
	all, err := r.List(domain)
	if err == nil && slices.ContainsFunc(all, func(k StoredKey) bool { return k.State == Next }) {
		err = ErrHasKeys
	}
	if err != nil {
		return nil, err
	}
	return r.add(domain, Next, now)
}

// Activate makes the next keys sign and those before them old. It answers
// ErrNoKeys when there are no next ones.
func (r *Keyring) Activate(domain string) error {
	all, err := r.List(domain)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(k StoredKey) bool { return k.State == Next }) {
		return ErrNoKeys
	}
	// The new ones begin before the old ones end: at no time is there none.
	for _, k := range all {
		if k.State == Next {
			if err := os.Rename(r.path(k.Key, Next), r.path(k.Key, Signing)); err != nil {
				return fmt.Errorf("begin to sign with %s: %w", k.Name(), err)
			}
		}
	}
	for _, k := range all {
		if k.State == Signing {
			if err := os.Rename(r.path(k.Key, Signing), r.path(k.Key, Old)); err != nil {
				return fmt.Errorf("sign with %s no more: %w", k.Name(), err)
			}
		}
	}
	return nil
}

func (r *Keyring) path(k Key, state KeyState) string {
	name := k.Selector + ".pem"
	if state != Signing {
		name = k.Selector + "." + string(state) + ".pem"
	}
	return filepath.Join(r.Dir, k.Domain, name)
}

// add makes a key of each kind.
func (r *Keyring) add(domain string, state KeyState, now time.Time) ([]StoredKey, error) {
	domain = asciiName(domain)
	if err := os.MkdirAll(filepath.Join(r.Dir, domain), 0o700); err != nil {
		return nil, fmt.Errorf("keep DKIM keys: %w", err)
	}
	all, err := r.List(domain)
	if err != nil {
		return nil, err
	}
	var added []StoredKey
	for _, kind := range []KeyKind{RSA, Ed25519} {
		k := StoredKey{Key{Domain: domain, Selector: selector(all, kind, now)}, state}
		if k.Private, err = GenerateKey(kind); err != nil {
			return nil, err
		}
		octets, err := MarshalKey(k.Private)
		if err != nil {
			return nil, err
		}
		if err := writeSecret(r.path(k.Key, state), octets); err != nil {
			return nil, fmt.Errorf("keep DKIM keys: %w", err)
		}
		added = append(added, k)
	}
	return added, nil
}

// selector is a name with the day in it, as no other key of the domain has it.
func selector(all []StoredKey, kind KeyKind, now time.Time) string {
	base := string(kind[:1]) + now.UTC().Format("20060102")
	name := base
	for i := 2; slices.ContainsFunc(all, func(k StoredKey) bool { return k.Selector == name }); i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	return name
}

// writeSecret writes a file that only its owner may read, whole or not at all.
func writeSecret(path string, octets []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(octets)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Published reports whether DNS has the key's record.
func (k Key) Published(ctx context.Context, r Resolver) (bool, error) {
	found, p := lookupKey(ctx, newLookups(r, 1), k.Selector, k.Domain, string(k.Kind())+"-sha256")
	switch {
	case p != nil && p.value == TempError:
		return false, p
	case p != nil:
		return false, nil
	}
	own, ok := k.Private.Public().(interface{ Equal(x crypto.PublicKey) bool })
	return ok && own.Equal(found.key), nil
}
