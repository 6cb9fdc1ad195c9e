package imapd

import (
	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/store"
)

// Status is the STATUS command (RFC 9051 §6.3.11).
func (s *session) Status(name string, o *imap.StatusOptions) (*imap.StatusData, error) {
	if err := checkStatus(o); err != nil {
		return nil, err
	}
	mailbox, err := s.mailbox(name)
	if err != nil {
		return nil, s.reply("status", err)
	}
	return s.status(&mailbox), nil
}

// checkStatus refuses what the library lets pass and we do not count
// (RFC 9208 §4.1.4).
func checkStatus(o *imap.StatusOptions) error {
	if o.DeletedStorage {
		return bad("Unknown STATUS item")
	}
	return nil
}

// status has every item, because the library takes those that were asked for
// without looking whether they are there.
func (s *session) status(m *store.Mailbox) *imap.StatusData {
	limit := uint32(s.conn.server.config.MaxSize)
	return &imap.StatusData{
		Mailbox:     m.Name,
		NumMessages: &m.Messages,
		NumRecent:   new(uint32),
		UIDNext:     imap.UID(m.UIDNext),
		UIDValidity: uint32(m.UIDValidity),
		NumUnseen:   &m.Unseen,
		NumDeleted:  &m.Deleted,
		Size:        &m.Size,
		AppendLimit: &limit,
	}
}
