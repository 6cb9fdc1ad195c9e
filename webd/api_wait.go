package webd

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// Waiting for a mail: what a test does after it has pressed "send me a link".
// The hint of store.Watch says when to look again; that it may be lost or early
// does no harm, because a cursor says what has been looked at.

// Bounds on waiting.
const (
	defaultWait    = 15 * time.Second
	maxWait        = 60 * time.Second
	maxWaiters     = 200 // of all users
	maxUserWaiters = 20
	maxArrived     = 100 // messages that a 408 tells of
	maxSeen        = 200 // messages of each mailbox that are looked at without a cursor
)

// waiters counts those who wait.
type waiters struct {
	mu  sync.Mutex
	all int
	of  map[store.UserID]int
}

// enter reports whether one more may wait; then leave must follow.
func (w *waiters) enter(u store.UserID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWaiters || w.of[u] >= maxUserWaiters {
		return false
	}
	if w.of == nil {
		w.of = map[store.UserID]int{}
	}
	w.all++
	w.of[u]++
	return true
}

func (w *waiters) leave(u store.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.of[u]--; w.of[u] == 0 {
		delete(w.of, u)
	}
}

// wanted says which message is waited for.
type wanted struct {
	user    store.User
	to      string // an address of the user's that the message must name, or ""
	subject string // exactly
	texts   map[string]string
}

// containing are the parameters that ask for a text, whatever its case.
var containing = []string{"subject~", "from~", "body~"}

// wanted reads the parameters of a wait.
func (c *call) wanted(q url.Values) (w wanted, err error) {
	if err := c.takes(append(containing, "to", "subject", "after", "timeout")...); err != nil {
		return w, err
	}
	if w.user, err = c.mailOf(q.Get("to")); err != nil {
		return w, err
	}
	if to, err := store.CanonicalAddress(q.Get("to")); err == nil && to != w.user.Address {
		w.to = to
	}
	w.subject = q.Get("subject")
	w.texts = map[string]string{}
	for _, name := range containing {
		if text := message.Fold(q.Get(name)); text != "" {
			w.texts[name] = text
		}
	}
	return w, nil
}

// mailOf is whose mail an address asks for: the caller's own. Everybody's can
// be asked for by an administrator of a demonstration only, where mail is
// nobody's secret; whoever runs a real server can make tokens for its users.
func (c *call) mailOf(address string) (store.User, error) {
	if address == "" {
		return c.user, nil
	}
	to, err := c.s.Store.Resolve(c.Context(), address)
	switch {
	case errors.Is(err, store.ErrBadAddress):
		return c.user, errParameter.about("to")
	case errors.Is(err, store.ErrNoSuchUser), errors.Is(err, store.ErrNotLocal):
		return c.user, errOthers // as for somebody else's: nobody learns who exists
	case err != nil:
		return c.user, err
	}
	if slices.ContainsFunc(to, func(r store.Recipient) bool { return r.User == c.user.ID }) {
		return c.user, nil
	}
	if i := slices.IndexFunc(to, func(r store.Recipient) bool { return r.User != 0 }); i >= 0 && c.s.Demo && c.may(scopeAdmin) {
		return c.s.Store.User(c.Context(), to[i].User)
	}
	return c.user, errOthers
}

// matches reports whether a message is the one.
func (w wanted) matches(ctx context.Context, s *Server, a *arrival) (bool, error) {
	subject := message.DecodeHeader(a.Envelope.Subject)
	if w.subject != "" && subject != w.subject || !strings.Contains(message.Fold(subject), w.texts["subject~"]) {
		return false, nil
	}
	if text := w.texts["from~"]; text != "" && !slices.ContainsFunc(people(a.Envelope.From), func(p person) bool {
		return strings.Contains(message.Fold(p.Name+" <"+p.Address+">"), text)
	}) {
		return false, nil
	}
	if w.to == "" && w.texts["body~"] == "" {
		return true, nil
	}
	var m *store.Message
	err := s.Store.Each(ctx, a.box.ID, []store.UID{a.UID}, store.WantEnvelope|store.WantStructure|store.WantHeader, func(found *store.Message) error {
		m = found
		return nil
	})
	if err != nil || m == nil {
		return false, gone(err)
	}
	if w.to != "" && !names(m, w.to) {
		return false, nil
	}
	b, err := s.Store.OpenBody(ctx, m.Blob)
	if err != nil {
		return false, gone(err)
	}
	defer b.Close()
	text, err := plainText(b, m.Structure, maxShown)
	return strings.Contains(message.Fold(text), w.texts["body~"]), err
}

