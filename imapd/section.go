package imapd

import (
	"io"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/internal/message"
)

// span is where octets lie in the raw message.
type span struct{ off, n int64 }

// locate finds a section (RFC 9051 §6.4.5.1). What the message does not have
// is empty.
func locate(root *message.Part, size int64, section *imap.FetchItemBodySection) span {
	if len(section.Part) == 0 {
		switch section.Specifier {
		case imap.PartSpecifierHeader:
			return span{0, root.HeaderSize}
		case imap.PartSpecifierText:
			return span{root.HeaderSize, size - root.HeaderSize}
		}
		return span{0, size}
	}
	p := root.Find(section.Part)
	if p == nil {
		return span{}
	}
	switch section.Specifier {
	case imap.PartSpecifierNone:
		return bodyOf(p)
	case imap.PartSpecifierMIME:
		return span{p.Offset, p.HeaderSize}
	}
	if len(p.Children) != 1 || p.Type == "multipart" {
		return span{} // HEADER and TEXT are those of an enclosed message
	}
	inner := p.Children[0]
	if section.Specifier == imap.PartSpecifierHeader {
		return span{inner.Offset, inner.HeaderSize}
	}
	return bodyOf(inner)
}

func bodyOf(p *message.Part) span { return span{p.BodyOffset(), p.Size} }

// cut applies <offset.count> to n octets.
func cut(n int64, partial *imap.SectionPartial) span {
	if partial == nil {
		return span{0, n}
	}
	off := min(partial.Offset, n)
	return span{off, min(partial.Size, n-off)}
}

// filtered reports whether a section is part of a header, picked by field.
func filtered(section *imap.FetchItemBodySection) bool {
	return len(section.HeaderFields) > 0 || len(section.HeaderFieldsNot) > 0
}

func filter(header []byte, section *imap.FetchItemBodySection) []byte {
	if len(section.HeaderFields) > 0 {
		return message.HeaderFields(header, section.HeaderFields, false)
	}
	return message.HeaderFields(header, section.HeaderFieldsNot, true)
}

// checkSection refuses what the library's parser lets pass.
func checkSection(section *imap.FetchItemBodySection) error {
	for _, name := range append(section.HeaderFields, section.HeaderFieldsNot...) {
		if !isFieldName(name) {
			return bad("Not the name of a header field")
		}
	}
	if section.Specifier == imap.PartSpecifierMIME && len(section.Part) == 0 {
		return bad("MIME needs a part number")
	}
	return checkPart(section.Part, section.Partial)
}

func checkPart(part []int, partial *imap.SectionPartial) error {
	for _, n := range part {
		if n == 0 {
			return bad("There is no part 0")
		}
	}
	if partial != nil && partial.Size == 0 {
		return bad("A partial fetch of nothing")
	}
	return nil
}

// isFieldName follows RFC 5322 §3.6.8. The name is sent back in the answer, so
// it must not hold a line end.
func isFieldName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

// decodable reports whether BINARY can serve a part (RFC 3516 §4.3).
func decodable(p *message.Part) bool {
	switch p.Encoding {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return false
}

// skipCopy copies what of r lies in s to w.
func skipCopy(w io.Writer, r io.Reader, s span) error {
	if _, err := io.CopyN(io.Discard, r, s.off); err != nil {
		return err
	}
	_, err := io.CopyN(w, r, s.n)
	return err
}
