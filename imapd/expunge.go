package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/store"
)

// Expunge is EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9), and what CLOSE
// does before it closes (§6.4.2).
func (s *session) Expunge(_ *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd, _ := s.conn.current()
	closing := cmd.name == "CLOSE"
	box, err := s.writable()
	if err != nil {
		if closing { // a mailbox opened by EXAMINE is closed and nothing else
			return nil
		}
		return err
	}
	var doomed []store.UID // nil is all
	if uids != nil {
		if doomed, err = box.view.pick(*uids, box.saved); err != nil {
			return s.reply("expunge", err)
		}
		if len(doomed) == 0 {
			return nil
		}
	}
	gone, err := s.store.Expunge(s.ctx, box.id, doomed)
	if err != nil {
		return s.reply("expunge", err)
	}
	if len(gone) > 0 {
		s.log.Info("expunged", "mailbox", box.id, "messages", len(gone))
	}
	if !closing { // RFC 9051 §6.4.2: CLOSE sends no EXPUNGE
		s.catchUp(true)
	}
	return nil
}