// gone makes a message that has been deleted meanwhile one that does not
// match.
func gone(err error) error {
	if errors.Is(err, store.ErrExpunged) || errors.Is(err, store.ErrNoSuchMailbox) {
		return nil
	}
	return err
}

// names reports whether a message is for an address by its own words, or by
// those of the server that took it.
func names(m *store.Message, address string) bool {
	for _, p := range people(slices.Concat(m.Envelope.To, m.Envelope.Cc, m.Envelope.Bcc)) {
		if a, err := store.CanonicalAddress(p.Address); err == nil && a == address {
			return true
		}
	}
	received := message.Field(m.Header, "Received")
	return len(received) > 0 && strings.Contains(strings.ToLower(received[0]), "for <"+address+">")
}

type apiFound struct {
	Cursor  string     `json:"cursor"` // behind the message
	Message apiMessage `json:"message"`
}

// patience reads how long to wait: "15s", or a number of seconds.
func patience(text string) (time.Duration, error) {
	if text == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		if d, err = time.ParseDuration(text + "s"); err != nil {
			return 0, errParameter.about("timeout")
		}
	}
	if d < 0 || d > maxWait {
		return 0, errParameter.about("timeout")
	}
	return d, nil
}

// waitForMessage answers with the first message that matches, as soon as it
// is there. Without a cursor it begins with the mail that is there already,
// the newest first.
func waitForMessage(c *call) error {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return errParameter
	}
	w, err := c.wanted(q)
	if err != nil {
		return err
	}
	d, err := patience(q.Get("timeout"))
	if err != nil {
		return err
	}
	from, err := parseCursor(q.Get("after"))
	if err != nil && q.Get("after") != "" {
		return err
	}
	if !c.s.waiters.enter(c.user.ID) {
		return errWaiters
	}
	defer c.s.waiters.leave(c.user.ID)
	// The watch comes first: what arrives from now on gives a hint.
	watch := c.s.Store.Watch(w.user.ID)
	defer watch.Close()
	if q.Get("after") == "" {
		if from, err = c.s.here(c.Context(), w.user.ID); err != nil {
			return err
		}
		a, err := c.s.newest(c.Context(), w)
		if err != nil {
			return err
		}
		if a != nil {
			return c.found(from, a)
		}
	}
	return c.wait(w, from, watch, d)
}

// newest is the last message there is that matches, or nil.
func (s *Server) newest(ctx context.Context, w wanted) (*arrival, error) {
	boxes, err := s.arrivals(ctx, w.user.ID)
	if err != nil {
		return nil, err
	}
	var all []arrival
	for _, m := range boxes {
		some, err := s.Store.Latest(ctx, m.ID, 0, maxSeen)
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			all = append(all, arrival{m, l})
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return b.Received.Compare(a.Received) })
	for i := range all {
		if ok, err := w.matches(ctx, s, &all[i]); ok || err != nil {
			return &all[i], err
		}
	}
	return nil, nil
}

// wait looks at what arrives until a message matches or time is up.
func (c *call) wait(w wanted, from cursor, watch *store.Watch, d time.Duration) error {
	late := time.NewTimer(d)
	defer late.Stop()
	access := c.s.Store.WatchAccess()
	defer access.Close()
	arrived := []apiMessage{}
	for {
		news, next, err := c.s.since(c.Context(), w.user.ID, from)
		if err != nil {
			return err
		}
		if err := c.stillMay(); err != nil { // now that the news have been read
			return err
		}
		for i := range news {
			ok, err := w.matches(c.Context(), c.s, &news[i])
			if err != nil {
				return err
			}
			if ok {
				return c.found(from.past(news[:i+1]), &news[i])
			}
			if len(arrived) < maxArrived {
				arrived = append(arrived, summary(news[i].box, &news[i].Message))
			}
		}
		from = next
		select {
		case <-watch.C():
		case <-access.C():
		case <-late.C:
			return &detailed{errTimeout, map[string]any{"arrived": arrived, "cursor": from.String()}}
		case <-c.s.ctx.Done():
			return errStopping
		case <-c.Context().Done():
			return c.Context().Err()
		}
	}
}

func (c *call) found(behind cursor, a *arrival) error {
	m, err := c.load(a.box.ID, a.UID)
	if err != nil {
		return err
	}
	whole, err := c.s.whole(c.Context(), a.box, m)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, apiFound{behind.String(), whole})
}
