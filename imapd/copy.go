package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/store"
)

// Copy is COPY and UID COPY (RFC 9051 §6.4.7).
func (s *session) Copy(set imap.NumSet, name string) (*imap.CopyData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.current()
	if err != nil {
		return nil, err
	}
	uids, to, err := s.target(box, set, name)
	if err != nil || len(uids) == 0 {
		return nil, err
	}
	pairs, validity, err := s.store.Copy(s.ctx, box.id, uids, to.ID)
	if err != nil {
		return nil, s.tryCreate("copy", err)
	}
	return copied(pairs, validity), nil
}

// Move is MOVE and UID MOVE (RFC 9051 §6.4.8).
func (s *session) Move(w *imapserver.MoveWriter, set imap.NumSet, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.writable()
	if err != nil {
		return err
	}
	uids, to, err := s.target(box, set, name)
	if err != nil || len(uids) == 0 {
		return err
	}
	pairs, validity, err := s.store.Move(s.ctx, box.id, uids, to.ID)
	if err != nil {
		return s.tryCreate("move", err)
	}
	if data := copied(pairs, validity); data != nil {
		// RFC 9051 §6.4.8: COPYUID comes before EXPUNGE.
		if err := w.WriteCopyData(data); err != nil {
			return s.reply("move", err)
		}
	}
	s.catchUp(true)
	return nil
}

// target resolves what is copied, and where to. A sequence number whose
// message is gone fails the command, since COPY is all or nothing; the client
// hears at once that it is gone. RFC 2180 §4.4.1
func (s *session) target(box *selected, set imap.NumSet, name string) ([]store.UID, store.Mailbox, error) {
	to, err := s.mailbox(name)
	if err != nil {
		return nil, to, s.tryCreate("copy", err)
	}
	uids, err := box.view.pick(set, box.saved)
	if err != nil {
		return nil, to, err
	}
	if _, numbers := set.(imap.SeqSet); numbers && box.view.lost(uids) {
		s.catchUp(true) // the library would not, after NO
		return nil, to, s.reply("copy", store.ErrExpunged)
	}
	return uids, to, nil
}

// copied says what became what, or nothing when nothing was copied.
// RFC 4315 §3
func copied(pairs []store.UIDPair, validity store.UIDValidity) *imap.CopyData {
	if len(pairs) == 0 {
		return nil
	}
	var from, to []store.UID
	for _, p := range pairs { // both ascend
		from, to = append(from, p.From), append(to, p.To)
	}
	return &imap.CopyData{UIDValidity: uint32(validity), SourceUIDs: ranges(from), DestUIDs: ranges(to)}
}
