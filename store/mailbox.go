package store

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What a mailbox name may be. Protocols may be stricter.
const (
	maxMailboxName = 1000 // octets
	maxMailboxes   = 10_000
)

// mailboxName gives the form under which a name is kept: NFC, "INBOX" in
// upper case whatever the client wrote (RFC 9051 §5.1).
func mailboxName(name string) (string, error) {
	if !utf8.ValidString(name) || name == "" || len(name) > maxMailboxName {
		return "", ErrBadMailboxName
	}
	name = norm.NFC.String(name)
	first, rest, nested := strings.Cut(name, "/")
	if strings.EqualFold(first, "INBOX") {
		name = "INBOX"
		if nested {
			name += "/" + rest
		}
	}
	for level := range strings.SplitSeq(name, "/") {
		if level == "" || level == "." || level == ".." {
			return "", ErrBadMailboxName
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }) {
		return "", ErrBadMailboxName
	}
	return name, nil
}

const mailboxColumns = `mailbox.id, mailbox.user_id, mailbox.name, uid_validity, uid_next, modseq, special_use, messages, unseen, deleted, size,
	EXISTS (SELECT 1 FROM subscription WHERE subscription.user_id = mailbox.user_id AND subscription.name = mailbox.name)`

func scanMailbox(r scanner) (m Mailbox, err error) {
	err = r.Scan(&m.ID, &m.User, &m.Name, &m.UIDValidity, &m.UIDNext, &m.ModSeq, &m.SpecialUse, &m.Messages, &m.Unseen, &m.Deleted, &m.Size, &m.Subscribed)
	return m, err
}

func readMailboxes(ctx context.Context, db querier, u UserID) ([]Mailbox, error) {
	return list(ctx, db, scanMailbox, `SELECT `+mailboxColumns+` FROM mailbox WHERE user_id = $1 ORDER BY mailbox.name <> 'INBOX', mailbox.name`, u)
}

// readMailbox is a mailbox by id, or ErrNoSuchMailbox.
func readMailbox(ctx context.Context, db querier, id MailboxID) (Mailbox, error) {
	m, err := scanMailbox(db.row(ctx, `SELECT `+mailboxColumns+` FROM mailbox WHERE id = $1`, id))
	return m, found(err, ErrNoSuchMailbox)
}

func readMailboxNamed(ctx context.Context, db querier, u UserID, name string) (Mailbox, error) {
	m, err := scanMailbox(db.row(ctx, `SELECT `+mailboxColumns+` FROM mailbox WHERE user_id = $1 AND mailbox.name = $2`, u, name))
	return m, found(err, ErrNoSuchMailbox)
}

// Mailboxes lists a user's mailboxes, INBOX first, then by name.
func (s *Store) Mailboxes(ctx context.Context, u UserID) ([]Mailbox, error) {
	return readMailboxes(ctx, s.readers, u)
}

// Mailbox returns a user's mailbox by name, or ErrNoSuchMailbox.
func (s *Store) Mailbox(ctx context.Context, u UserID, name string) (Mailbox, error) {
	name, err := mailboxName(name)
	if err != nil {
		return Mailbox{}, ErrNoSuchMailbox
	}
	return readMailboxNamed(ctx, s.readers, u, name)
}

// CreateMailbox makes a mailbox and the parents it lacks (RFC 9051 §6.3.4). A
// special use is given to one mailbox only. It answers ErrMailboxExists,
// ErrBadMailboxName or ErrLimit.
func (s *Store) CreateMailbox(ctx context.Context, u UserID, name, specialUse string) (Mailbox, error) {
	name, err := mailboxName(name)
	if err != nil {
		return Mailbox{}, err
	}
	var m Mailbox
	err = s.write(ctx, func(t *tx) error {
		var taken int
		err := t.row(ctx, `SELECT count(*) FROM mailbox WHERE special_use = $1 AND user_id = $2`, specialUse, u).Scan(&taken)
		if err != nil {
			return err
		}
		if specialUse != "" && taken > 0 {
			return ErrBadMailboxName
		}
		if err := t.createParents(ctx, s, u, name); err != nil {
			return err
		}
		id, err := t.createMailbox(ctx, s, u, name, specialUse)
		if err != nil {
			return err
		}
		m, err = readMailbox(ctx, t, id)
		return err
	})
	return m, err
}

