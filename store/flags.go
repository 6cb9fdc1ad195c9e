package store

import (
	"context"
	"slices"
	"strings"
)

func joinKeywords(k []string) string { return strings.Join(k, " ") }

// What keywords may be.
const (
	maxKeyword  = 100 // octets of one
	maxKeywords = 200 // in one mailbox
)

// learn makes flags' keywords known to a mailbox and gives them the spelling
// it knew first. It answers ErrLimit.
func (t *tx) learn(ctx context.Context, id MailboxID, f Flags) (Flags, error) {
	if len(f.Keywords) == 0 {
		return f, nil
	}
	known := make([]string, 0, len(f.Keywords))
	for _, k := range f.Keywords {
		if k == "" || len(k) > maxKeyword || strings.ContainsAny(k, " \t\r\n") {
			return f, ErrLimit
		}
		folded := strings.ToLower(k)
		var n int
		err := t.row(ctx, `SELECT count(*) FROM keyword WHERE mailbox_id = $1 AND folded = $2`, id, folded).Scan(&n)
		if err != nil {
			return f, err
		}
		if n == 0 {
			if err := t.row(ctx, `SELECT count(*) FROM keyword WHERE mailbox_id = $1`, id).Scan(&n); err != nil {
				return f, err
			}
			if n >= maxKeywords {
				return f, ErrLimit
			}
			if err := t.must(`INSERT INTO keyword (mailbox_id, folded, name, seq) VALUES ($1, $2, $3, $4)`, id, folded, k, n+1); err != nil {
				return f, err
			}
		}
		var name string
		if err := t.row(ctx, `SELECT name FROM keyword WHERE mailbox_id = $1 AND folded = $2`, id, folded).Scan(&name); err != nil {
			return f, err
		}
		known = append(known, name)
	}
	slices.Sort(known)
	return Flags{System: f.System, Keywords: slices.Compact(known)}, nil
}

// apply gives old after op with f.
func (op FlagOp) apply(old, f Flags) Flags {
	switch op {
	case SetFlags:
		return f
	case AddFlags:
		k := append(slices.Clone(old.Keywords), f.Keywords...)
		slices.Sort(k)
		return Flags{System: old.System | f.System, Keywords: slices.Compact(k)}
	default:
		return Flags{System: old.System &^ f.System, Keywords: slices.DeleteFunc(slices.Clone(old.Keywords), f.HasKeyword)}
	}
}

// SetFlags changes the flags of messages (uids ascending) and returns those
// that are there, as they are now. A message whose flags stay the same keeps
// its modseq. It answers ErrNoSuchMailbox, or ErrLimit for too many or too
// long keywords.
func (s *Store) SetFlags(ctx context.Context, id MailboxID, uids []UID, op FlagOp, f Flags) ([]Message, error) {
	var now []Message
	err := s.write(ctx, func(t *tx) error {
		flags := f
		if op != RemoveFlags {
			var err error
			if flags, err = t.learn(ctx, id, f); err != nil {
				return err
			}
		}
		msgs, err := t.messages(ctx, id, uids)
		if err != nil {
			return err
		}
		var d counters
		var moved []int
		for i := range msgs {
			m := &msgs[i]
			if to := op.apply(m.Flags, flags); !to.Equal(m.Flags) {
				d.add(m.Flags, 0, -1)
				d.add(to, 0, 1)
				m.Flags = to
				moved = append(moved, i)
			}
		}
		now = msgs
		if len(moved) == 0 {
			return nil
		}
		box, err := t.touch(ctx, id, d, 0)
		if err != nil {
			return err
		}
		for _, i := range moved {
			m := &msgs[i]
			m.ModSeq = box.modseq
			if err := t.must(`UPDATE message SET flags = $1, keywords = $2, modseq = $3 WHERE mailbox_id = $4 AND uid = $5`,
				m.Flags.System, joinKeywords(m.Flags.Keywords), m.ModSeq, id, m.UID); err != nil {
				return err
			}
		}
		return nil
	})
	return now, err
}
