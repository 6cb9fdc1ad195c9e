package webd

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// A cursor is a place in time: for each mailbox where mail arrives, the modseq
// up to which it has been looked at and the UID that the next mail will have at
// least. Modseq says cheaply what has happened since, the UID tells a mail that
// arrived from one that somebody has read.

// place is how far one mailbox has been looked at.
type place struct {
	box      store.MailboxID
	validity store.UIDValidity
	next     store.UID
	modseq   store.ModSeq
}

// cursor is a place in each mailbox where mail arrives.
type cursor []place

func (c cursor) String() string {
	var b strings.Builder
	for _, p := range c {
		fmt.Fprintf(&b, "%d:%d:%d:%d,", p.box, p.validity, p.next, p.modseq)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(b.String()))
}

// parseCursor reads what String wrote. What somebody else made up leads
// nowhere: mailboxes are looked for among the user's own.
func parseCursor(text string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > 4096 {
		return nil, errCursor
	}
	for item := range strings.SplitSeq(strings.TrimSuffix(string(b), ","), ",") {
		var p place
		if n, err := fmt.Sscanf(item, "%d:%d:%d:%d", &p.box, &p.validity, &p.next, &p.modseq); n != 4 || err != nil {
			return nil, errCursor
		}
		c = append(c, p)
	}
	return c, nil
}

// of is the place in a mailbox; in one that is new, its beginning.
func (c cursor) of(m store.Mailbox) place {
	for _, p := range c {
		if p.box == m.ID && p.validity == m.UIDValidity {
			return p
		}
	}
	return place{box: m.ID, validity: m.UIDValidity, next: 1}
}

// arrivals are the mailboxes that deliveries go to.
func (s *Server) arrivals(ctx context.Context, u store.UserID) ([]store.Mailbox, error) {
	boxes, err := s.Store.Mailboxes(ctx, u)
	return slices.DeleteFunc(boxes, func(m store.Mailbox) bool { return m.Name != "INBOX" && m.SpecialUse != `\Junk` }), err
}

// here is the cursor of this moment.
func (s *Server) here(ctx context.Context, u store.UserID) (c cursor, err error) {
	boxes, err := s.arrivals(ctx, u)
	for _, m := range boxes {
		c = append(c, place{m.ID, m.UIDValidity, m.UIDNext, m.ModSeq})
	}
	return c, err
}

// arrival is a message and where it is.
type arrival struct {
	box store.Mailbox
	store.Listed
}

// since lists what has arrived after a cursor, in order, and the cursor after
// that.
func (s *Server) since(ctx context.Context, u store.UserID, from cursor) (news []arrival, to cursor, err error) {
	boxes, err := s.arrivals(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range boxes {
		p := from.of(m)
		changes, err := s.Store.Changes(ctx, m.ID, p.modseq)
		if errors.Is(err, store.ErrNoSuchMailbox) {
			continue // deleted a moment ago
		}
		if err != nil {
			return nil, nil, err
		}
		var uids []store.UID
		for _, c := range changes.Changed {
			if c.UID >= p.next {
				uids = append(uids, c.UID)
			}
		}
		found, err := s.Store.List(ctx, m.ID, uids)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range found {
			news = append(news, arrival{m, l})
		}
		box := changes.Mailbox
		to = append(to, place{box.ID, box.UIDValidity, max(p.next, box.UIDNext), max(p.modseq, box.ModSeq)})
	}
	slices.SortStableFunc(news, func(a, b arrival) int {
		if a.box.ID == b.box.ID {
			return int(int64(a.UID) - int64(b.UID))
		}
		return a.Received.Compare(b.Received)
	})
	return news, to, nil
}

// past is the cursor behind a message: those after it are still to come.
func (c cursor) past(seen []arrival) cursor {
	c = slices.Clone(c)
	for _, a := range seen {
		i := slices.IndexFunc(c, func(p place) bool { return p.box == a.box.ID && p.validity == a.box.UIDValidity })
		if i < 0 {
			c = append(c, cursor(nil).of(a.box))
			i = len(c) - 1
		}
		c[i].next = max(c[i].next, a.UID+1)
	}
	return c
}

type apiCursor struct {
	Cursor string `json:"cursor"`
}

// makeCursor says where now is.
func makeCursor(c *call) error {
	u, err := c.mailOf(c.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	here, err := c.s.here(c.Context(), u.ID)
	if err != nil {
		return err
	}
	return c.json(apiCursor{here.String()})
}