func (t *tx) createParents(ctx context.Context, s *Store, u UserID, name string) error {
	for i, c := range name {
		if c != '/' {
			continue
		}
		if _, err := t.createMailbox(ctx, s, u, name[:i], ""); err != nil && !errors.Is(err, ErrMailboxExists) {
			return err
		}
	}
	return nil
}

// createMailbox makes one mailbox under a UIDVALIDITY that no mailbox of this
// store has ever had, so that a name made again is a new mailbox (I1). Whatever
// makes mailboxes comes here, so here they are bounded.
func (t *tx) createMailbox(ctx context.Context, s *Store, u UserID, name, specialUse string) (MailboxID, error) {
	var all, same int
	err := t.row(ctx, `SELECT count(*), count(CASE WHEN name = $1 THEN 1 END) FROM mailbox WHERE user_id = $2`, name, u).Scan(&all, &same)
	switch {
	case err != nil:
		return 0, err
	case same > 0:
		return 0, ErrMailboxExists
	case all >= maxMailboxes:
		return 0, ErrLimit
	}
	v, err := t.nextUIDValidity(ctx, s)
	if err != nil {
		return 0, err
	}
	var id MailboxID
	err = t.row(ctx, `INSERT INTO mailbox (user_id, name, special_use, uid_validity) VALUES ($1, $2, $3, $4) RETURNING id`, u, name, specialUse, v).Scan(&id)
	t.wake(u)
	return id, err
}

// nextUIDValidity grows always, even when the clock is set back.
func (t *tx) nextUIDValidity(ctx context.Context, s *Store) (UIDValidity, error) {
	var v UIDValidity
	err := t.row(ctx, `INSERT INTO meta (name, value) VALUES ('uid_validity', $1)
		ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value`, s.now().Unix()).Scan(&v)
	return v, err
}

// DeleteMailbox removes a mailbox and its messages. INBOX stays
// (ErrBadMailboxName), and so does one with children (ErrHasChildren).
func (s *Store) DeleteMailbox(ctx context.Context, u UserID, name string) error {
	name, err := mailboxName(name)
	if err != nil {
		return ErrNoSuchMailbox
	}
	if name == "INBOX" {
		return ErrBadMailboxName
	}
	return s.write(ctx, func(t *tx) error {
		m, err := readMailboxNamed(ctx, t, u, name)
		if err != nil {
			return err
		}
		kids, err := t.children(ctx, u, name)
		if err != nil {
			return err
		}
		if len(kids) > 0 {
			return ErrHasChildren
		}
		t.wake(u)
		return t.dropMailbox(ctx, m.ID)
	})
}

func (t *tx) children(ctx context.Context, u UserID, name string) ([]Mailbox, error) {
	return list(ctx, t, scanMailbox, `SELECT `+mailboxColumns+` FROM mailbox
		WHERE user_id = $1 AND substr(mailbox.name, 1, length($2)) = $2 ORDER BY id`, u, name+"/")
}

// dropMailbox removes a mailbox's row and all that hangs on it.
func (t *tx) dropMailbox(ctx context.Context, id MailboxID) error {
	blobs, err := list(ctx, t, scanOne[BlobID], `SELECT blob_id FROM message WHERE mailbox_id = $1`, id)
	if err != nil {
		return err
	}
	t.orphan(blobs...)
	for _, q := range []string{
		`DELETE FROM message WHERE mailbox_id = $1`,
		`DELETE FROM tombstone WHERE mailbox_id = $1`,
		`DELETE FROM keyword WHERE mailbox_id = $1`,
		`DELETE FROM mailbox WHERE id = $1`,
	} {
		if err := t.must(q, id); err != nil {
			return err
		}
	}
	return nil
}

