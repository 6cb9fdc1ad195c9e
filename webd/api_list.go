package webd

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// Lists of messages: a mailbox page by page, and what a search has found.

type apiPage struct {
	Messages []apiMessage `json:"messages"`
	Next     string       `json:"next,omitempty"` // where the next, older page is
}

// Bounds on a page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// takes refuses parameters that are not known: a slip of the pen would
// otherwise give another answer than the one that was asked for.
func (c *call) takes(known ...string) error {
	for name := range c.URL.Query() {
		if !slices.Contains(known, name) {
			return errParameter.about(name)
		}
	}
	return nil
}

func (c *call) limit() (int, error) {
	text := cmp.Or(c.URL.Query().Get("limit"), strconv.Itoa(defaultLimit))
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, errParameter.about("limit")
	}
	return n, nil
}

func (c *call) mailbox() (store.Mailbox, error) {
	return c.s.Store.Mailbox(c.Context(), c.user.ID, cmp.Or(c.URL.Query().Get("mailbox"), "INBOX"))
}

// before is where a page begins: at the message that the last one ended with.
func (c *call) before(box store.Mailbox) (store.UID, error) {
	text := c.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	uid, ok := strings.CutPrefix(text, strings.TrimSuffix(apiID(box, 0), "0"))
	n, err := strconv.ParseUint(uid, 10, 32)
	if !ok || err != nil || n == 0 {
		return 0, errParameter.about("before")
	}
	return store.UID(n), nil
}

// listMessages lists a mailbox, newest first.
func listMessages(c *call) error {
	if err := c.takes("mailbox", "limit", "before"); err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	box, err := c.mailbox()
	if err != nil {
		return err
	}
	before, err := c.before(box)
	if err != nil {
		return err
	}
	found, err := c.s.Store.Latest(c.Context(), box.ID, before, limit+1)
	if err != nil {
		return err
	}
	return c.page(box, found, limit)
}

// page answers with a list of one message more than is wanted, if there are.
func (c *call) page(box store.Mailbox, found []store.Listed, limit int) error {
	p := apiPage{Messages: []apiMessage{}}
	for i := range found[:min(limit, len(found))] {
		p.Messages = append(p.Messages, summary(box, &found[i].Message))
	}
	if len(found) > limit {
		q := c.URL.Query()
		q.Set("before", p.Messages[limit-1].ID)
		p.Next = c.URL.Path + "?" + q.Encode()
	}
	return c.json(p)
}

type apiHits struct {
	Messages []apiMessage `json:"messages"`
	Total    int          `json:"total"`
	IMAP     string       `json:"imap"` // the command that asks the same
	Next     string       `json:"next,omitempty"`
}

// searchMessages finds mail by the search of the web pages, newest first.
func searchMessages(c *call) error {
	if err := c.takes("q", "limit", "skip"); err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	params := c.URL.Query()
	skip, err := strconv.Atoi(cmp.Or(params.Get("skip"), "0"))
	if err != nil || skip < 0 || skip > maxSkip {
		return errParameter.about("skip")
	}
	q := parseQuery(params.Get("q"))
	var about found
	boxes, err := c.searched(q, &about)
	if err != nil {
		return err
	}
	if wrong := append(q.Problems, about.Problems...); len(wrong) > 0 {
		return &detailed{errQuery, map[string]any{"term": wrong[0].Term}}
	}
	ctx, cancel := context.WithTimeout(c.Context(), searchTime)
	defer cancel()
	hits := apiHits{Messages: []apiMessage{}, IMAP: q.IMAP()}
	all, err := c.searchIn(ctx, boxes, q)
	if err != nil {
		return err
	}
	for i, box := range boxes {
		uids := all[i]
		hits.Total += len(uids)
		msgs, err := c.s.Store.List(ctx, box.ID, uids[max(0, len(uids)-skip-limit):])
		if err != nil {
			return err
		}
		for i := range msgs {
			hits.Messages = append(hits.Messages, summary(box.Mailbox, &msgs[i].Message))
		}
	}
	slices.SortStableFunc(hits.Messages, func(a, b apiMessage) int { return b.Received.Compare(a.Received) })
	hits.Messages = hits.Messages[min(skip, len(hits.Messages)):]
	hits.Messages = hits.Messages[:min(limit, len(hits.Messages))]
	if next := skip + limit; next < hits.Total && next <= maxSkip {
		params.Set("skip", strconv.Itoa(next))
		hits.Next = c.URL.Path + "?" + params.Encode()
	}
	return c.json(hits)
}
