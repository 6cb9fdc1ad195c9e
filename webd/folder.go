package webd

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// folder is a mailbox as the side pane shows it. Names are translated here
// and nowhere else: on the server they stay what they are for every client.
type folder struct {
	store.Mailbox
	Label string // of the last level, in the visitor's language
	Path  string // with all levels
	Depth int
	Count uint32 // what is worth a look: unread, or drafts
	Here  bool
}

// special are the mailboxes with a use, in the order of the side pane.
var special = []struct{ use, key, icon string }{
	{"INBOX", "folder.inbox", "inbox"},
	{`\Drafts`, "folder.drafts", "draft"},
	{`\Sent`, "folder.sent", "send"},
	{`\Archive`, "folder.archive", "archive"},
	{`\Junk`, "folder.junk", "junk"},
	{`\Trash`, "folder.trash", "trash"},
}

// rank is where a mailbox stands in special, or behind all of them.
func rank(m store.Mailbox) int {
	for i, s := range special {
		if m.Name == s.use || m.SpecialUse == s.use {
			return i
		}
	}
	return len(special)
}

// Icon is the symbol of the folder.
func (f folder) Icon() string {
	if r := rank(f.Mailbox); r < len(special) {
		return special[r].icon
	}
	return "folder"
}

// Own reports whether the user made the folder, and may rename or delete it.
func (f folder) Own() bool { return rank(f.Mailbox) == len(special) }

// Is reports whether the folder has a special use: "trash".
func (f folder) Is(icon string) bool { return f.Icon() == icon }

// Slug is the folder in a URL.
func (f folder) Slug() string { return slug(f.Name) }

// URL is the folder's page.
func (f folder) URL() string { return "/m/" + f.Slug() }

func slug(name string) string {
	if name == "INBOX" {
		return "inbox"
	}
	return url.PathEscape(name)
}

func (v *visit) folder(m store.Mailbox) folder {
	level := m.Name[strings.LastIndexByte(m.Name, '/')+1:]
	f := folder{Mailbox: m, Label: level, Path: m.Name, Depth: strings.Count(m.Name, "/"), Count: m.Unseen}
	if r := rank(m); r < len(special) {
		f.Label = v.T(special[r].key)
		f.Path, f.Depth = f.Label, 0
	} else if rest, ok := strings.CutPrefix(m.Name, "INBOX/"); ok {
		f.Path = v.T("folder.inbox") + "/" + rest
	}
	if m.SpecialUse == `\Drafts` {
		f.Count = m.Messages
	}
	return f
}

// folders are all of the visitor's, those with a use first.
func (v *visit) folders(here string) ([]folder, error) {
	boxes, err := v.s.Store.Mailboxes(v.Context(), v.user.ID)
	if err != nil {
		return nil, err
	}
	all := make([]folder, len(boxes))
	for i, m := range boxes {
		all[i] = v.folder(m)
		all[i].Here = m.Name == here
	}
	slices.SortStableFunc(all, func(a, b folder) int { return rank(a.Mailbox) - rank(b.Mailbox) })
	return all, nil
}

// box is the mailbox that the URL names.
func (v *visit) box() (folder, error) {
	m, err := v.s.Store.Mailbox(v.Context(), v.user.ID, v.PathValue("box"))
	if err != nil {
		return folder{}, err
	}
	f := v.folder(m)
	f.Here = true
	return f, nil
}

// use is a user's mailbox for a special use.
func (s *Server) use(ctx context.Context, u store.UserID, use string) (store.Mailbox, error) {
	boxes, err := s.Store.Mailboxes(ctx, u)
	if err != nil {
		return store.Mailbox{}, err
	}
	i := slices.IndexFunc(boxes, func(m store.Mailbox) bool { return m.SpecialUse == use })
	if i < 0 {
		// Somebody has removed it with another client: make it again.
		return s.Store.CreateMailbox(ctx, u, strings.TrimPrefix(use, `\`), use)
	}
	return boxes[i], nil
}

// use is the visitor's mailbox for a special use.
func (v *visit) use(use string) (store.Mailbox, error) { return v.s.use(v.Context(), v.user.ID, use) }
