package imapd

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/store"
)

const delimiter = '/'

// Limits on names that are made here. Names that are there already can be
// used whatever they are.
const (
	maxName  = 1000 // octets
	maxLevel = 255
)

// Create is the CREATE command (RFC 9051 §6.3.4, RFC 6154 §3).
func (s *session) Create(name string, o *imap.CreateOptions) error {
	// The delimiter at the end announces children, which need no announcing.
	name = strings.TrimSuffix(name, string(delimiter))
	if err := checkName(name); err != nil {
		return s.reply("create", err)
	}
	use, err := specialUse(o.SpecialUse)
	if err != nil {
		return err
	}
	if use != "" {
		taken, err := s.inUse(use)
		if err != nil {
			return s.reply("create", err)
		}
		if taken {
			return no(codeUseAttr, "Another mailbox has that use")
		}
	}
	_, err = s.store.CreateMailbox(s.ctx, s.user.ID, name, use)
	return s.reply("create", err)
}

// specialUse accepts what a mailbox can be made for.
func specialUse(asked []imap.MailboxAttr) (string, error) {
	if len(asked) == 0 {
		return "", nil
	}
	if len(asked) > 1 {
		return "", no(codeUseAttr, "A mailbox has one use")
	}
	for _, use := range specialUses {
		if strings.EqualFold(string(use), string(asked[0])) {
			return string(use), nil
		}
	}
	return "", no(codeUseAttr, "That use is not known here")
}

var specialUses = []imap.MailboxAttr{
	imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrJunk,
	imap.MailboxAttrSent, imap.MailboxAttrTrash,
}

func (s *session) inUse(use string) (bool, error) {
	all, err := s.store.Mailboxes(s.ctx, s.user.ID)
	for _, m := range all {
		if m.SpecialUse == use {
			return true, nil
		}
	}
	return false, err
}

// Delete is the DELETE command (RFC 9051 §6.3.5). Who deletes the mailbox they
// have selected goes on without one.
func (s *session) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mailbox, err := s.mailbox(name)
	if err == nil {
		err = s.store.DeleteMailbox(s.ctx, s.user.ID, name)
	}
	if err == nil && s.box != nil && s.box.id == mailbox.ID {
		s.enter(nil)
	}
	return s.reply("delete", err)
}

// Rename is the RENAME command (RFC 9051 §6.3.6).
func (s *session) Rename(from, to string, _ *imap.RenameOptions) error {
	if err := checkName(to); err != nil {
		return s.reply("rename", err)
	}
	return s.reply("rename", s.store.RenameMailbox(s.ctx, s.user.ID, from, to))
}

// Subscribe is the SUBSCRIBE command (RFC 9051 §6.3.7).
func (s *session) Subscribe(name string) error {
	if err := checkName(name); err != nil {
		return s.reply("subscribe", err)
	}
	return s.reply("subscribe", s.store.Subscribe(s.ctx, s.user.ID, name, true))
}

// Unsubscribe is the UNSUBSCRIBE command (RFC 9051 §6.3.8).
func (s *session) Unsubscribe(name string) error {
	return s.reply("unsubscribe", s.store.Subscribe(s.ctx, s.user.ID, name, false))
}

// Namespace is the NAMESPACE command (RFC 9051 §6.3.10).
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Prefix: "", Delim: delimiter}}}, nil
}

// checkName refuses names that some client could not speak of, or would
// mistake for a pattern or a path. RFC 9051 §5.1, RFC 5198 §2
func checkName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, "*%") {
		return store.ErrBadMailboxName
	}
	odd := func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
	}
	if strings.ContainsFunc(name, odd) {
		return store.ErrBadMailboxName
	}
	for level := range strings.SplitSeq(name, string(delimiter)) {
		if level == "" || level == "." || level == ".." || len(level) > maxLevel {
			return store.ErrBadMailboxName
		}
	}
	return nil
}
