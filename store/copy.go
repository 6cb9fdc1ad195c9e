package store

import (
	"context"
	"slices"
)

// Copy copies messages (uids ascending) to another mailbox or the same one,
// all that are there or none. It answers ErrNoSuchMailbox for a missing
// target, ErrOverQuota and ErrLimit.
func (s *Store) Copy(ctx context.Context, from MailboxID, uids []UID, to MailboxID) ([]UIDPair, UIDValidity, error) {
	const rowSize = 256 // of a message, about, with its place in the indexes
	if err := s.room(ctx, int64(len(uids))*rowSize); err != nil {
		return nil, 0, err
	}
	var pairs []UIDPair
	var validity UIDValidity
	err := s.write(ctx, func(t *tx) error {
		msgs, err := t.messages(ctx, from, uids)
		if err != nil {
			return err
		}
		target, err := readMailbox(ctx, t, to)
		if err != nil {
			return err
		}
		var size int64
		for _, m := range msgs {
			size += m.Size
		}
		if err := roomFor(ctx, t, target.User, size); size > 0 && err != nil {
			return err
		}
		pairs, validity, err = t.copyRows(ctx, msgs, target)
		return err
	})
	return pairs, validity, err
}

func (t *tx) copyRows(ctx context.Context, msgs []Message, to Mailbox) ([]UIDPair, UIDValidity, error) {
	if len(msgs) == 0 {
		return nil, to.UIDValidity, nil
	}
	rows := make([]row, len(msgs))
	for i, m := range msgs {
		flags, err := t.learn(ctx, to.ID, m.Flags)
		if err != nil {
			return nil, 0, err
		}
		rows[i] = row{blob: m.Blob, size: m.Size, received: m.Received.UnixMilli(), flags: flags}
	}
	uids, validity, err := t.insert(ctx, to.ID, rows)
	if err != nil {
		return nil, 0, err
	}
	pairs := make([]UIDPair, len(msgs))
	for i, m := range msgs {
		pairs[i] = UIDPair{From: m.UID, To: uids[i]}
	}
	return pairs, validity, nil
}

// Move moves messages (uids ascending) to another mailbox, all that are there
// or none (RFC 9051 §6.4.8).
func (s *Store) Move(ctx context.Context, from MailboxID, uids []UID, to MailboxID) ([]UIDPair, UIDValidity, error) {
	var pairs []UIDPair
	var validity UIDValidity
	err := s.write(ctx, func(t *tx) (err error) {
		pairs, validity, err = t.move(ctx, s, from, uids, to)
		return err
	})
	return pairs, validity, err
}

func (t *tx) move(ctx context.Context, s *Store, from MailboxID, uids []UID, to MailboxID) ([]UIDPair, UIDValidity, error) {
	msgs, err := t.messages(ctx, from, uids)
	if err != nil {
		return nil, 0, err
	}
	target, err := readMailbox(ctx, t, to)
	if err != nil {
		return nil, 0, err
	}
	// Both rows are taken by this one writer, so their order cannot
	// deadlock; they are taken in ascending id all the same (I8).
	if from > to {
		pairs, validity, err := t.copyRows(ctx, msgs, target)
		if err != nil {
			return nil, 0, err
		}
		return pairs, validity, t.remove(ctx, from, msgs)
	}
	if err := t.remove(ctx, from, msgs); err != nil {
		return nil, 0, err
	}
	return t.copyRows(ctx, msgs, target)
}

// Expunge removes those of uids (ascending; nil is all) that are flagged
// \Deleted, and returns which (RFC 9051 §6.4.3, RFC 4315 §2.1).
func (s *Store) Expunge(ctx context.Context, id MailboxID, uids []UID) ([]UID, error) {
	return s.removeIf(ctx, id, uids, func(m Message) bool { return m.Flags.Has(Deleted) })
}

// Remove removes messages (uids ascending) whatever their flags, and returns
// which were there.
func (s *Store) Remove(ctx context.Context, id MailboxID, uids []UID) ([]UID, error) {
	if len(uids) == 0 {
		return nil, nil
	}
	return s.removeIf(ctx, id, uids, func(Message) bool { return true })
}

func (s *Store) removeIf(ctx context.Context, id MailboxID, uids []UID, doomed func(Message) bool) ([]UID, error) {
	var gone []UID
	err := s.write(ctx, func(t *tx) error {
		gone = nil
		msgs, err := t.messages(ctx, id, uids)
		if err != nil {
			return err
		}
		msgs = slices.DeleteFunc(msgs, func(m Message) bool { return !doomed(m) })
		for _, m := range msgs {
			gone = append(gone, m.UID)
		}
		return t.remove(ctx, id, msgs)
	})
	return gone, err
}

// remove takes rows out of a mailbox and leaves tombstones (I5).
func (t *tx) remove(ctx context.Context, id MailboxID, msgs []Message) error {
	if len(msgs) == 0 {
		return nil
	}
	var d counters
	for _, m := range msgs {
		d.add(m.Flags, m.Size, -1)
	}
	box, err := t.touch(ctx, id, d, 0)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		if err := t.must(`DELETE FROM message WHERE mailbox_id = $1 AND uid = $2`, id, m.UID); err != nil {
			return err
		}
		if err := t.must(`INSERT INTO tombstone (mailbox_id, modseq, uid) VALUES ($1, $2, $3)`, id, box.modseq, m.UID); err != nil {
			return err
		}
		t.orphan(m.Blob)
	}
	return nil
}
