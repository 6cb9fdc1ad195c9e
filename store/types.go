package store

import (
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// The names of things. A MailboxID, a BlobID and a UserID are never reused.
type (
	UserID      int64
	MailboxID   int64
	BlobID      int64  // the raw bytes of one accepted mail, shared by its copies
	UID         uint32 // RFC 9051 §2.3.1.1
	UIDValidity uint32
	ModSeq      uint64 // RFC 7162 §3.1.1; grows with every change to a mailbox
)

// User is somebody who has mail here.
type User struct {
	ID        UserID
	Address   string // canonical: "alice@example.test"
	Name      string // what From shows; may be empty
	Quota     int64  // octets; 0 is no limit
	Used      int64  // octets in all mailboxes
	POP3      POP3Policy
	Suspended bool
	Admin     bool
	Tap       bool // has agreed to have conversations recorded
	Created   time.Time
	Last      LastUse
}

// POP3Policy says what DELE does for a user (see docs/protocols.md).
type POP3Policy struct {
	Kind POP3Kind
	Days int // for POP3KeepDays
}

// POP3Kind is one of the four retrieval policies.
type POP3Kind string

const (
	POP3Delete   POP3Kind = "delete"    // RFC 1939: gone from the server
	POP3Keep     POP3Kind = "keep"      // hidden from POP3, kept for IMAP
	POP3KeepDays POP3Kind = "keep-days" // as keep, then removed after Days
	POP3Trash    POP3Kind = "trash"     // moved to Trash
)

// Mailbox is one folder of one user.
type Mailbox struct {
	ID          MailboxID
	User        UserID
	Name        string // UTF-8, "/" between levels; "INBOX" is the inbox
	UIDValidity UIDValidity
	UIDNext     UID
	ModSeq      ModSeq // of the last change
	SpecialUse  string // `\Sent` and so on (RFC 6154), or ""
	Subscribed  bool
	Messages    uint32
	Unseen      uint32
	Deleted     uint32 // messages flagged \Deleted
	Size        int64  // octets of all messages
}

// SystemFlags are the flags every mailbox knows (RFC 9051 §2.3.2).
type SystemFlags uint8

const (
	Seen SystemFlags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// Flags are the flags and keywords of one message.
type Flags struct {
	System   SystemFlags
	Keywords []string // sorted, each once (compared without regard to case)
}

// Has reports whether all of f are set.
func (f Flags) Has(s SystemFlags) bool { return f.System&s == s }

// HasKeyword reports whether keyword k is set, without regard to case.
func (f Flags) HasKeyword(k string) bool {
	return slices.ContainsFunc(f.Keywords, func(o string) bool { return strings.EqualFold(o, k) })
}

// Equal reports whether f and g are the same flags.
func (f Flags) Equal(g Flags) bool {
	return f.System == g.System && slices.Equal(f.Keywords, g.Keywords)
}

// Message is one message in one mailbox. The pointer fields are nil unless
// they were asked for (see [Want]).
type Message struct {
	UID      UID
	ModSeq   ModSeq
	Flags    Flags
	Received time.Time // INTERNALDATE
	Size     int64     // octets of the raw message
	Blob     BlobID

	Envelope  *message.Envelope // WantEnvelope
	Structure *message.Part     // WantStructure
	Header    []byte            // WantHeader: the header block, or nil when it is larger than message.MaxHeader
	Preview   string            // WantEnvelope
}

// Want says which computed parts of a message to load besides its row.
type Want uint8

const (
	WantEnvelope Want = 1 << iota
	WantStructure
	WantHeader
)

// FlagOp is how a set of flags is applied (RFC 9051 §6.4.6).
type FlagOp int

const (
	SetFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// Changes is what happened to a mailbox after a modseq.
type Changes struct {
	// Mailbox is the mailbox as it was when the changes were read;
	// Mailbox.ModSeq is the cursor for the next call.
	Mailbox Mailbox
	// Changed are messages that are new or whose flags changed, in
	// ascending UID order.
	Changed []Message
	// Expunged are the UIDs of messages that are gone, ascending.
	Expunged []UID
	// Keywords are all keywords the mailbox knows, in order of first use.
	Keywords []string
}

// Snapshot is a mailbox at one moment: what SELECT reads.
type Snapshot struct {
	Mailbox  Mailbox
	UIDs     []UID // ascending; the position is the sequence number minus one
	Keywords []string
	Unseen   UID // lowest UID without \Seen, or 0
}

// Recipient is one forward-path after local rules have been applied.
type Recipient struct {
	Address string // as the client gave it
	User    UserID // 0 for a remote recipient
	Remote  string // the address to send on to, when User is 0
	Sender  string // reverse-path to send on with, when it is not the Delivery's
	DSN     DSN
}

// DSN are the RFC 3461 parameters of one recipient.
type DSN struct {
	Notify    string // "NEVER" or a comma-separated list; "" when not given
	Original  string // ORCPT, "rfc822;alice@example.test"
	Return    string // RET of the transaction: "FULL", "HDRS" or ""
	EnvelopID string // ENVID of the transaction
}

// Delivery is one SMTP transaction, ready to be kept.
type Delivery struct {
	Sender     string // reverse-path; "" is the null sender
	Recipients []Recipient
	Body       Source // canonical bytes, trace header included
	UTF8       bool   // SMTPUTF8 was requested (RFC 6531)
	RequireTLS bool   // RFC 8689
	Junk       bool   // goes to the mailboxes for junk, not to INBOX
}

// Delivered is one copy that Accept made.
type Delivered struct {
	User    UserID
	Mailbox MailboxID
	UID     UID
}

// Accepted is what Accept has made durable.
type Accepted struct {
	Blob      BlobID
	Size      int64
	Delivered []Delivered
	Queued    int // queue rows for remote recipients
}

// Appended is a message that APPEND puts into one mailbox.
type Appended struct {
	Flags    Flags
	Received time.Time // zero is now
	Body     Source
}

// UIDPair says which UID a copied message had and has (RFC 4315 COPYUID).
type UIDPair struct{ From, To UID }

// Source is a message that can be read more than once, from its start.
// [Spool] and [Bytes] are sources.
type Source interface {
	Size() int64
	// Open returns a reader of the whole message.
	Open() (Reader, error)
}
