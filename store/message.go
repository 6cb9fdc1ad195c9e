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
