package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/store"
)

// Store is STORE and UID STORE (RFC 9051 §6.4.6).
func (s *session) Store(_ *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.writable()
	if err != nil {
		return err
	}
	flags, err := parseFlags(change.Flags)
	if err != nil {
		return err
	}
	uids, err := box.view.pick(set, box.saved)
	if err != nil {
		return err
	}
	// First hear what others have done, so that only our own change is kept
	// from being told (RFC 9051 §6.4.6 on .SILENT).
	if s.catchUp(false) != nil {
		return no(imap.ResponseCodeUnavailable, textUnavailable)
	}
	if len(uids) == 0 {
		return nil
	}
	now, err := s.store.SetFlags(s.ctx, box.id, uids, operations[change.Op], flags)
	if err != nil {
		return s.reply("store", err)
	}
	if err := s.tellStored(box, now, change.Silent); err != nil {
		return s.reply("store", err)
	}
	// RFC 2180 §4.2.1 to §4.2.3: who asked for silence hears OK.
	if _, numbers := set.(imap.SeqSet); numbers && len(now) < len(uids) && !change.Silent {
		return s.reply("store", store.ErrExpunged)
	}
	return nil
}

var operations = map[imap.StoreFlagsOp]store.FlagOp{
	imap.StoreFlagsSet: store.SetFlags,
	imap.StoreFlagsAdd: store.AddFlags,
	imap.StoreFlagsDel: store.RemoveFlags,
}

// tellStored tells the flags that a STORE has left, or notes that the client
// knows them.
func (s *session) tellStored(box *selected, now []store.Message, silent bool) error {
	w := responses{s.conn}
	for i := range now {
		m := &now[i]
		if silent {
			box.view.stored(m)
			continue
		}
		if err := s.announce(box, m.Flags); err != nil {
			return err
		}
		if seq, ok := box.view.seq(m.UID); ok {
			if err := w.fetchFlags(seq, m.UID, m.Flags); err != nil {
				return err
			}
			box.view.told(m)
		}
	}
	return nil
}

// announce makes keywords known before they are used.
func (s *session) announce(box *selected, f store.Flags) error {
	if box.view.knows(f.Keywords) {
		return nil
	}
	keywords, err := s.store.Keywords(s.ctx, box.id)
	if err != nil {
		return err
	}
	return box.view.learn(keywords, responses{s.conn})
}
