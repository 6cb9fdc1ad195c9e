package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Maildrop is one POP3 session's view of a user's INBOX: a snapshot under an
// exclusive lock (RFC 1939 §4). Other protocols go on using the mailbox.
type Maildrop struct {
	User        User
	UIDValidity UIDValidity
	Messages    []MaildropMessage // ascending UID; the position is the message number minus one

	s     *Store
	inbox MailboxID
	once  sync.Once
}

// MaildropMessage is one message of the snapshot.
type MaildropMessage struct {
	UID  UID
	Size int64
	Blob BlobID
}

// maildropLocks are the users with a POP3 session.
type maildropLocks struct {
	mu   sync.Mutex
	held map[UserID]bool
}

func (l *maildropLocks) take(u UserID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[u] {
		return false
	}
	if l.held == nil {
		l.held = map[UserID]bool{}
	}
	l.held[u] = true
	return true
}

func (l *maildropLocks) give(u UserID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, u)
}

// OpenMaildrop locks and reads a user's maildrop, without what their policy
// hides. It answers ErrMaildropBusy while another session has it. Close frees
// it. The lock belongs to this process: one process serves a data folder.
func (s *Store) OpenMaildrop(ctx context.Context, id UserID) (*Maildrop, error) {
	if !s.drops.take(id) {
		return nil, ErrMaildropBusy
	}
	d := &Maildrop{s: s}
	err := s.readers.view(ctx, func(db querier) (err error) {
		if d.User, err = readUser(ctx, db, `id = $1`, id); err != nil {
			return err
		}
		m, err := readMailboxNamed(ctx, db, id, "INBOX")
		if err != nil {
			return err
		}
		d.UIDValidity, d.inbox = m.UIDValidity, m.ID
		d.Messages, err = list(ctx, db, func(r scanner) (m MaildropMessage, err error) {
			err = r.Scan(&m.UID, &m.Size, &m.Blob)
			return m, err
		}, `SELECT uid, size, blob_id FROM message WHERE mailbox_id = $1 AND pop3_hidden = 0 ORDER BY uid`, m.ID)
		return err
	})
	if err != nil {
		s.drops.give(id)
		return nil, err
	}
	return d, nil
}

// Close frees the maildrop and changes nothing.
func (d *Maildrop) Close() error {
	d.once.Do(func() { d.s.drops.give(d.User.ID) })
	return nil
}

// Update is POP3's UPDATE state: it applies the user's policy, as it is now, to
// the messages that the session has deleted, all of them or none, durably. Messages that
// others have expunged meanwhile are no error.
func (d *Maildrop) Update(ctx context.Context, deleted []UID) error {
	if len(deleted) == 0 {
		return nil
	}
	deleted = slices.Sorted(slices.Values(deleted))
	return d.s.write(ctx, func(t *tx) error {
		msgs, err := t.messages(ctx, d.inbox, deleted)
		if err != nil {
			return err
		}
		var policy POP3Kind // perhaps another than at login: changes act at once
		if err := t.row(ctx, `SELECT pop3 FROM user WHERE id = $1`, d.User.ID).Scan(&policy); err != nil {
			return found(err, ErrNoSuchUser)
		}
		switch policy {
		case POP3Keep, POP3KeepDays:
			now := d.s.now().UnixMilli()
			for _, m := range msgs {
				// Nothing that IMAP shows changes, so neither does the modseq.
				if err := t.must(`UPDATE message SET pop3_hidden = $1 WHERE mailbox_id = $2 AND uid = $3`, now, d.inbox, m.UID); err != nil {
					return err
				}
			}
			return nil
		case POP3Trash:
			trash, err := t.trash(ctx, d.s, d.User.ID)
			if err != nil {
				return err
			}
			_, _, err = t.move(ctx, d.s, d.inbox, deleted, trash)
			return err
		default:
			return t.remove(ctx, d.inbox, msgs)
		}
	})
}

// trash finds the user's \Trash, or makes one.
func (t *tx) trash(ctx context.Context, s *Store, u UserID) (MailboxID, error) {
	ids, err := list(ctx, t, scanOne[MailboxID], `SELECT id FROM mailbox WHERE user_id = $1 AND (special_use = '\Trash' OR name = 'Trash')
		ORDER BY special_use = '\Trash' DESC LIMIT 1`, u)
	if err != nil {
		return 0, err
	}
	if len(ids) == 1 {
		return ids[0], nil
	}
	return t.createMailbox(ctx, s, u, "Trash", `\Trash`)
}

// SmallestExpire is what EXPIRE announces before login (RFC 2449 §6.7): the
// fewest days for which a message that POP3 has deleted stays, 0 when no user
// has such a term, and whether users differ.
func (s *Store) SmallestExpire(ctx context.Context) (days int, differ bool, err error) {
	terms, err := list(ctx, s.readers, scanOne[int],
		`SELECT DISTINCT CASE WHEN pop3 = 'keep-days' THEN pop3_days ELSE 0 END FROM user ORDER BY 1`)
	if err != nil || len(terms) == 0 {
		return 0, false, err
	}
	differ = len(terms) > 1
	if terms[0] == 0 && differ {
		return terms[1], true, nil
	}
	return terms[0], differ, nil
}

// retainEvery is how often keep-days is applied.
const retainEvery = 10 * time.Minute

// retain removes what POP3 has deleted more than the user's term ago.
func (s *Store) retain(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		if _, err := s.Retain(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("apply retention", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Retain applies keep-days now and returns how many messages it removed. The
// serving process calls it by itself.
func (s *Store) Retain(ctx context.Context) (int, error) {
	type due struct {
		box MailboxID
		uid UID
	}
	all, err := list(ctx, s.readers, func(r scanner) (d due, err error) {
		err = r.Scan(&d.box, &d.uid)
		return d, err
	}, `SELECT message.mailbox_id, message.uid FROM user
		JOIN mailbox ON mailbox.user_id = user.id AND mailbox.name = 'INBOX'
		JOIN message ON message.mailbox_id = mailbox.id
		WHERE user.pop3 = 'keep-days' AND message.pop3_hidden > 0 AND message.pop3_hidden < $1 - user.pop3_days * 86400000
		ORDER BY message.mailbox_id, message.uid`, s.now().UnixMilli())
	if err != nil {
		return 0, err
	}
	n := 0
	for len(all) > 0 {
		box := all[0].box
		var uids []UID
		for len(all) > 0 && all[0].box == box {
			uids = append(uids, all[0].uid)
			all = all[1:]
		}
		gone, err := s.Remove(ctx, box, uids)
		if err != nil {
			return n, err
		}
		n += len(gone)
	}
	return n, nil
}
