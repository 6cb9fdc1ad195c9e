package webd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) liveRoutes(m *routes) {
	m.user("GET /live", s.live)
}

// A page hears of changes by server-sent events. The identifier of an event
// is a cursor: where the store's changes have been told up to, mailbox by
// mailbox. A browser that was away hands it back (Last-Event-ID) and is told
// what it has missed, because the changes themselves are in the store.

const (
	keepAlive   = 25 * time.Second // so that nothing in between takes the stream for dead
	retryAfter  = 2 * time.Second  // until a browser comes again
	takeTime    = 10 * time.Second // for a browser to take an event
	maxStreams  = 30               // of one user
	maxTold     = 300              // changes in one event; more make the page load itself again
	streamLimit = 12 * time.Hour   // then the browser comes again
)

// folderNews is what the side pane shows of a folder.
type folderNews struct {
	Box      string `json:"box"`
	Count    uint32 `json:"count"`
	Messages uint32 `json:"messages"`
}

// change is what happened in one folder.
type change struct {
	Box     string      `json:"box"`
	Flags   []flagsNews `json:"flags,omitempty"`
	Gone    []store.UID `json:"gone,omitempty"`
	TooMuch bool        `json:"reload,omitempty"`
	Count   uint32      `json:"messages"`
	Total   string      `json:"total"` // the same in words
}

// flagsNews is a message that is new, or whose flags have changed.
type flagsNews struct {
	UID      store.UID `json:"uid"`
	Unread   bool      `json:"unread,omitempty"`
	Starred  bool      `json:"starred,omitempty"`
	Answered bool      `json:"answered,omitempty"`
	Deleted  bool      `json:"deleted,omitempty"`
}

// told is up to where each mailbox has been told.
type told map[store.MailboxID]store.ModSeq

func (c told) String() string {
	var all []string
	for id, at := range c {
		all = append(all, strconv.FormatInt(int64(id), 36)+":"+strconv.FormatUint(uint64(at), 36))
	}
	return strings.Join(all, ",")
}

// parseTold reads a cursor back; what cannot be read is not in it.
func parseTold(s string) told {
	c := told{}
	for one := range strings.SplitSeq(s, ",") {
		id, at, _ := strings.Cut(one, ":")
		i, err := strconv.ParseInt(id, 36, 64)
		m, err2 := strconv.ParseUint(at, 36, 63)
		if err == nil && err2 == nil && len(c) < 20_000 {
			c[store.MailboxID(i)] = store.ModSeq(m)
		}
	}
	return c
}

// live is the stream of one page.
func (s *Server) live(v *visit) error {
	if n := v.session.streams.Add(1); n > maxStreams {
		v.session.streams.Add(-1)
		return &problem{http.StatusTooManyRequests, "error.limit"}
	}
	defer v.session.streams.Add(-1)
	watch := s.Store.Watch(v.user.ID)
	defer watch.Close()
	at := parseTold(v.Header.Get("Last-Event-ID"))
	if q := v.URL.Query().Get("at"); len(at) == 0 && q != "" {
		at = parseTold(q)
	}
	return v.stream(func(send sender) error {
		over := func() error { return send("", "over", "{}") }
		alive := time.NewTicker(keepAlive)
		defer alive.Stop()
		limit := time.NewTimer(streamLimit)
		defer limit.Stop()
		for {
			if err := v.stillValid(v.session); isOver(err) {
				return over()
			} else if err != nil {
				return err
			}
			if err := v.tell(at, send); err != nil {
				return err
			}
			select {
			case <-watch.C():
			case <-alive.C:
				if err := send("", "", ""); err != nil {
					return err
				}
			case <-v.session.ended:
				return over()
			case <-limit.C:
				return nil
			case <-v.Context().Done():
				return nil
			case <-s.ctx.Done():
				return nil
			}
		}
	})
}

// sender sends an event. One without a name is a comment, which keeps the
// connection open.
type sender func(id, event, data string) error

// errGone ends a stream whose reader has gone.
var errGone = errors.New("the reader has gone")

// stream answers with server-sent events.
func (v *visit) stream(run func(send sender) error) error {
	rc := http.NewResponseController(v.w)
	v.answered = true
	v.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	v.w.Header().Set("X-Accel-Buffering", "no")
	write := func(text string) error {
		_ = rc.SetWriteDeadline(time.Now().Add(takeTime)) // not every writer can, tests' for one
		_, err := io.WriteString(v.w, text)
		if err == nil {
			err = rc.Flush()
		}
		if err != nil {
			return errGone
		}
		return nil
	}
	err := write(fmt.Sprintf("retry: %d\n\n", retryAfter.Milliseconds()))
	if err == nil {
		err = run(func(id, event, data string) error {
			if event == "" {
				return write(":\n\n")
			}
			if id != "" {
				id = "id: " + id + "\n"
			}
			return write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, event, data))
		})
	}
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// tell writes what has happened since, and moves the cursor.
func (v *visit) tell(told told, send sender) error {
	ctx := v.Context()
	boxes, err := v.s.Store.Mailboxes(ctx, v.user.ID)
	if err != nil {
		return err
	}
	var news []folderNews
	var changes []change
	there := map[store.MailboxID]bool{}
	moved := false
	for _, m := range boxes {
		there[m.ID] = true
		if since, known := told[m.ID]; !known {
			moved = true // a stream that begins: the page shows how it is
		} else if since < m.ModSeq {
			moved = true
			c, now, err := v.changesIn(ctx, m, since)
			if errors.Is(err, store.ErrNoSuchMailbox) {
				continue
			}
			if err != nil {
				return err
			}
			changes = append(changes, c)
			m = now // what has been told is what the counts are of
		}
		told[m.ID] = m.ModSeq
		f := v.folder(m)
		news = append(news, folderNews{f.Slug(), f.Count, m.Messages})
	}
	for id := range told {
		if !there[id] {
			delete(told, id)
			moved = true
		}
	}
	if n := v.session.takeWarning(); n != nil {
		if err := send.json("", "notice", n); err != nil {
			return err
		}
	}
	if !moved {
		return nil
	}
	return send.json(told.String(), "mail", map[string]any{"folders": news, "changes": changes})
}

// changesIn is what has happened in a mailbox, and the mailbox after it.
func (v *visit) changesIn(ctx context.Context, m store.Mailbox, since store.ModSeq) (change, store.Mailbox, error) {
	c, err := v.s.Store.Changes(ctx, m.ID, since)
	if err != nil {
		return change{}, m, err
	}
	n := int(c.Mailbox.Messages)
	out := change{Box: slug(m.Name), Count: c.Mailbox.Messages, Total: v.T("list.total", n, number(n))}
	if out.TooMuch = len(c.Changed)+len(c.Expunged) > maxTold; out.TooMuch {
		return out, c.Mailbox, nil
	}
	out.Gone = c.Expunged
	for _, m := range c.Changed {
		out.Flags = append(out.Flags, flagsNews{m.UID, !m.Flags.Has(store.Seen), m.Flags.Has(store.Flagged), m.Flags.Has(store.Answered), m.Flags.Has(store.Deleted)})
	}
	return out, c.Mailbox, nil
}

func (send sender) json(id, event string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return send(id, event, string(b))
}
