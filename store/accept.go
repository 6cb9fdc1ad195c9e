package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// A message arrives: Accept and Append read it once (arrival.go), write its
// bytes once (blob and chunk rows), and in one durable transaction add a row
// to each mailbox and a queue row for each remote recipient.

// Accept keeps a message for all its recipients or for none (I4), and with it
// the notices (RFC 3464) that follow from its delivery: all or nothing too.
// When it returns nil the mail survives power loss (I9) and may be
// acknowledged. It does not look at quotas: whoever was accepted at RCPT gets
// the mail. It answers ErrNotCanonical, ErrFull, or ErrNoSuchUser when a
// recipient has been deleted meanwhile. A message for nobody is an error too:
// it would be acknowledged and be nowhere.
func (s *Store) Accept(ctx context.Context, d Delivery, notices ...Delivery) (Accepted, error) {
	if len(d.Recipients) == 0 {
		return Accepted{}, errors.New("accept a message for nobody")
	}
	in, err := s.receive(ctx, d.Body)
	if err != nil {
		return Accepted{}, err
	}
	defer in.release()
	more, release, err := s.receiveAll(ctx, notices)
	defer release()
	if err != nil {
		return Accepted{}, err
	}
	var acc Accepted
	err = s.write(ctx, func(t *tx) (err error) {
		if acc, err = t.keep(ctx, s, d, in); err != nil {
			return err
		}
		return t.keepAll(ctx, s, notices, more)
	})
	if err != nil {
		return Accepted{}, err
	}
	return acc, nil
}

// keepAll keeps notices.
func (t *tx) keepAll(ctx context.Context, s *Store, notices []Delivery, ins []*arrival) error {
	for i, d := range notices {
		if _, err := t.keep(ctx, s, d, ins[i]); err != nil {
			return err
		}
	}
	return nil
}

// keep makes all rows of one delivery.
func (t *tx) keep(ctx context.Context, s *Store, d Delivery, in *arrival) (acc Accepted, err error) {
	acc.Size = in.size
	if acc.Blob, err = t.claim(in); err != nil {
		return acc, err
	}
	if acc.Delivered, err = t.deliver(ctx, s, d, in, acc.Blob); err != nil {
		return acc, err
	}
	acc.Queued, err = t.enqueue(s, d, acc.Blob)
	return acc, err
}

// deliver adds one message row to a mailbox of each local recipient.
func (t *tx) deliver(ctx context.Context, s *Store, d Delivery, in *arrival, blob BlobID) ([]Delivered, error) {
	var all []Delivered
	for _, r := range d.Recipients {
		if r.User == 0 || slices.ContainsFunc(all, func(d Delivered) bool { return d.User == r.User }) {
			continue
		}
		mailbox, err := t.destination(ctx, r.User, d.Junk)
		if err != nil {
			return nil, err
		}
		all = append(all, Delivered{User: r.User, Mailbox: mailbox})
	}
	slices.SortFunc(all, func(a, b Delivered) int { return int(a.Mailbox - b.Mailbox) }) // I8
	for i := range all {
		uids, _, err := t.insert(ctx, all[i].Mailbox, []row{{blob: blob, size: in.size, received: s.now().UnixMilli()}})
		if err != nil {
			return nil, err
		}
		all[i].UID = uids[0]
	}
	return all, nil
}

