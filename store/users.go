package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// NewUser is what CreateUser needs. The address's domain becomes ours if it
// is not yet.
type NewUser struct {
	Address    string
	Name       string
	Password   string
	Quota      int64      // octets; 0 is no limit
	POP3       POP3Policy // zero is POP3Delete
	Admin, Tap bool
}

// firstMailboxes are made with every user (RFC 6154 §2).
var firstMailboxes = []struct{ name, specialUse string }{
	{"INBOX", ""},
	{"Drafts", `\Drafts`},
	{"Sent", `\Sent`},
	{"Archive", `\Archive`},
	{"Junk", `\Junk`},
	{"Trash", `\Trash`},
}

// CreateUser makes a user with the usual mailboxes, all subscribed. It answers
// ErrUserExists when the address is taken and ErrBadAddress.
func (s *Store) CreateUser(ctx context.Context, n NewUser) (User, error) {
	local, domain, err := splitAddress(n.Address)
	if err != nil {
		return User{}, err
	}
	address := local + "@" + domain
	policy, err := n.POP3.checked()
	if err != nil {
		return User{}, err
	}
	c, err := newCredential(n.Password, s.iter)
	if err != nil {
		return User{}, err
	}
	var u User
	err = s.write(ctx, func(t *tx) error {
		if err := t.addDomain(domain); err != nil {
			return err
		}
		var aliases int
		if err := t.row(ctx, `SELECT count(*) FROM alias WHERE address = $1`, address).Scan(&aliases); err != nil || aliases > 0 {
			return orElse(err, ErrUserExists)
		}
		var id UserID
		err := t.row(ctx, `INSERT INTO user (domain_id, address, name, salt, iterations, stored_key, server_key, quota, pop3, pop3_days, admin, tap, created)
			VALUES ((SELECT id FROM domain WHERE name = $1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
			domain, address, n.Name, c.Salt, c.Iterations, c.StoredKey, c.ServerKey, n.Quota, policy.Kind, policy.Days, n.Admin, n.Tap, s.now().UnixMilli()).Scan(&id)
		if isUnique(err) {
			return ErrUserExists
		}
		if err != nil {
			return err
		}
		for _, m := range firstMailboxes {
			if _, err := t.createMailbox(ctx, s, id, m.name, m.specialUse); err != nil {
				return err
			}
			if err := t.subscribe(ctx, id, m.name); err != nil {
				return err
			}
		}
		u, err = readUser(ctx, t, `id = $1`, id)
		return err
	})
	return u, err
}

func (p POP3Policy) checked() (POP3Policy, error) {
	switch p.Kind {
	case "":
		return POP3Policy{Kind: POP3Delete}, nil
	case POP3Delete, POP3Keep, POP3Trash:
		return POP3Policy{Kind: p.Kind}, nil
	case POP3KeepDays:
		if p.Days < 1 || p.Days > 36500 {
			return p, fmt.Errorf("POP3 policy keep-days needs 1 to 36500 days, not %d", p.Days)
		}
		return p, nil
	}
	return p, fmt.Errorf("unknown POP3 policy %q", p.Kind)
}

// String writes a policy as people do: "keep-days:14".
func (p POP3Policy) String() string {
	if p.Kind == POP3KeepDays {
		return fmt.Sprintf("%s:%d", p.Kind, p.Days)
	}
	return string(p.Kind)
}

// ParsePOP3Policy reads what [POP3Policy.String] has written.
func ParsePOP3Policy(text string) (POP3Policy, error) {
	kind, days, _ := strings.Cut(text, ":")
	n, _ := strconv.Atoi(days)
	p, err := POP3Policy{Kind: POP3Kind(kind), Days: n}.checked()
	if err != nil || p.String() != text {
		return POP3Policy{}, fmt.Errorf("%q is not one of delete, keep, keep-days:N, trash", text)
	}
	return p, nil
}

const userColumns = `id, address, name, quota, (SELECT coalesce(sum(size), 0) FROM mailbox WHERE user_id = user.id), pop3, pop3_days, suspended, admin, tap, created, last_pop3, last_imap, last_web`

func scanUser(r scanner) (u User, err error) {
	var created, pop3, imap, web int64
	err = r.Scan(&u.ID, &u.Address, &u.Name, &u.Quota, &u.Used, &u.POP3.Kind, &u.POP3.Days, &u.Suspended, &u.Admin, &u.Tap, &created, &pop3, &imap, &web)
	u.Created = time.UnixMilli(created)
	u.Last = LastUse{timeOrZero(pop3), timeOrZero(imap), timeOrZero(web)}
	return u, err
}

func readUser(ctx context.Context, db querier, where string, arg any) (User, error) {
	u, err := scanUser(db.row(ctx, `SELECT `+userColumns+` FROM user WHERE `+where, arg))
	return u, found(err, ErrNoSuchUser)
}

// User returns one user, or ErrNoSuchUser.
func (s *Store) User(ctx context.Context, id UserID) (User, error) {
	u, err := readUser(ctx, s.readers, `id = $1`, id)
	s.uses.add(&u)
	return u, err
}

// UserByAddress returns the user with exactly this address, or ErrNoSuchUser.
func (s *Store) UserByAddress(ctx context.Context, address string) (User, error) {
	a, err := CanonicalAddress(address)
	if err != nil {
		return User{}, err
	}
	return readUser(ctx, s.readers, `address = $1`, a)
}

// Users lists all users by address.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	all, err := list(ctx, s.readers, scanUser, `SELECT `+userColumns+` FROM user ORDER BY address`)
	for i := range all {
		s.uses.add(&all[i])
	}
	return all, err
}

// UserChange names what UpdateUser changes; nil stays as it is.
type UserChange struct {
	Name, Password        *string
	Quota                 *int64
	POP3                  *POP3Policy
	Suspended, Admin, Tap *bool
}

// UpdateUser changes a user at once, for sessions under way too: a new
// password or a suspension moves the generation (see [Store.Generation]).
func (s *Store) UpdateUser(ctx context.Context, id UserID, c UserChange) (User, error) {
	var cred *Credential
	if c.Password != nil {
		n, err := newCredential(*c.Password, s.iter)
		if err != nil {
			return User{}, err
		}
		cred = &n
	}
	if c.POP3 != nil {
		p, err := c.POP3.checked()
		if err != nil {
			return User{}, err
		}
		c.POP3 = &p
	}
	var u User
	err := s.write(ctx, func(t *tx) (err error) {
		if u, err = readUser(ctx, t, `id = $1`, id); err != nil {
			return err
		}
		set(&u.Name, c.Name)
		set(&u.Quota, c.Quota)
		set(&u.POP3, c.POP3)
		set(&u.Suspended, c.Suspended)
		set(&u.Admin, c.Admin)
		set(&u.Tap, c.Tap)
		ends := 0
		if cred != nil || c.Suspended != nil {
			ends = 1
		}
		if err := t.must(`UPDATE user SET name = $1, quota = $2, pop3 = $3, pop3_days = $4, suspended = $5, admin = $6, tap = $7, generation = generation + $8 WHERE id = $9`,
			u.Name, u.Quota, u.POP3.Kind, u.POP3.Days, u.Suspended, u.Admin, u.Tap, ends, id); err != nil {
			return err
		}
		if cred != nil {
			if err := t.must(`UPDATE user SET salt = $1, iterations = $2, stored_key = $3, server_key = $4 WHERE id = $5`,
				cred.Salt, cred.Iterations, cred.StoredKey, cred.ServerKey, id); err != nil {
				return err
			}
		}
		t.wake(id)
		if ends > 0 {
			t.wake(anybody)
		}
		return nil
	})
	return u, err
}

func set[T any](v, to *T) {
	if to != nil {
		*v = *to
	}
}

// DeleteUser removes a user with all their mail. Aliases that lead to the
// address stay, and lead nowhere.
func (s *Store) DeleteUser(ctx context.Context, id UserID) error {
	return s.write(ctx, func(t *tx) error {
		boxes, err := readMailboxes(ctx, t, id)
		if err != nil {
			return err
		}
		for _, m := range boxes {
			if err := t.dropMailbox(ctx, m.ID); err != nil {
				return err
			}
		}
		if err := t.must(`DELETE FROM subscription WHERE user_id = $1`, id); err != nil {
			return err
		}
		n, err := t.affected(`DELETE FROM user WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSuchUser
		}
		t.wake(id)
		t.wake(anybody)
		return nil
	})
}
