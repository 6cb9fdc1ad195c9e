package imapd

import (
	"errors"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
)

// idleCheck is how often an idle session looks without having been woken:
// hints may be lost (I6).
const idleCheck = time.Minute

// Poll tells the client what has changed, before the end of a command. It
// never fails: the library would drop the connection without a word, and what
// could not be told now can be told next time.
func (s *session) Poll(_ *imapserver.UpdateWriter, mayExpunge bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch == nil {
		return nil
	}
	select {
	case <-s.watch.C():
		if !s.stillWelcome() {
			return nil
		}
	default:
	}
	s.catchUp(mayExpunge)
	return nil
}

// Idle is the IDLE command (RFC 9051 §6.3.13), also with nothing selected.
func (s *session) Idle(_ *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch == nil {
		return nil
	}
	s.conn.peer.SetState(listen.Idling)
	defer s.resume()
	look := time.NewTicker(idleCheck)
	defer look.Stop()
	for s.listen(stop) {
		select {
		case <-watch.C():
		case <-look.C:
		case <-stop:
		case <-s.ctx.Done():
		}
	}
	return nil
}

// resume is the end of IDLE for whoever looks at the session.
func (s *session) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.peer.SetState(s.state())
}

// listen tells an idle client what has changed, and reports whether to go on.
// Once stop is closed the client may have sent another command, during which
// EXPUNGE may be forbidden, so nothing more is said.
func (s *session) listen(stop <-chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-stop:
		return false
	case <-s.ctx.Done():
		return false
	default:
	}
	if s.watch == nil || !s.stillWelcome() {
		return false
	}
	return s.catchUp(true) == nil && s.conn.flush() == nil
}

// catchUp brings the client up to date with the selected mailbox; mu is held.
// Its error has been dealt with.
func (s *session) catchUp(mayExpunge bool) error {
	if s.box == nil {
		return nil
	}
	v := s.box.view
	changes, err := s.store.Changes(s.ctx, s.box.id, v.modseq)
	if err == nil {
		err = v.advance(changes, mayExpunge, responses{s.conn})
	}
	switch {
	case err == nil:
	case errors.Is(err, store.ErrNoSuchMailbox):
		// RFC 2180 §3.2 leaves the choice; a client that reconnects sees
		// for itself.
		s.enter(nil)
		s.conn.leave("The selected mailbox has been deleted")
	default:
		s.reply("poll", err)
	}
	return err
}

// responses writes what a view has to say. It goes around the library, whose
// own writers do not exist in every command that needs them; between two
// responses that is safe, because the library flushes after each of its own.
type responses struct{ conn *conn }

func (r responses) expunge(seq uint32) error {
	return r.line(strconv.AppendUint([]byte("* "), uint64(seq), 10), " EXPUNGE\r\n")
}

func (r responses) exists(n uint32) error {
	return r.line(strconv.AppendUint([]byte("* "), uint64(n), 10), " EXISTS\r\n")
}

func (r responses) fetchFlags(seq uint32, uid store.UID, f store.Flags) error {
	b := strconv.AppendUint([]byte("* "), uint64(seq), 10)
	b = append(b, " FETCH (UID "...)
	b = strconv.AppendUint(b, uint64(uid), 10)
	b = append(b, " FLAGS ("...)
	for i, flag := range flagsOf(f) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, flag...)
	}
	return r.line(b, "))\r\n")
}

func (r responses) flags(keywords []string) error {
	b := []byte("* FLAGS (")
	for i, flag := range mailboxFlags(keywords) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, flag...)
	}
	return r.line(b, ")\r\n")
}

func (r responses) line(b []byte, end string) error {
	_, err := r.conn.Write(append(b, end...))
	return err
}
