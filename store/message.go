package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// eachPage is how many rows Each reads at once; with headers, a tenth of it.
const eachPage = 500

// Each calls fn for the messages of a mailbox in ascending UID order: for
// those of uids (ascending), or for all when uids is nil. Messages that are
// gone are skipped. Rows are read in pages and nothing is held while fn runs,
// so fn may write to a slow socket; the *Message is fn's to keep. It answers
// fn's error, or ErrNoSuchMailbox when nothing was found because the mailbox
// has been deleted.
func (s *Store) Each(ctx context.Context, id MailboxID, uids []UID, want Want, fn func(*Message) error) error {
	return s.each(ctx, id, uids, want, "", fn)
}

// each is Each over the rows that satisfy a condition on message.
func (s *Store) each(ctx context.Context, id MailboxID, uids []UID, want Want, condition string, fn func(*Message) error) error {
	page := eachPage
	if want&(WantHeader|WantStructure) != 0 {
		page /= 10
	}
	q := selectMessages(want) + ` WHERE message.mailbox_id = $1 AND message.uid BETWEEN $2 AND $3 ` + condition + ` ORDER BY message.uid LIMIT $4`
	spans := []span{{1, 1<<32 - 1, nil}}
	if uids != nil {
		spans = spansOf(uids)
	}
	some := false
	for _, sp := range spans {
		for from := sp.first; ; {
			rows, err := s.readers.query(ctx, q, id, from, sp.last, page)
			if err != nil {
				return fmt.Errorf("read messages: %w", err)
			}
			msgs, err := scanAll(rows, want.scan)
			if err != nil {
				return fmt.Errorf("read messages: %w", err)
			}
			some = some || len(msgs) > 0
			for _, m := range msgs {
				if sp.has(m.UID) {
					if err := fn(m); err != nil {
						return err
					}
				}
			}
			if len(msgs) < page || msgs[page-1].UID == sp.last {
				break
			}
			from = msgs[page-1].UID + 1
		}
	}
	if !some {
		_, err := readMailbox(ctx, s.readers, id)
		return err
	}
	return nil
}

// span is a run of UIDs read with one range; wanted is nil when all of them
// are wanted.
type span struct {
	first, last UID
	wanted      []UID
}

func (s *span) has(u UID) bool {
	if s.wanted == nil {
		return true
	}
	_, ok := slices.BinarySearch(s.wanted, u)
	return ok
}

// spansOf groups ascending UIDs into ranges: reading a few rows too many is
// cheaper than one more statement.
func spansOf(uids []UID) []span {
	const gap = 32
	var all []span
	for i := 0; i < len(uids); {
		j := i + 1
		for j < len(uids) && uids[j]-uids[j-1] <= gap {
			j++
		}
		sp := span{first: uids[i], last: uids[j-1]}
		if int(sp.last-sp.first) != j-i-1 {
			sp.wanted = uids[i:j]
		}
		all = append(all, sp)
		i = j
	}
	return all
}

const messageColumns = `message.uid, message.modseq, message.flags, message.keywords, message.received, message.size, message.blob_id`

func selectMessages(want Want) string {
	q := `SELECT ` + messageColumns
	if want&WantEnvelope != 0 {
		q += `, blob.envelope, blob.preview`
	}
	if want&WantStructure != 0 {
		q += `, blob.structure`
	}
	if want&WantHeader != 0 {
		q += `, blob.header`
	}
	q += ` FROM message`
	if want != 0 {
		q += ` JOIN blob ON blob.id = message.blob_id`
	}
	return q
}

// scan reads a row of selectMessages.
func (want Want) scan(r scanner) (*Message, error) {
	m := new(Message)
	var keywords string
	var received int64
	var envelope, structure []byte
	dest := []any{&m.UID, &m.ModSeq, &m.Flags.System, &keywords, &received, &m.Size, &m.Blob}
	if want&WantEnvelope != 0 {
		dest = append(dest, &envelope, &m.Preview)
	}
	if want&WantStructure != 0 {
		dest = append(dest, &structure)
	}
	if want&WantHeader != 0 {
		dest = append(dest, &m.Header)
	}
	if err := r.Scan(dest...); err != nil {
		return nil, err
	}
	m.Flags.Keywords = strings.Fields(keywords)
	m.Received = time.UnixMilli(received)
	if want&WantEnvelope != 0 {
		m.Envelope = new(message.Envelope)
		if err := json.Unmarshal(envelope, m.Envelope); err != nil {
			return nil, fmt.Errorf("envelope of body %d: %w", m.Blob, err)
		}
	}
	if want&WantStructure != 0 {
		if err := json.Unmarshal(structure, &m.Structure); err != nil {
			return nil, fmt.Errorf("structure of body %d: %w", m.Blob, err)
		}
	}
	return m, nil
}

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

// messages reads rows within the writer's transaction; uids nil is all.
func (t *tx) messages(ctx context.Context, id MailboxID, uids []UID) ([]Message, error) {
	if _, err := readMailbox(ctx, t, id); err != nil {
		return nil, err
	}
	spans := []span{{1, 1<<32 - 1, nil}}
	if uids != nil {
		spans = spansOf(uids)
	}
	var all []Message
	for _, sp := range spans {
		rows, err := t.query(ctx, `SELECT `+messageColumns+` FROM message WHERE mailbox_id = $1 AND uid BETWEEN $2 AND $3 ORDER BY uid`, id, sp.first, sp.last)
		if err != nil {
			return nil, err
		}
		msgs, err := scanAll(rows, Want(0).scan)
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			if sp.has(m.UID) {
				all = append(all, *m)
			}
		}
	}
	return all, nil
}

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
