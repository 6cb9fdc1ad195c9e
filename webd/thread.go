package webd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// What is looked at to put conversations together. A list groups those
// messages that it has read, and never reads the whole of a large folder: what
// is further apart than threadWindow stands in it twice. The conversation of
// the one that is read is whole, in all folders, as far as the messages name
// each other; replies that have lost their references are found near by.
const (
	threadChunk  = 100  // messages read at once
	threadWindow = 2000 // and at most, for one page of a list
	threadAround = 100  // newer and older ones than the one that is read
	threadSent   = 100  // of our own, which are in another folder
	threadWhole  = 500  // that name each other
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
		for _, id := range msgs[i].Idents() {
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
func (v *visit) listThreads(l *listing, open store.UID) error {
	var msgs []store.Listed
	var groups [][]*store.Listed
	for {
		some, err := v.s.Store.Newest(v.Context(), l.Folder.ID, l.At+len(msgs), threadChunk)
		if err != nil {
			return err
		}
		msgs = append(msgs, some...)
		groups = conversations(msgs)
		if len(some) < threadChunk {
			break
		}
		if len(groups) >= pageSize || len(msgs) >= threadWindow {
			l.Older = l.Folder.URL() + "?at=" + strconv.Itoa(l.At+len(msgs))
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
// the oldest first, with our own answers. Junk and what was thrown away are
// no part of it, unless they are what is read.
func (v *visit) conversation(box folder, uid store.UID) ([]row, error) {
	folders, err := v.folders("")
	if err != nil {
		return nil, err
	}
	in := map[store.MailboxID]folder{}
	sent := store.MailboxID(0)
	for _, f := range folders {
		if !f.Is("junk") && !f.Is("trash") || f.ID == box.ID {
			in[f.ID] = f
		}
		if f.Is("send") && f.ID != box.ID {
			sent = f.ID
		}
	}
	place, err := v.s.Store.Place(v.Context(), box.ID, uid)
	if err != nil {
		return nil, err
	}
	all, err := v.nearBy(box.ID, max(0, place-threadAround), 2*threadAround)
	if err == nil && sent != 0 {
		var own []store.Placed
		own, err = v.nearBy(sent, 0, threadSent)
		all = append(all, own...)
	}
	if err != nil {
		return nil, err
	}
	is := func(p store.Placed) bool { return p.UID == uid && p.Mailbox == box.ID }
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return nil, nil
	}
	whole, err := v.s.Store.Conversation(v.Context(), v.user.ID, all[i].Idents(), threadWhole)
	if err != nil {
		return nil, err
	}
	for _, p := range whole {
		if _, shown := in[p.Mailbox]; shown && !slices.ContainsFunc(all, func(o store.Placed) bool { return o.Mailbox == p.Mailbox && o.UID == p.UID }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b store.Placed) int { return b.Received.Compare(a.Received) })
	msgs := make([]store.Listed, len(all))
	where := map[*store.Listed]store.MailboxID{}
	for i, p := range all {
		msgs[i] = p.Listed
		where[&msgs[i]] = p.Mailbox
	}
	here := func(m *store.Listed) bool { return m.UID == uid && where[m] == box.ID }
	for _, g := range conversations(msgs) {
		if !slices.ContainsFunc(g, here) || len(g) < 2 {
			continue
		}
		var rows []row
		for _, m := range slices.Backward(g) {
			r := v.row(in[where[m]], m, 0)
			r.Here = here(m)
			r.Who = shortNames(m.Envelope.From)
			rows = append(rows, r)
		}
		return rows, nil
	}
	return nil, nil
}

// nearBy are the messages of a mailbox from a place on.
func (v *visit) nearBy(id store.MailboxID, from, n int) ([]store.Placed, error) {
	msgs, err := v.s.Store.Newest(v.Context(), id, from, n)
	var all []store.Placed
	for _, m := range msgs {
		all = append(all, store.Placed{Mailbox: id, Listed: m})
	}
	return all, err
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
