package webd

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) searchRoutes(m *routes) {
	m.user("GET /search", s.search)
}

const (
	searchTime = 20 * time.Second // what one search may take
	maxSkip    = 2000             // how far back its pages go
)

// found is what a search says about itself.
type found struct {
	Text     string
	Count    int
	IMAP     string
	Near     bool   // IMAP asks for something else, which is close
	Folder   string // where it looked, or "" for everywhere but junk and trash
	Problems []problemWith
	TooMany  bool // not all can be paged through
}

func (s *Server) search(v *visit) error {
	list, err := v.searchList(store.UID(0), "")
	if err != nil {
		return err
	}
	return v.renderMail("", v.T("search.title"), list, nil)
}

// listBeside is the list that stands beside a message: the search it was
// found by, else its folder.
func (v *visit) listBeside(box folder, open store.UID) (*listing, error) {
	switch {
	case v.Header.Get("X-Pane") == "reader":
		return nil, nil
	case v.URL.Query().Get("q") != "":
		return v.searchList(open, box.Name)
	}
	return v.list(box, open)
}

// searchList does the search of the URL.
func (v *visit) searchList(open store.UID, openIn string) (*listing, error) {
	text := v.URL.Query().Get("q")
	skip, _ := strconv.Atoi(v.URL.Query().Get("skip"))
	skip = min(max(skip, 0), maxSkip)
	q := parseQuery(text)
	l := &listing{Search: &found{Text: text, IMAP: q.IMAP(), Near: q.Attachment != 0, Problems: q.Problems}, At: skip}
	l.Folder.Label = v.T("search.title")
	boxes, err := v.searched(q, l.Search)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(v.Context(), searchTime)
	defer cancel()
	type hit struct {
		box folder
		m   store.Listed
	}
	var hits []hit
	all, err := v.searchIn(ctx, boxes, q)
	if err != nil {
		return nil, err
	}
	for i, box := range boxes {
		uids := all[i]
		l.Search.Count += len(uids)
		newest := uids[max(0, len(uids)-skip-pageSize-1):]
		if len(newest) == 0 {
			continue
		}
		msgs, err := v.s.Store.List(ctx, box.ID, newest)
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			hits = append(hits, hit{box, m})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return b.m.Received.Compare(a.m.Received) })
	hits = hits[min(skip, len(hits)):]
	if len(hits) > pageSize {
		hits = hits[:pageSize]
		if l.Search.TooMany = skip+pageSize > maxSkip; !l.Search.TooMany {
			l.Older = "/search?" + url.Values{"q": {text}, "skip": {strconv.Itoa(skip + pageSize)}}.Encode()
		}
	}
	for _, h := range hits {
		at := store.UID(0)
		if h.box.Name == openIn {
			at = open
		}
		r := v.row(h.box, &h.m, at)
		if len(boxes) > 1 {
			r.Folder = h.box.Path
		}
		r.URL = with(r.URL, "q", text)
		l.Rows = append(l.Rows, r)
	}
	return l, nil
}

// searched are the folders that a search looks at.
func (v *visit) searched(q query, about *found) ([]folder, error) {
	all, err := v.folders("")
	if err != nil {
		return nil, err
	}
	if q.In == "" {
		return slices.DeleteFunc(all, func(f folder) bool { return f.Is("junk") || f.Is("trash") }), nil
	}
	if strings.EqualFold(q.In, "all") || strings.EqualFold(q.In, "anywhere") {
		return all, nil
	}
	for _, f := range all {
		for _, name := range []string{f.Name, f.Label, f.Path, f.Slug(), strings.TrimPrefix(f.SpecialUse, `\`)} {
			if strings.EqualFold(name, q.In) {
				about.Folder = f.Path
				return []folder{f}, nil
			}
		}
	}
	about.Problems = append(about.Problems, problemWith{"in:" + q.In, "search.bad-in"})
	return nil, nil
}

// searchIn finds the messages of each folder, UIDs ascending.
func (v *visit) searchIn(ctx context.Context, boxes []folder, q query) ([][]store.UID, error) {
	ids := make([]store.MailboxID, len(boxes))
	for i, box := range boxes {
		ids[i] = box.ID
	}
	all, err := v.s.Store.SearchIn(ctx, ids, q.Query)
	if err != nil || q.Attachment == 0 {
		return all, err
	}
	for i, uids := range all {
		if len(uids) == 0 {
			continue
		}
		with, err := v.s.Store.WithAttachments(ctx, ids[i])
		if err != nil {
			return nil, err
		}
		all[i] = slices.DeleteFunc(uids, func(u store.UID) bool {
			_, has := slices.BinarySearch(with, u)
			return has != (q.Attachment > 0)
		})
	}
	return all, nil
}
