package imapd

import (
	"github.com/emersion/go-imap/v2"
)

// Select is the SELECT and the EXAMINE command (RFC 9051 §6.3.2, §6.3.3).
func (s *session) Select(name string, o *imap.SelectOptions) (*imap.SelectData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mailbox, err := s.mailbox(name)
	if err != nil {
		return nil, s.reply("select", err)
	}
	snapshot, err := s.store.Snapshot(s.ctx, mailbox.ID)
	if err != nil {
		return nil, s.reply("select", err)
	}
	s.enter(&selected{id: mailbox.ID, readOnly: o.ReadOnly, view: newView(snapshot)})

	data := &imap.SelectData{
		Flags:       mailboxFlags(snapshot.Keywords),
		NumMessages: uint32(len(snapshot.UIDs)),
		UIDNext:     imap.UID(snapshot.Mailbox.UIDNext),
		UIDValidity: uint32(snapshot.Mailbox.UIDValidity),
	}
	if !o.ReadOnly {
		data.PermanentFlags = append(mailboxFlags(snapshot.Keywords), imap.FlagWildcard)
	}
	if seq, ok := s.box.view.seq(snapshot.Unseen); ok {
		data.FirstUnseenSeqNum = seq
	}
	if s.enabled().Has(imap.CapIMAP4rev2) { // RFC 9051 §6.3.2: LIST is required
		data.List = &imap.ListData{Delim: delimiter, Mailbox: snapshot.Mailbox.Name}
	}
	return data, nil
}

// Unselect ends the selection, for UNSELECT, CLOSE and another SELECT.
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(nil)
	return nil
}
