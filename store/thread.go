package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
)

// maxIdent is how much of an identifier is compared, in octets.
const maxIdent = 250

// idents are a mail's identifier and the beginning of its conversation: the
// first that it refers to.
func idents(sum *message.Summary) (ident, thread string) {
	short := func(id string) string { return strings.ToValidUTF8(id[:min(len(id), maxIdent)], "") }
	ident = short(sum.Envelope.MessageID)
	switch {
	case len(sum.References) > 0:
		return ident, short(sum.References[0])
	case len(sum.Envelope.InReplyTo) > 0:
		return ident, short(sum.Envelope.InReplyTo[0])
	}
	return ident, ident
}

// Placed is a listed message and where it is.
type Placed struct {
	Mailbox MailboxID
	Listed
}

// Idents are the identifiers by which a message belongs to a conversation:
// its own and those of what it answers.
func (l *Listed) Idents() []string {
	return slices.Concat([]string{l.Envelope.MessageID}, l.Envelope.InReplyTo, l.References)
}

// maxLookups bounds the identifiers that one conversation is looked for by.
const maxLookups = 300

// Conversation finds messages of a user, in whatever mailbox, that belong
// together: those that have one of the identifiers or whose conversation
// began with it, and so on for the identifiers that these name. It stops at
// max messages. Programs that cut a long References field keep its first
// identifier (RFC 5322 §3.6.4), which is why that one is enough.
func (s *Store) Conversation(ctx context.Context, u UserID, ids []string, max int) ([]Placed, error) {
	var all []Placed
	type place struct {
		box MailboxID
		uid UID
	}
	seen, asked := map[place]bool{}, map[string]bool{}
	for len(ids) > 0 && len(asked) < maxLookups && len(all) < max {
		id := ids[0]
		ids = ids[1:]
		if id = id[:min(len(id), maxIdent)]; id == "" || asked[id] {
			continue
		}
		asked[id] = true
		some, err := list(ctx, s.readers, func(r scanner) (p Placed, err error) {
			p.Listed, err = scanListed(scanMore{r, []any{&p.Mailbox}})
			return p, err
		}, `SELECT `+messageColumns+`, blob.envelope, blob.preview, blob.attachments, blob.refs, message.mailbox_id
			FROM (SELECT id FROM blob WHERE ident = $1 AND ident <> '' UNION SELECT id FROM blob WHERE thread = $1 AND thread <> '') AS found
			JOIN blob ON blob.id = found.id JOIN message ON message.blob_id = blob.id JOIN mailbox ON mailbox.id = message.mailbox_id
			WHERE mailbox.user_id = $2 ORDER BY message.received DESC LIMIT $3`, id, u, max)
		if err != nil {
			return nil, fmt.Errorf("find a conversation: %w", err)
		}
		for _, p := range some {
			if at := (place{p.Mailbox, p.UID}); !seen[at] && len(all) < max {
				seen[at] = true
				all = append(all, p)
				ids = append(ids, p.Idents()...)
			}
		}
	}
	return all, nil
}