// RenameMailbox renames a mailbox and its children (RFC 9051 §6.3.6).
// Renaming INBOX moves its messages to a new mailbox and leaves INBOX empty. It
// answers ErrNoSuchMailbox, ErrMailboxExists, ErrBadMailboxName or ErrLimit.
func (s *Store) RenameMailbox(ctx context.Context, u UserID, from, to string) error {
	from, err := mailboxName(from)
	if err != nil {
		return ErrNoSuchMailbox
	}
	to, err = mailboxName(to)
	if err != nil {
		return err
	}
	if strings.HasPrefix(to, from+"/") && from != "INBOX" {
		return ErrBadMailboxName
	}
	return s.write(ctx, func(t *tx) error {
		m, err := readMailboxNamed(ctx, t, u, from)
		if err != nil {
			return err
		}
		if to == from {
			return ErrMailboxExists
		}
		if err := t.createParents(ctx, s, u, to); err != nil {
			return err
		}
		t.wake(u)
		if from == "INBOX" {
			id, err := t.createMailbox(ctx, s, u, to, "")
			if err != nil {
				return err
			}
			uids, err := list(ctx, t, scanOne[UID], `SELECT uid FROM message WHERE mailbox_id = $1 ORDER BY uid`, m.ID)
			if err != nil || len(uids) == 0 {
				return err
			}
			_, _, err = t.move(ctx, s, m.ID, uids, id)
			return err
		}
		kids, err := t.children(ctx, u, from)
		if err != nil {
			return err
		}
		for _, k := range append([]Mailbox{m}, kids...) {
			err := t.must(`UPDATE mailbox SET name = $1, modseq = modseq + 1 WHERE id = $2`, to+strings.TrimPrefix(k.Name, from), k.ID)
			if isUnique(err) {
				return ErrMailboxExists
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Subscribe adds a name to the user's subscriptions or takes it away. The
// mailbox need not exist.
func (s *Store) Subscribe(ctx context.Context, u UserID, name string, subscribed bool) error {
	name, err := mailboxName(name)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		if subscribed {
			return t.subscribe(ctx, u, name)
		}
		return t.must(`DELETE FROM subscription WHERE user_id = $1 AND name = $2`, u, name)
	})
}

func (t *tx) subscribe(ctx context.Context, u UserID, name string) error {
	var n int
	if err := t.row(ctx, `SELECT count(*) FROM subscription WHERE user_id = $1`, u).Scan(&n); err != nil {
		return err
	}
	if n >= maxMailboxes {
		return ErrLimit
	}
	return t.must(`INSERT INTO subscription (user_id, name) VALUES ($1, $2) ON CONFLICT (user_id, name) DO NOTHING`, u, name)
}

// Subscriptions lists the names a user has subscribed to.
func (s *Store) Subscriptions(ctx context.Context, u UserID) ([]string, error) {
	return list(ctx, s.readers, scanOne[string], `SELECT name FROM subscription WHERE user_id = $1 ORDER BY name`, u)
}

// Keywords lists the keywords a mailbox knows, in order of first use.
func (s *Store) Keywords(ctx context.Context, id MailboxID) ([]string, error) {
	return readKeywords(ctx, s.readers, id)
}

func readKeywords(ctx context.Context, db querier, id MailboxID) ([]string, error) {
	return list(ctx, db, scanOne[string], `SELECT name FROM keyword WHERE mailbox_id = $1 ORDER BY seq`, id)
}

// Snapshot reads a mailbox as SELECT shows it, at one moment.
func (s *Store) Snapshot(ctx context.Context, id MailboxID) (Snapshot, error) {
	var sn Snapshot
	err := s.readers.view(ctx, func(db querier) (err error) {
		if sn.Mailbox, err = readMailbox(ctx, db, id); err != nil {
			return err
		}
		if sn.Keywords, err = readKeywords(ctx, db, id); err != nil {
			return err
		}
		sn.UIDs = make([]UID, 0, sn.Mailbox.Messages)
		rows, err := db.query(ctx, `SELECT uid FROM message WHERE mailbox_id = $1 ORDER BY uid`, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u UID
			if err := rows.Scan(&u); err != nil {
				return err
			}
			sn.UIDs = append(sn.UIDs, u)
		}
		if err := rows.Err(); err != nil || sn.Mailbox.Unseen == 0 {
			return err
		}
		return db.row(ctx, `SELECT coalesce(min(uid), 0) FROM message WHERE mailbox_id = $1 AND flags & 1 = 0`, id).Scan(&sn.Unseen)
	})
	return sn, err
}
