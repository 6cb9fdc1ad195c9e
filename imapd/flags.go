package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/store"
)

// systemFlags are the flags of RFC 9051 §2.3.2 in the order we list them.
var systemFlags = []struct {
	bit  store.SystemFlags
	name imap.Flag
}{
	{store.Answered, imap.FlagAnswered},
	{store.Flagged, imap.FlagFlagged},
	{store.Deleted, imap.FlagDeleted},
	{store.Seen, imap.FlagSeen},
	{store.Draft, imap.FlagDraft},
}

// flagsOf writes a message's flags.
func flagsOf(f store.Flags) []imap.Flag {
	all := make([]imap.Flag, 0, len(systemFlags)+len(f.Keywords))
	for _, s := range systemFlags {
		if f.Has(s.bit) {
			all = append(all, s.name)
		}
	}
	return appendKeywords(all, f.Keywords)
}

// mailboxFlags are all flags a mailbox knows.
func mailboxFlags(keywords []string) []imap.Flag {
	var all []imap.Flag
	for _, s := range systemFlags {
		all = append(all, s.name)
	}
	return appendKeywords(all, keywords)
}

// appendKeywords leaves out what would not be valid on the wire.
func appendKeywords(all []imap.Flag, keywords []string) []imap.Flag {
	for _, k := range keywords {
		if isKeyword(k) {
			all = append(all, imap.Flag(k))
		}
	}
	return all
}

// isKeyword reports whether k is a flag-keyword (RFC 9051 §9). The library
// lets octets beyond ASCII pass.
func isKeyword(k string) bool {
	return k != "" && !strings.ContainsFunc(k, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("(){%*\"\\]", r)
	})
}

// parseFlags reads the flags of STORE and APPEND. \Recent is nobody's to set
// and is passed over. RFC 3501 §2.3.2
func parseFlags(flags []imap.Flag) (store.Flags, error) {
	var f store.Flags
	for _, flag := range flags {
		bit, known := systemFlag(flag)
		switch {
		case known:
			f.System |= bit
		case strings.EqualFold(string(flag), `\Recent`):
		case isKeyword(string(flag)):
			f.Keywords = append(f.Keywords, string(flag))
		default:
			return f, bad("Not a flag that can be set")
		}
	}
	slices.SortFunc(f.Keywords, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	f.Keywords = slices.CompactFunc(f.Keywords, strings.EqualFold)
	return f, nil
}

func systemFlag(flag imap.Flag) (store.SystemFlags, bool) {
	for _, s := range systemFlags {
		if strings.EqualFold(string(s.name), string(flag)) {
			return s.bit, true
		}
	}
	return 0, false
}
