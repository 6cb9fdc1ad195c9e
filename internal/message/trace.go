package message

import (
	"crypto/rand"
	"crypto/tls"
	"net/netip"
	"strings"
	"time"
)

// Trace is what we note on a message when we take it (RFC 5321 §4.4).
type Trace struct {
	ReturnPath  string               // the reverse path without brackets; "" is <>
	Hello       string               // the name in EHLO or HELO, as the client gave it
	ReverseName string               // what DNS calls the address; "" when unknown
	Remote      netip.Addr           // of the client; the zero Addr leaves it out
	Host        string               // we
	HELO        bool                 // the client said HELO: plain SMTP
	LMTP        bool                 // RFC 2033
	TLS         *tls.ConnectionState // nil without
	Auth        bool                 // the client has logged in
	UTF8        bool                 // it used SMTPUTF8 (RFC 6531)
	ID          string               // under which our log knows the message
	For         string               // the recipient, only when there is exactly one (RFC 5321 §7.2)
	Time        time.Time
}

// Header writes the Return-Path and Received fields, each with its CRLF.
func (t Trace) Header() []byte {
	return append([]byte("Return-Path: <"+oneLine(t.ReturnPath)+">\r\n"), t.Received()...)
}

// Received writes the Received field alone. Whatever the client said of itself
// cannot add a field or leave its place in this one.
func (t Trace) Received() []byte {
	f := folded{}
	f.add("Received: from", helloName(t.Hello))
	if t.Remote.IsValid() {
		info := literal(t.Remote)
		if t.ReverseName != "" {
			info = atom(strings.TrimSuffix(t.ReverseName, ".")) + " " + info
		}
		f.add("(" + info + ")")
	}
	f.wrap("by", atom(t.Host), "with", t.with())
	if t.TLS != nil {
		f.add("(" + strings.ReplaceAll(tls.VersionName(t.TLS.Version), " ", "") + " " + tls.CipherSuiteName(t.TLS.CipherSuite) + ")")
	}
	if t.ID != "" {
		f.wrap("id", atom(t.ID))
	}
	if t.For != "" {
		f.wrap("for", "<"+oneLine(t.For)+">")
	}
	f.b = append(f.b, ';')
	f.wrap(NewDate(t.Time))
	return append(f.b, '\r', '\n')
}

// with is the keyword for the protocol (RFC 3848, RFC 6531 §3.7.3).
func (t Trace) with() string {
	name := "ESMTP"
	switch {
	case t.UTF8 && t.LMTP:
		name = "UTF8LMTP"
	case t.UTF8:
		name = "UTF8SMTP"
	case t.LMTP:
		name = "LMTP"
	case t.HELO && t.TLS == nil && !t.Auth:
		return "SMTP"
	}
	if t.TLS != nil {
		name += "S"
	}
	if t.Auth {
		name += "A"
	}
	return name
}

// folded is a field that is broken before 78 octets, at least at each wrap.
type folded struct {
	b     []byte
	start int // of the line
}

func (f *folded) add(words ...string) {
	for _, w := range words {
		switch {
		case len(f.b) == 0:
		case len(f.b)-f.start+1+len(w) > 78:
			f.fold()
		default:
			f.b = append(f.b, ' ')
		}
		f.b = append(f.b, w...)
	}
}

func (f *folded) wrap(words ...string) {
	f.fold()
	f.b = append(f.b, words[0]...)
	f.add(words[1:]...)
}

func (f *folded) fold() {
	f.b = append(f.b, "\r\n\t"...)
	f.start = len(f.b) - 1
}

// literal is an address as RFC 5321 §4.1.3 writes it.
func literal(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

// helloName is the client's name for itself if it is a domain or an address
// literal, and else what is left of it.
func helloName(s string) string {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok := strings.CutSuffix(inner, "]"); ok {
			if name := atom(inner); name != "unknown" {
				return "[" + strings.ReplaceAll(name, "?", "") + "]"
			}
		}
	}
	return atom(s)
}

// atom keeps what may stand in a domain, an identifier or an address; anything
// else becomes a question mark.
func atom(s string) string {
	const maxAtom = 255
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(".-_:+=~@", r):
			return r
		case r > 0x9f && r != '\ufffd' && r != '\u2028' && r != '\u2029': // an internationalised name
			return r
		}
		return '?'
	}, cut(s, maxAtom))
	if s == "" {
		return "unknown"
	}
	return s
}

// MaxPath is the longest path that fits into a line of a header with what stands
// around it (RFC 5322 §2.1.1), in octets.
const MaxPath = 900

// oneLine drops what would end a path or a line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' {
			return -1
		}
		return r
	}, cut(strings.ToValidUTF8(s, "?"), MaxPath))
}

// NewMessageID makes an identifier without brackets that nobody else makes.
func NewMessageID(host string) string {
	return strings.ToLower(rand.Text()) + "@" + atom(host)
}

// AddMissing returns the Date and Message-ID fields that a message sent by a
// user lacks, to be put before its header (RFC 6409 §8.2, §8.3); nil when it has both.
func AddMissing(header []byte, host string, now time.Time) []byte {
	var lines string
	if len(Field(header, "Date")) == 0 {
		lines += "Date: " + NewDate(now) + "\r\n"
	}
	if len(Field(header, "Message-ID")) == 0 {
		lines += "Message-ID: <" + NewMessageID(host) + ">\r\n"
	}
	if lines == "" {
		return nil
	}
	return []byte(lines)
}