// destination is the mailbox that mail for a user goes to: INBOX, or the one
// for junk, unless the user has removed it (RFC 6154 §2).
func (t *tx) destination(ctx context.Context, u UserID, junk bool) (id MailboxID, err error) {
	if junk {
		err = t.row(ctx, `SELECT id FROM mailbox WHERE user_id = $1 AND special_use = '\Junk' LIMIT 1`, u).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	err = t.row(ctx, `SELECT id FROM mailbox WHERE user_id = $1 AND name = 'INBOX'`, u).Scan(&id)
	return id, found(err, ErrNoSuchUser)
}

// enqueue writes one queue row for each remote recipient.
func (t *tx) enqueue(s *Store, d Delivery, blob BlobID) (n int, err error) {
	now := s.now().UnixMilli()
	for _, r := range d.Recipients {
		if r.User != 0 {
			continue
		}
		_, domain, err := splitAddress(r.Remote)
		if err != nil {
			return n, err
		}
		err = t.must(`INSERT INTO queue (blob_id, sender, recipient, domain, notify, original, ret, envid, utf8, require_tls, created, next)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			blob, cmp.Or(r.Sender, d.Sender), r.Remote, domain, r.DSN.Notify, r.DSN.Original, r.DSN.Return, r.DSN.EnvelopID, d.UTF8, d.RequireTLS, now, now)
		if err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		t.then(s.hub.wakeQueue)
	}
	return n, nil
}

// Append puts messages into one mailbox, all or none (RFC 3502). It answers
// ErrNoSuchMailbox, ErrOverQuota, ErrNotCanonical, ErrLimit or ErrFull.
func (s *Store) Append(ctx context.Context, id MailboxID, msgs []Appended) ([]UID, UIDValidity, error) {
	ins := make([]*arrival, len(msgs))
	var total int64
	for i, m := range msgs {
		in, err := s.receive(ctx, m.Body)
		if err != nil {
			return nil, 0, err
		}
		defer in.release()
		ins[i], total = in, total+in.size
	}
	var uids []UID
	var validity UIDValidity
	err := s.write(ctx, func(t *tx) error {
		m, err := readMailbox(ctx, t, id)
		if err != nil {
			return err
		}
		if err := roomFor(ctx, t, m.User, total); err != nil {
			return err
		}
		rows := make([]row, len(msgs))
		for i, a := range msgs {
			blob, err := t.claim(ins[i])
			if err != nil {
				return err
			}
			at := a.Received
			if at.IsZero() {
				at = s.now()
			}
			flags, err := t.learn(ctx, id, a.Flags)
			if err != nil {
				return err
			}
			rows[i] = row{blob: blob, size: ins[i].size, received: at.UnixMilli(), flags: flags}
		}
		uids, validity, err = t.insert(ctx, id, rows)
		return err
	})
	return uids, validity, err
}

// row is a message about to be added to a mailbox.
type row struct {
	blob     BlobID
	size     int64
	received int64 // unix ms
	flags    Flags
}

// insert adds rows to a mailbox under the next UIDs. The mailbox's own row
// is updated first (I2).
func (t *tx) insert(ctx context.Context, id MailboxID, rows []row) ([]UID, UIDValidity, error) {
	var d counters
	for _, r := range rows {
		d.add(r.flags, r.size, 1)
	}
	m, err := t.touch(ctx, id, d, len(rows))
	if err != nil {
		return nil, 0, err
	}
	uids := make([]UID, len(rows))
	for i, r := range rows {
		uids[i] = m.first + UID(i)
		err := t.must(`INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received, size, blob_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, uids[i], m.modseq, r.flags.System, joinKeywords(r.flags.Keywords), r.received, r.size, r.blob)
		if err != nil {
			return nil, 0, err
		}
	}
	return uids, m.validity, nil
}

// counters is how a change moves a mailbox's sums.
type counters struct{ messages, unseen, deleted, size int64 }

func (c *counters) add(f Flags, size, sign int64) {
	c.messages += sign
	c.size += sign * size
	if !f.Has(Seen) {
		c.unseen += sign
	}
	if f.Has(Deleted) {
		c.deleted += sign
	}
}

type touched struct {
	modseq   ModSeq
	first    UID // the first of the new UIDs
	validity UIDValidity
}

// touch takes a mailbox's next modseq and n UIDs: the update that begins
// every change to a mailbox (I2).
func (t *tx) touch(ctx context.Context, id MailboxID, c counters, n int) (touched, error) {
	var m touched
	var next int64
	var user UserID
	err := t.row(ctx, `UPDATE mailbox SET modseq = modseq + 1, uid_next = uid_next + $1, messages = messages + $2, unseen = unseen + $3,
		deleted = deleted + $4, size = size + $5 WHERE id = $6 RETURNING modseq, uid_next, uid_validity, user_id`,
		n, c.messages, c.unseen, c.deleted, c.size, id).Scan(&m.modseq, &next, &m.validity, &user)
	if err != nil {
		return m, found(err, ErrNoSuchMailbox)
	}
	if next > 1<<32-1 {
		return m, fmt.Errorf("mailbox %d has used up its UIDs: %w", id, ErrLimit)
	}
	m.first = UID(next - int64(n))
	t.wake(user)
	return m, nil
}
