package webd

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// Suggestions: whom one may want to write to, and what a search can ask for.
// A field asks once, when it gets the focus, and narrows down by itself what
// it was given.

func (s *Server) suggestRoutes(m *routes) {
	m.user("GET /suggestions", s.suggestions)
}

// suggestion is something that a field can be filled with.
type suggestion struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // what it means, or the name that belongs to it
}

type suggestions struct {
	People    []suggestion `json:"people"`    // recipients as one types them; the hint is the bare address
	Operators []suggestion `json:"operators"` // of a search: one that ends with ":" wants a value
	Folders   []suggestion `json:"folders"`   // to search in
}

// searchHints are the operators that are suggested, in that order, and the
// keys of what they mean.
var searchHints = []struct{ text, key string }{
	{"from:", "search.op-from"}, {"to:", "search.op-to"}, {"subject:", "search.op-subject"}, {"body:", "search.op-body"},
	{"has:attachment", "search.op-attachment"}, {"is:unread", "search.op-unread"}, {"is:starred", "search.op-starred"}, {"is:answered", "search.op-answered"},
	{"in:", "search.op-in"}, {"after:", "search.op-after"}, {"before:", "search.op-before"}, {"larger:", "search.op-larger"},
}

func (s *Server) suggestions(v *visit) error {
	all := suggestions{People: []suggestion{}}
	known, err := s.acquaintances(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	for _, a := range known {
		all.People = append(all.People, suggestion{typed([]message.Address{a}), addressText(a)})
	}
	for _, h := range searchHints {
		all.Operators = append(all.Operators, suggestion{h.text, v.T(h.key)})
	}
	folders, err := v.folders("")
	if err != nil {
		return err
	}
	for _, f := range folders {
		name := f.Name
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '\u3000' }) {
			name = `"` + name + `"`
		}
		all.Folders = append(all.Folders, suggestion{"in:" + name, f.Path})
	}
	return v.json(all)
}

// Bounds on looking for people.
const (
	peopleWindow = 1000 // of the newest messages of a folder
	maxPeople    = 300
)

// acquaintances are the people that a user has written to or heard from of
// late, those first with whom they have most to do: the newest messages of
// the inbox, the archive and what was sent tell. Junk recommends nobody.
func (s *Server) acquaintances(ctx context.Context, u store.UserID) ([]message.Address, error) {
	boxes, err := s.Store.Mailboxes(ctx, u)
	if err != nil {
		return nil, err
	}
	type acquaintance struct {
		message.Address
		weight float64
	}
	known := map[string]*acquaintance{}
	for _, m := range boxes {
		if m.Name != "INBOX" && m.SpecialUse != `\Sent` && m.SpecialUse != `\Archive` {
			continue
		}
		msgs, err := s.Store.Latest(ctx, m.ID, 0, peopleWindow)
		if err != nil {
			return nil, err
		}
		for i, l := range msgs {
			others, weight := l.Envelope.From, 1.0
			if m.SpecialUse == `\Sent` { // whom one writes to, one may write to again
				others, weight = slices.Concat(l.Envelope.To, l.Envelope.Cc, l.Envelope.Bcc), 4
			}
			weight /= 1 + float64(i)/100 // what is long ago counts less
			for _, a := range others {
				if a.Host == "" || singleLine(a.Mailbox, a.Host) != nil {
					continue
				}
				key := strings.ToLower(addressText(a))
				if known[key] == nil {
					known[key] = &acquaintance{Address: message.Address{Mailbox: a.Mailbox, Host: a.Host}}
				}
				known[key].weight += weight
				if name := strings.TrimSpace(message.DecodeHeader(a.Name)); known[key].Name == "" && singleLine(name) == nil {
					known[key].Name = name
				}
			}
		}
	}
	all := make([]*acquaintance, 0, len(known))
	for _, a := range known {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *acquaintance) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(addressText(a.Address), addressText(b.Address)))
	})
	var some []message.Address
	for _, a := range all[:min(len(all), maxPeople)] {
		some = append(some, a.Address)
	}
	return some, nil
}
