package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Listed is a message as a list of mail shows it, with its envelope and
// preview.
type Listed struct {
	Message
	Attachments int
	References  []string // message identifiers without brackets, oldest first
}

func scanListed(r scanner) (l Listed, err error) {
	var refs string
	m, err := WantEnvelope.scan(scanMore{r, []any{&l.Attachments, &refs}})
	if err != nil {
		return l, err
	}
	l.Message = *m
	if err := json.Unmarshal([]byte(refs), &l.References); refs != "" && err != nil {
		return l, fmt.Errorf("references of body %d: %w", m.Blob, err)
	}
	return l, nil
}

// scanMore scans further columns after those of a Want.
type scanMore struct {
	scanner
	more []any
}

func (s scanMore) Scan(dest ...any) error { return s.scanner.Scan(append(dest, s.more...)...) }

const listedColumns = messageColumns + `, blob.envelope, blob.preview, blob.attachments, blob.refs`

const selectListed = `SELECT ` + listedColumns + `
	FROM message JOIN blob ON blob.id = message.blob_id WHERE message.mailbox_id = $1 `

// Latest lists up to n messages of a mailbox with UIDs below before, or the
// last ones when before is 0, newest first. It costs the same in a large
// mailbox as in a small one.
func (s *Store) Latest(ctx context.Context, id MailboxID, before UID, n int) ([]Listed, error) {
	if before == 0 {
		before = 1<<32 - 1
	}
	all, err := list(ctx, s.readers, scanListed, selectListed+`AND message.uid < $2 ORDER BY message.uid DESC LIMIT $3`, id, before, n)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return all, nil
}

// Newest lists up to n messages of a mailbox, the last one that came in first,
// after leaving out skip of them. Unlike UIDs the order holds when mail is
// moved: what is moved back is where it was.
func (s *Store) Newest(ctx context.Context, id MailboxID, skip, n int) ([]Listed, error) {
	all, err := list(ctx, s.readers, scanListed, `SELECT `+listedColumns+`
		FROM (SELECT uid FROM message WHERE mailbox_id = $1 ORDER BY received DESC, uid DESC LIMIT $2 OFFSET $3) AS page
		CROSS JOIN message ON message.mailbox_id = $1 AND message.uid = page.uid
		JOIN blob ON blob.id = message.blob_id ORDER BY message.received DESC, message.uid DESC`, id, n, skip)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return all, nil
}

// Place is how many messages Newest leaves out to begin with this one, or
// ErrExpunged.
func (s *Store) Place(ctx context.Context, id MailboxID, uid UID) (int, error) {
	at, err := list(ctx, s.readers, scanOne[int], `SELECT (SELECT count(*) FROM message AS newer
			WHERE newer.mailbox_id = $1 AND (newer.received, newer.uid) > (message.received, message.uid))
		FROM message WHERE mailbox_id = $1 AND uid = $2`, id, uid)
	if err != nil {
		return 0, fmt.Errorf("find the place of a message: %w", err)
	}
	if len(at) == 0 {
		return 0, ErrExpunged
	}
	return at[0], nil
}

// List lists those of uids (ascending) that are there, newest first.
func (s *Store) List(ctx context.Context, id MailboxID, uids []UID) ([]Listed, error) {
	var all []Listed
	for _, sp := range spansOf(uids) {
		some, err := list(ctx, s.readers, scanListed, selectListed+`AND message.uid BETWEEN $2 AND $3 ORDER BY message.uid`, id, sp.first, sp.last)
		if err != nil {
			return nil, fmt.Errorf("list messages: %w", err)
		}
		all = append(all, slices.DeleteFunc(some, func(l Listed) bool { return !sp.has(l.UID) })...)
	}
	slices.Reverse(all)
	return all, nil
}

// WithAttachments lists the UIDs, ascending, of the messages with files.
func (s *Store) WithAttachments(ctx context.Context, id MailboxID) ([]UID, error) {
	return list(ctx, s.readers, scanOne[UID], `SELECT message.uid FROM message JOIN blob ON blob.id = message.blob_id
		WHERE message.mailbox_id = $1 AND blob.attachments > 0 ORDER BY message.uid`, id)
}
