package imapd

import (
	"maps"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/yubin-mail/yubin/store"
)

// List is the LIST command with all its options (RFC 9051 §6.3.9, RFC 6154,
// RFC 5819), and LSUB (RFC 3501 §6.3.9), which the library turns into it.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 { // asks for the delimiter
		return s.reply("list", w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: delimiter}))
	}
	if o.ReturnStatus != nil {
		if err := checkStatus(o.ReturnStatus); err != nil {
			return err
		}
	}
	for i, p := range patterns {
		patterns[i] = ref + p
	}
	names, err := s.names(patterns)
	if err != nil {
		return s.reply("list", err)
	}
	cmd, _ := s.conn.current()
	for _, name := range names.sorted() {
		if !matchesAny(patterns, name) {
			continue
		}
		data := names[name].list(o)
		if cmd.name == "LSUB" {
			data = names[name].lsub()
		}
		if data == nil {
			continue
		}
		if m := names[name].mailbox; m != nil && o.ReturnStatus != nil {
			data.Status = s.status(m)
		}
		if err := w.WriteList(data); err != nil {
			return s.reply("list", err)
		}
	}
	return nil
}

// A listed is what LIST can say of a name, which may be that of a mailbox, of
// a subscription without one, or of something above those.
type listed struct {
	name       string
	mailbox    *store.Mailbox // nil when there is none
	subscribed bool
	children   bool // there are mailboxes below
	below      bool // there are subscriptions below that the patterns miss
}

type names map[string]*listed

// names gathers what there is to list. What lies above a subscription matters
// only where the patterns stop before they reach it.
func (s *session) names(patterns []string) (names, error) {
	mailboxes, err := s.store.Mailboxes(s.ctx, s.user.ID)
	if err != nil {
		return nil, err
	}
	subscriptions, err := s.store.Subscriptions(s.ctx, s.user.ID)
	if err != nil {
		return nil, err
	}
	all := make(names, len(mailboxes))
	for i := range mailboxes {
		m := &mailboxes[i]
		all.at(m.Name).mailbox = m
		for parent := range parents(m.Name) {
			all.at(parent).children = true
		}
	}
	for _, name := range subscriptions {
		all.at(name).subscribed = true
		if matchesAny(patterns, name) {
			continue
		}
		for parent := range parents(name) {
			all.at(parent).below = true
		}
	}
	return all, nil
}

func (n names) at(name string) *listed {
	if n[name] == nil {
		n[name] = &listed{name: name}
	}
	return n[name]
}

// sorted gives INBOX first, then by name.
func (n names) sorted() []string {
	return slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "INBOX":
			return -1
		case b == "INBOX":
			return 1
		}
		return strings.Compare(a, b)
	})
}

// parents yields what lies above name.
func parents(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == delimiter && !yield(name[:i]) {
				return
			}
		}
	}
}

// list is what LIST answers, or nil when the options leave the name out.
func (l *listed) list(o *imap.ListOptions) *imap.ListData {
	recursive := o.SelectRecursiveMatch && l.below
	switch {
	case o.SelectSubscribed && !l.subscribed && !recursive,
		!o.SelectSubscribed && l.mailbox == nil,
		o.SelectSpecialUse && (l.mailbox == nil || l.mailbox.SpecialUse == ""):
		return nil
	}
	data := &imap.ListData{Delim: delimiter, Mailbox: l.name}
	if l.mailbox == nil {
		data.Attrs = append(data.Attrs, imap.MailboxAttrNonExistent)
	}
	if l.children {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasChildren)
	} else {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasNoChildren)
	}
	if l.subscribed && (o.SelectSubscribed || o.ReturnSubscribed) {
		data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
	}
	if l.mailbox != nil && l.mailbox.SpecialUse != "" {
		data.Attrs = append(data.Attrs, imap.MailboxAttr(l.mailbox.SpecialUse))
	}
	if recursive {
		data.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
	}
	return data
}

// lsub is what LSUB answers: subscribed names, and what lies above them where
// the pattern stops there. RFC 3501 §6.3.9
func (l *listed) lsub() *imap.ListData {
	data := &imap.ListData{Delim: delimiter, Mailbox: l.name}
	switch {
	case l.subscribed:
	case l.below:
		data.Attrs = []imap.MailboxAttr{imap.MailboxAttrNoSelect}
	default:
		return nil
	}
	return data
}
