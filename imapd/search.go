package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/store"
)

// Search is SEARCH and UID SEARCH (RFC 9051 §6.4.4), with ESEARCH and
// SEARCHRES.
func (s *session) Search(kind imapserver.NumKind, c *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.current()
	if err != nil {
		return nil, err
	}
	uids, err := s.search(box, c)
	if err != nil {
		if o.ReturnSave { // RFC 5182 §2.1
			box.saved = nil
		}
		return nil, s.reply("search", err)
	}
	found := results(box.view, uids, kind)
	if o.ReturnSave {
		box.saved = savedBy(o, uids)
	}
	return found, nil
}

// search finds messages that the client counts. Those it has not been told of
// are left out, and so are those that are gone.
func (s *session) search(box *selected, c *imap.SearchCriteria) ([]store.UID, error) {
	q, err := box.query(c)
	if err != nil {
		return nil, err
	}
	all, err := s.store.Search(s.ctx, box.id, q)
	if err != nil {
		return nil, err
	}
	uids := all[:0]
	for _, u := range all {
		if _, ok := box.view.seq(u); ok && !box.view.gone[u] {
			uids = append(uids, u)
		}
	}
	return uids, nil
}

// results writes what was found in the numbers that were asked for.
func results(v *view, uids []store.UID, kind imapserver.NumKind) *imap.SearchData {
	data := &imap.SearchData{Count: uint32(len(uids))}
	if kind == imapserver.NumKindUID {
		data.All = ranges(uids)
		if len(uids) > 0 {
			data.Min, data.Max = uint32(uids[0]), uint32(uids[len(uids)-1])
		}
		return data
	}
	seqs := make([]uint32, len(uids))
	for i, u := range uids {
		seqs[i], _ = v.seq(u)
	}
	data.All = seqRanges(seqs)
	if len(seqs) > 0 {
		data.Min, data.Max = seqs[0], seqs[len(seqs)-1]
	}
	return data
}

// savedBy is what "$" stands for after a search. RFC 5182 §2.4
func savedBy(o *imap.SearchOptions, uids []store.UID) []store.UID {
	if len(uids) == 0 || o.ReturnAll || o.ReturnCount || !o.ReturnMin && !o.ReturnMax {
		return uids
	}
	var saved []store.UID
	if o.ReturnMin {
		saved = append(saved, uids[0])
	}
	if o.ReturnMax {
		saved = append(saved, uids[len(uids)-1])
	}
	return ascending(saved)
}

// nothing is a query that no message fits.
var nothing = store.Query{Not: []store.Query{{}}}

// query puts a search into the store's terms. How deep it goes has been
// bounded before the library parsed it (searchline.go).
func (b *selected) query(c *imap.SearchCriteria) (store.Query, error) {
	q := store.Query{
		Since: c.Since, Before: c.Before, SentSince: c.SentSince, SentBefore: c.SentBefore,
		Body: c.Body, Text: c.Text,
	}
	if c.Larger > 0 {
		q.Larger = &c.Larger
	}
	if c.Smaller > 0 {
		q.Smaller = &c.Smaller
	}
	for _, h := range c.Header {
		q.Header = append(q.Header, store.HeaderTerm{Name: h.Key, Value: h.Value})
	}
	if !queryFlags(&q, c) {
		return nothing, nil
	}
	for _, set := range c.SeqNum {
		if err := b.restrict(&q, set); err != nil {
			return q, err
		}
	}
	for _, set := range c.UID {
		if err := b.restrict(&q, set); err != nil {
			return q, err
		}
	}
	for i := range c.Not {
		not, err := b.query(&c.Not[i])
		if err != nil {
			return q, err
		}
		q.Not = append(q.Not, not)
	}
	for i := range c.Or {
		left, err := b.query(&c.Or[i][0])
		if err != nil {
			return q, err
		}
		right, err := b.query(&c.Or[i][1])
		if err != nil {
			return q, err
		}
		q.Or = append(q.Or, [2]store.Query{left, right})
	}
	return q, nil
}

// queryFlags sets the flags of q. It reports false when \Recent is asked for,
// which no message has (RFC 9051 Appendix E).
func queryFlags(q *store.Query, c *imap.SearchCriteria) bool {
	for _, f := range c.Flag {
		switch bit, ok := systemFlag(f); {
		case ok:
			q.Flags |= bit
		case strings.EqualFold(string(f), `\Recent`):
			return false
		default:
			q.Keywords = append(q.Keywords, string(f))
		}
	}
	for _, f := range c.NotFlag {
		switch bit, ok := systemFlag(f); {
		case ok:
			q.NotFlags |= bit
		case !strings.EqualFold(string(f), `\Recent`):
			q.NotKeywords = append(q.NotKeywords, string(f))
		}
	}
	return true
}

// restrict narrows q to a set of the client's.
func (b *selected) restrict(q *store.Query, set imap.NumSet) error {
	if u, ok := set.(imap.UIDSet); ok && !imap.IsSearchRes(set) && len(u) == 1 && u[0].Start == 1 && u[0].Stop == 0 {
		return nil // "UID 1:*" is all
	}
	uids, err := b.view.pick(set, b.saved)
	if err != nil {
		return err
	}
	var within []store.UIDRange // empty: no message is in it
	for _, r := range ranges(uids) {
		within = append(within, store.UIDRange{First: store.UID(r.Start), Last: store.UID(r.Stop)})
	}
	q.UIDs = append(q.UIDs, within)
	return nil
}
