package store

import (
	"context"
	"fmt"
)

// Domain is one whose mail we keep.
type Domain struct {
	Name     string
	CatchAll string // the address that takes what nobody else does, or ""
	Users    int
}

// AddDomain makes name ours; one that is ours already stays as it is.
func (s *Store) AddDomain(ctx context.Context, name string) error {
	d, err := CanonicalDomain(name)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error { return t.addDomain(d) })
}

func (t *tx) addDomain(canonical string) error {
	return t.must(`INSERT INTO domain (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`, canonical)
}

// HasDomain reports whether name is a domain of ours. It answers
// ErrBadAddress when it cannot be one.
func (s *Store) HasDomain(ctx context.Context, name string) (bool, error) {
	d, err := CanonicalDomain(name)
	if err != nil {
		return false, err
	}
	var n int
	err = s.readers.row(ctx, `SELECT count(*) FROM domain WHERE name = $1`, d).Scan(&n)
	return n > 0, err
}

// Domains lists our domains in the order they were added.
func (s *Store) Domains(ctx context.Context) ([]Domain, error) {
	return list(ctx, s.readers, func(r scanner) (d Domain, err error) {
		err = r.Scan(&d.Name, &d.CatchAll, &d.Users)
		return d, err
	}, `SELECT name, catch_all, (SELECT count(*) FROM user WHERE domain_id = domain.id) FROM domain ORDER BY id`)
}

// ErrDomainInUse: users still have addresses in the domain.
var ErrDomainInUse = fmt.Errorf("domain has users")

// RemoveDomain gives a domain up, with its aliases. It answers ErrNotLocal
// when it is not ours and ErrDomainInUse while it has users.
func (s *Store) RemoveDomain(ctx context.Context, name string) error {
	d, err := CanonicalDomain(name)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		var users int
		err := t.row(ctx, `SELECT (SELECT count(*) FROM user WHERE domain_id = domain.id) FROM domain WHERE name = $1`, d).Scan(&users)
		if err != nil {
			return found(err, ErrNotLocal)
		}
		if users > 0 {
			return ErrDomainInUse
		}
		if err := t.must(`DELETE FROM alias WHERE substr(address, -length($1)) = $1`, "@"+d); err != nil {
			return err
		}
		return t.must(`DELETE FROM domain WHERE name = $1`, d)
	})
}

// SetCatchAll gives the mail of a domain's unknown addresses to address, here
// or elsewhere; "" refuses such mail again.
func (s *Store) SetCatchAll(ctx context.Context, domain, address string) error {
	d, err := CanonicalDomain(domain)
	if err != nil {
		return err
	}
	if address != "" {
		if address, err = CanonicalAddress(address); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *tx) error {
		n, err := t.affected(`UPDATE domain SET catch_all = $1 WHERE name = $2`, address, d)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotLocal
		}
		return nil
	})
}

// Alias is an address that stands for others.
type Alias struct {
	Address string
	Targets []string
}

// AddAlias makes mail for alias go to target (too). The alias must be in one
// of our domains and must not be a user's own address.
func (s *Store) AddAlias(ctx context.Context, alias, target string) error {
	a, err := CanonicalAddress(alias)
	if err != nil {
		return err
	}
	to, err := CanonicalAddress(target)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		_, domain, _ := splitAddress(a)
		var n int
		if err := t.row(ctx, `SELECT count(*) FROM domain WHERE name = $1`, domain).Scan(&n); err != nil || n == 0 {
			return orElse(err, ErrNotLocal)
		}
		if err := t.row(ctx, `SELECT count(*) FROM user WHERE address = $1`, a).Scan(&n); err != nil || n > 0 {
			return orElse(err, ErrUserExists)
		}
		return t.must(`INSERT INTO alias (address, target) VALUES ($1, $2) ON CONFLICT (address, target) DO NOTHING`, a, to)
	})
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Aliases lists all aliases by address.
func (s *Store) Aliases(ctx context.Context) ([]Alias, error) {
	type pair struct{ address, target string }
	pairs, err := list(ctx, s.readers, func(r scanner) (p pair, err error) {
		err = r.Scan(&p.address, &p.target)
		return p, err
	}, `SELECT address, target FROM alias ORDER BY address, target`)
	if err != nil {
		return nil, err
	}
	var all []Alias
	for _, p := range pairs {
		if n := len(all); n == 0 || all[n-1].Address != p.address {
			all = append(all, Alias{Address: p.address})
		}
		last := &all[len(all)-1]
		last.Targets = append(last.Targets, p.target)
	}
	return all, nil
}

// maxSenders bounds the addresses that one user is offered to send from.
const maxSenders = 100

// Senders lists the addresses that a user may send from (see
// [Store.MaySend]): their own, then the aliases that lead to it, the nearest
// first. Of more than a hundred it lists the first.
func (s *Store) Senders(ctx context.Context, u UserID) ([]string, error) {
	return list(ctx, s.readers, scanOne[string], `WITH RECURSIVE own (address, depth) AS (
			SELECT address, 0 FROM user WHERE id = $1
			UNION SELECT alias.address, own.depth + 1 FROM own JOIN alias ON alias.target = own.address WHERE own.depth < $2)
		SELECT address FROM own GROUP BY address ORDER BY min(depth), address LIMIT $3`, u, maxAliasDepth, maxSenders)
}

// RemoveAlias removes one target of an alias, or all of them when target is
// "". It answers ErrNoSuchUser when there is no such alias.
func (s *Store) RemoveAlias(ctx context.Context, alias, target string) error {
	a, err := CanonicalAddress(alias)
	if err != nil {
		return err
	}
	if target != "" {
		if target, err = CanonicalAddress(target); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *tx) error {
		n, err := t.affected(`DELETE FROM alias WHERE address = $1 AND ($2 = '' OR target = $2)`, a, target)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSuchUser
		}
		return nil
	})
}
