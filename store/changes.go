package store

import "context"

// Changes tells what happened to a mailbox after modseq since, at one
// moment. It is the truth behind every hint: IDLE, the browser's events and
// a client that comes back all ask it. A message that arrived and was
// expunged in between is among Expunged only. It answers ErrNoSuchMailbox
// when the mailbox has been deleted.
func (s *Store) Changes(ctx context.Context, id MailboxID, since ModSeq) (Changes, error) {
	var c Changes
	err := s.readers.view(ctx, func(db querier) (err error) {
		if c.Mailbox, err = readMailbox(ctx, db, id); err != nil || c.Mailbox.ModSeq <= since {
			return err
		}
		if c.Keywords, err = readKeywords(ctx, db, id); err != nil {
			return err
		}
		c.Expunged, err = list(ctx, db, scanOne[UID], `SELECT uid FROM tombstone WHERE mailbox_id = $1 AND modseq > $2 ORDER BY uid`, id, since)
		if err != nil {
			return err
		}
		c.Changed, err = list(ctx, db, func(r scanner) (Message, error) {
			m, err := Want(0).scan(r)
			if err != nil {
				return Message{}, err
			}
			return *m, nil
		}, `SELECT `+messageColumns+` FROM message WHERE mailbox_id = $1 AND modseq > $2 ORDER BY uid`, id, since)
		return err
	})
	return c, err
}
