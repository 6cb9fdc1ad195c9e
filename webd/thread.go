package webd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// What is looked at to put conversations together: enough for those that go
// on, and never the whole of a large folder.
const (
	threadChunk  = 100  // messages read at once
	threadWindow = 2000 // and at most, for one page of a list
	threadAround = 500  // newer and older ones than the one that is read
	threadSent   = 300  // of our own, which are in another folder
)

// conversations groups messages (newest first) by what they refer to, and
// replies that have lost their references by their subject.
func conversations(msgs []store.Listed) [][]*store.Listed {
	parent := make([]int, len(msgs))
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[string]int{} // who has named an identifier, or a subject, first
	join := func(name string, i int) {
		if other, ok := first[name]; ok {
			a, b := root(other), root(i)
			parent[max(a, b)] = min(a, b) // the newest one stands for all
		} else {
			first[name] = i
		}
	}
	for i := range msgs {
		parent[i] = i
		e := msgs[i].Envelope
		for _, id := range append(append([]string{e.MessageID}, e.InReplyTo...), msgs[i].References...) {
			if id != "" {
				join("id "+id, i)
			}
		}
	}
	originals := map[string]int{}
	for i := len(msgs) - 1; i >= 0; i-- { // the oldest first: a reply follows what it answers
		subject, reply := plainSubject(msgs[i].Envelope.Subject)
		if subject == "" {
			continue
		}
		if other, ok := originals[subject]; ok && reply && len(msgs[i].Envelope.InReplyTo) == 0 {
			a, b := root(other), root(i)
			parent[max(a, b)] = min(a, b)
		}
		originals[subject] = i
	}
	var order []int
	groups := map[int][]*store.Listed{}
	for i := range msgs {
		r := root(i)
		if groups[r] == nil {
			order = append(order, r)
		}
		groups[r] = append(groups[r], &msgs[i])
	}
	all := make([][]*store.Listed, len(order))
	for i, r := range order {
		all[i] = groups[r]
	}
	return all
}

var replyPrefix = regexp.MustCompile(`(?i)^\s*(?:(?:re|aw|sv|fwd?|wg|返信|転送)(?:\[\d+\])?\s*[:：]\s*)+`)

// plainSubject is a subject without "Re:", and whether it had one.
func plainSubject(raw string) (subject string, reply bool) {
	subject = message.DecodeHeader(raw)
	plain := replyPrefix.ReplaceAllString(subject, "")
	return message.Fold(plain), plain != subject
}

// listThreads fills a list with conversations, each where its newest message is.
func (v *visit) listThreads(l *listing, before, open store.UID) error {
	var msgs []store.Listed
	var groups [][]*store.Listed
	at := before
	for {
		some, err := v.s.Store.Latest(v.Context(), l.Folder.ID, at, threadChunk)
		if err != nil {
			return err
		}
		msgs = append(msgs, some...)
		groups = conversations(msgs)
		if len(some) < threadChunk {
			break
		}
		at = some[len(some)-1].UID
		if len(groups) >= pageSize || len(msgs) >= threadWindow {
			l.Older = l.Folder.URL() + "?before=" + strconv.FormatUint(uint64(at), 10)
			break
		}
	}
	for _, g := range groups {
		l.Rows = append(l.Rows, v.threadRow(l.Folder, g, open))
	}
	return nil
}

func (v *visit) threadRow(box folder, g []*store.Listed, open store.UID) row {
	r := v.row(box, g[0], open)
	var names, keys []string
	for _, m := range slices.Backward(g) {
		one := v.row(box, m, open)
		r.Unread = r.Unread || one.Unread
		r.Starred = r.Starred || one.Starred
		r.Here = r.Here || one.Here
		r.Attachments = max(r.Attachments, one.Attachments)
		keys = append(keys, one.Key)
		if !slices.Contains(names, one.Who) {
			names = append(names, one.Who)
		}
	}
	if len(names) > 3 {
		names = append(names[:1:1], names[len(names)-2:]...)
	}
	r.Who, r.Count, r.Keys = strings.Join(names, ", "), len(g), strings.Join(keys, " ")
	return r
}

// conversation is the rest of the conversation that a message belongs to,
// the oldest first, with our own answers.
func (v *visit) conversation(box folder, uid store.UID) ([]row, error) {
	msgs, err := v.s.Store.Latest(v.Context(), box.ID, uid+threadAround, 2*threadAround)
	if err != nil {
		return nil, err
	}
	where := map[*store.Listed]folder{}
	count := len(msgs)
	sent, err := v.use(`\Sent`)
	if err != nil {
		return nil, err
	}
	sentFolder := v.folder(sent)
	if sent.ID != box.ID {
		own, err := v.s.Store.Latest(v.Context(), sent.ID, 0, threadSent)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, own...)
	}
	for i := range msgs {
		where[&msgs[i]] = box
		if i >= count {
			where[&msgs[i]] = sentFolder
		}
	}
	for _, g := range conversations(msgs) {
		if !slices.ContainsFunc(g, func(m *store.Listed) bool { return m.UID == uid && where[m].ID == box.ID }) || len(g) < 2 {
			continue
		}
		slices.SortFunc(g, func(a, b *store.Listed) int { return a.Received.Compare(b.Received) })
		var all []row
		for _, m := range g {
			r := v.row(where[m], m, 0)
			r.Here = m.UID == uid && where[m].ID == box.ID
			r.Who = shortNames(m.Envelope.From)
			all = append(all, r)
		}
		return all, nil
	}
	return nil, nil
}

func shortNames(all []message.Address) string {
	var names []string
	for _, a := range all {
		if a.Host != "" {
			names = append(names, shortName(a))
		}
	}
	return strings.Join(names, ", ")
}
