package message

import "time"

// Envelope is what a reader shows of a header without opening the message
// (RFC 9051 §2.3.5). Strings are unfolded header text, still in encoded-word
// form where the sender used it; raw 8-bit and raw ISO-2022-JP text has
// already been turned into UTF-8. [DecodeHeader] gives the readable form.
type Envelope struct {
	Date      time.Time `json:"d,omitzero"` // zero when absent or unreadable
	Subject   string    `json:"s,omitempty"`
	From      []Address `json:"f,omitempty"`
	Sender    []Address `json:"se,omitempty"`
	ReplyTo   []Address `json:"r,omitempty"`
	To        []Address `json:"t,omitempty"`
	Cc        []Address `json:"c,omitempty"`
	Bcc       []Address `json:"b,omitempty"`
	InReplyTo []string  `json:"i,omitempty"` // without angle brackets
	MessageID string    `json:"m,omitempty"` // without angle brackets
}

// Address is one mailbox of an address list. A group is written as in
// RFC 9051 §7.5.2: its start has an empty Host, its end an empty Mailbox too.
type Address struct {
	Name    string `json:"n,omitempty"`
	Mailbox string `json:"m,omitempty"`
	Host    string `json:"h,omitempty"`
}

// Part is one MIME entity and where its octets lie in the raw message. The
// root part is the message itself.
type Part struct {
	Type        string            `json:"t"` // lower case, "text"
	Subtype     string            `json:"s"` // lower case, "plain"
	Params      map[string]string `json:"p,omitempty"`
	ID          string            `json:"i,omitempty"`
	Description string            `json:"de,omitempty"`
	Encoding    string            `json:"e,omitempty"` // lower case; "" is 7bit
	Disposition string            `json:"di,omitempty"`
	DispParams  map[string]string `json:"dp,omitempty"` // RFC 2231 joined and decoded
	Language    []string          `json:"la,omitempty"`
	Location    string            `json:"lo,omitempty"`

	Offset     int64 `json:"o"`           // of the part's header in the raw message
	HeaderSize int64 `json:"h"`           // octets of that header with its blank line
	Size       int64 `json:"z"`           // octets of the body, as encoded
	Lines      int64 `json:"l,omitempty"` // lines of the body

	// Children are the parts of a multipart, or the one message that a
	// message/rfc822 encloses.
	Children []*Part `json:"ch,omitempty"`
	// Envelope is that of the enclosed message, on message/rfc822 only.
	Envelope *Envelope `json:"en,omitempty"`
}

// BodyOffset is where the part's body begins in the raw message.
func (p *Part) BodyOffset() int64 { return p.Offset + p.HeaderSize }

// Summary is what arrival computes once, so that no reader parses the
// message again.
type Summary struct {
	Envelope    Envelope
	Root        *Part
	Header      []byte // the header block with its blank line, at most MaxHeader octets of it
	HeaderSize  int64  // octets of the whole header block
	Size        int64  // octets of the message
	Preview     string // the first readable words, UTF-8, at most 200 characters
	References  []string
	Attachments int // parts a reader would list as files
	Received    int // Received fields, for loop detection (RFC 5321 §6.3)
}

// Bounds on what a summary holds. A message beyond them is kept whole and
// unchanged; only its description is cut.
const (
	MaxHeader   = 64 << 10 // octets of header block kept in the summary
	MaxDepth    = 100      // nesting of parts
	MaxParts    = 10000    // parts in all
	MaxAddress  = 10000    // addresses in one field
	MaxBoundary = 2048     // octets of a boundary
)
