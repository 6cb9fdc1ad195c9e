package store

import (
	"context"
	"database/sql"
	"errors"
)

// maxAliasDepth bounds how far an alias may lead through others.
const maxAliasDepth = 10

// Resolve says who gets mail for address: our users after aliases, "+detail",
// the domain's catch-all and postmaster (RFC 5321 §4.5.1) have been applied,
// each once, and remote addresses that aliases lead to. It answers
// ErrBadAddress, ErrNotLocal or ErrNoSuchUser.
func (s *Store) Resolve(ctx context.Context, address string) ([]Recipient, error) {
	// Most mail is for a user's own address, and one read tells so.
	if canonical, err := CanonicalAddress(address); err == nil {
		var u UserID
		err := s.readers.row(ctx, `SELECT id FROM user WHERE address = $1`, canonical).Scan(&u)
		if !errors.Is(err, sql.ErrNoRows) {
			if err != nil {
				return nil, err
			}
			return []Recipient{{Address: address, User: u}}, nil
		}
	}
	r := resolver{ctx: ctx, seen: map[string]bool{}, users: map[UserID]bool{}, given: address}
	err := s.readers.view(ctx, func(db querier) error {
		r.db = db
		if address == "postmaster" || address == "Postmaster" { // RFC 5321 §4.1.1.3
			var domain string
			if err := db.row(ctx, `SELECT name FROM domain ORDER BY id LIMIT 1`).Scan(&domain); err != nil {
				return found(err, ErrNoSuchUser)
			}
			address += "@" + domain
		}
		return r.add(address, 0)
	})
	if err != nil {
		return nil, err
	}
	if len(r.to) == 0 {
		return nil, ErrNoSuchUser
	}
	return r.to, nil
}

type resolver struct {
	ctx   context.Context
	db    querier
	given string
	seen  map[string]bool // addresses already followed: aliases may form a ring
	users map[UserID]bool
	to    []Recipient
}

func (r *resolver) add(address string, depth int) error {
	local, domain, err := splitAddress(address)
	if err != nil {
		return err
	}
	var catchAll string
	err = r.db.row(r.ctx, `SELECT catch_all FROM domain WHERE name = $1`, domain).Scan(&catchAll)
	if errors.Is(err, sql.ErrNoRows) {
		if depth == 0 {
			return ErrNotLocal
		}
		r.elsewhere(local + "@" + domain)
		return nil
	}
	if err != nil {
		return err
	}
	tries := []string{local + "@" + domain}
	if plain := detailFree(local); plain != "" {
		tries = append(tries, plain+"@"+domain)
	}
	if catchAll != "" && depth < maxAliasDepth {
		tries = append(tries, catchAll)
	}
	for _, try := range tries {
		if ok, err := r.exact(try, depth); ok || err != nil {
			return err
		}
	}
	if catchAll != "" {
		ours, err := r.isOurs(catchAll)
		if err != nil {
			return err
		}
		if !ours {
			r.elsewhere(catchAll)
			return nil
		}
	}
	if local == "postmaster" {
		return r.postmaster(domain)
	}
	if depth == 0 {
		return ErrNoSuchUser
	}
	return nil // an alias's dead target does not stop its living ones
}

// exact follows an address that is a user or an alias.
func (r *resolver) exact(address string, depth int) (bool, error) {
	if r.seen[address] {
		return true, nil
	}
	var u UserID
	err := r.db.row(r.ctx, `SELECT id FROM user WHERE address = $1`, address).Scan(&u)
	if err == nil {
		r.seen[address] = true
		r.user(u)
		return true, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	targets, err := list(r.ctx, r.db, scanOne[string], `SELECT target FROM alias WHERE address = $1 ORDER BY target`, address)
	if err != nil || len(targets) == 0 {
		return false, err
	}
	r.seen[address] = true
	if depth == maxAliasDepth {
		return true, nil
	}
	for _, to := range targets {
		if err := r.add(to, depth+1); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (r *resolver) isOurs(address string) (bool, error) {
	_, domain, err := splitAddress(address)
	if err != nil {
		return false, err
	}
	var n int
	err = r.db.row(r.ctx, `SELECT count(*) FROM domain WHERE name = $1`, domain).Scan(&n)
	return n > 0, err
}

func (r *resolver) elsewhere(address string) {
	if !r.seen[address] {
		r.seen[address] = true
		r.to = append(r.to, Recipient{Address: r.given, Remote: address})
	}
}

func (r *resolver) user(u UserID) {
	if !r.users[u] {
		r.users[u] = true
		r.to = append(r.to, Recipient{Address: r.given, User: u})
	}
}

// postmaster goes to the administrators, or to the domain's first user.
func (r *resolver) postmaster(domain string) error {
	ids, err := list(r.ctx, r.db, scanOne[UserID], `SELECT id FROM user WHERE admin = 1 AND suspended = 0 ORDER BY id`)
	if err == nil && len(ids) == 0 {
		ids, err = list(r.ctx, r.db, scanOne[UserID],
			`SELECT user.id FROM user JOIN domain ON domain.id = user.domain_id WHERE domain.name = $1 ORDER BY user.id LIMIT 1`, domain)
	}
	for _, id := range ids {
		r.user(id)
	}
	return err
}

// RoomFor answers ErrOverQuota when a user has no room for size more octets.
// A user who is exactly at the limit has room for nothing.
func (s *Store) RoomFor(ctx context.Context, u UserID, size int64) error {
	return roomFor(ctx, s.readers, u, size)
}

func roomFor(ctx context.Context, db querier, u UserID, size int64) error {
	var quota, used int64
	err := db.row(ctx, `SELECT quota, (SELECT coalesce(sum(size), 0) FROM mailbox WHERE user_id = user.id) FROM user WHERE id = $1`, u).Scan(&quota, &used)
	if err != nil {
		return found(err, ErrNoSuchUser)
	}
	if quota > 0 && (used >= quota || used+size > quota) {
		return ErrOverQuota
	}
	return nil
}

// MaySend reports whether address is the user's to send from: their own, with
// or without "+detail", or an alias that leads to them alone or among others.
func (s *Store) MaySend(ctx context.Context, u UserID, address string) (bool, error) {
	to, err := s.Resolve(ctx, address)
	switch {
	case errors.Is(err, ErrNotLocal), errors.Is(err, ErrNoSuchUser), errors.Is(err, ErrBadAddress):
		return false, nil
	case err != nil:
		return false, err
	}
	own, err := s.User(ctx, u)
	if err != nil {
		return false, err
	}
	canonical, err := CanonicalAddress(address)
	if err != nil {
		return false, nil
	}
	if canonical == own.Address {
		return true, nil
	}
	local, domain, _ := splitAddress(canonical)
	if plain := detailFree(local); plain != "" && plain+"@"+domain == own.Address {
		return true, nil
	}
	// A catch-all or postmaster leads here too, but is nobody's own address.
	var aliases int
	err = s.readers.row(ctx, `SELECT count(*) FROM alias WHERE address = $1`, canonical).Scan(&aliases)
	if err != nil || aliases == 0 {
		return false, err
	}
	for _, r := range to {
		if r.User == u {
			return true, nil
		}
	}
	return false, nil
}
