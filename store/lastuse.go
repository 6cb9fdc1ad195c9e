package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// LastUse is when a user was here last, by each way of reading mail; zero is
// never. It is exact to a few minutes.
type LastUse struct{ POP3, IMAP, Web time.Time }

// usePause is how long uses are gathered before they are written: there is at
// most one write in that time, whoever comes and however often.
const usePause = 3 * time.Minute

// The columns of a use, by the name of the service in the log.
var useColumns = map[string]string{"pop3": "last_pop3", "imap": "last_imap", "web": "last_web"}

// uses are those that a reader of the file may not have seen. The last ones
// taken to be written stay for a pause more: whoever has read a user before the
// write was committed adds them after it.
type uses struct {
	mu      sync.Mutex
	pending map[use]time.Time
	taken   map[use]time.Time // by the last write, which may still be under way
	some    chan struct{}     // capacity 1: there is something to write
}

type use struct {
	user    UserID
	service string
}

// NoteUse notes that a user has just logged in to a service ("pop3", "imap")
// or used it ("web"); others are not noted. It waits for nothing: the server
// writes it down later.
func (s *Store) NoteUse(u UserID, service string) {
	if useColumns[service] == "" || s.uses.some == nil {
		return
	}
	now := s.now()
	s.uses.mu.Lock()
	s.uses.pending[use{u, service}] = now
	s.uses.mu.Unlock()
	select {
	case s.uses.some <- struct{}{}:
	default:
	}
}

// add puts what may not have been written yet into a user that was read.
func (u *uses) add(to *User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for service, last := range map[string]*time.Time{"pop3": &to.Last.POP3, "imap": &to.Last.IMAP, "web": &to.Last.Web} {
		for _, noted := range []map[use]time.Time{u.taken, u.pending} {
			if at, ok := noted[use{to.ID, service}]; ok {
				*last = at
			}
		}
	}
}

// init makes the store one that notes uses.
func (u *uses) init() { u.pending, u.some = map[use]time.Time{}, make(chan struct{}, 1) }

// keepUses writes uses down, the first at once and others when the pause is
// over, until ctx ends; what is noted then is written too.
func (s *Store) keepUses(ctx context.Context) {
	for {
		select {
		case <-s.uses.some:
		case <-ctx.Done():
			s.writeUses()
			return
		}
		s.writeUses()
		select {
		case <-time.After(usePause):
		case <-ctx.Done():
		}
	}
}

func (s *Store) writeUses() {
	s.uses.mu.Lock()
	noted := s.uses.pending
	s.uses.pending, s.uses.taken = map[use]time.Time{}, noted
	s.uses.mu.Unlock()
	if len(noted) == 0 {
		return
	}
	err := s.write(context.Background(), func(t *tx) error {
		for u, at := range noted {
			if err := t.must(fmt.Sprintf(`UPDATE user SET %s = $1 WHERE id = $2`, useColumns[u.service]), at.UnixMilli(), u.user); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.Error("failed", "doing", "note who was here", "err", err)
	}
}
