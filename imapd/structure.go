package imapd

import (
	"math"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/internal/message"
)

// envelope puts an envelope into the library's terms. Its strings are header
// text with encoded-words left alone. The library encodes what it is given,
// which changes nothing about ASCII.
func envelope(e *message.Envelope) *imap.Envelope {
	if e == nil {
		return nil
	}
	return &imap.Envelope{
		Date:      e.Date,
		Subject:   e.Subject,
		From:      addresses(e.From),
		Sender:    addresses(e.Sender),
		ReplyTo:   addresses(e.ReplyTo),
		To:        addresses(e.To),
		Cc:        addresses(e.Cc),
		Bcc:       addresses(e.Bcc),
		InReplyTo: e.InReplyTo,
		MessageID: e.MessageID,
	}
}

func addresses(list []message.Address) []imap.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]imap.Address, len(list))
	for i, a := range list {
		out[i] = imap.Address(a)
	}
	return out
}

// bodyStructure puts a part into the library's terms. The extended fields are
// always there, since the library panics where it misses them, and so is at
// least one part in a multipart.
func bodyStructure(p *message.Part) imap.BodyStructure {
	if p.Type == "multipart" {
		return multipart(p)
	}
	s := &imap.BodyStructureSinglePart{
		Type:        p.Type,
		Subtype:     p.Subtype,
		Params:      p.Params,
		ID:          p.ID,
		Description: p.Description,
		Encoding:    p.Encoding,
		Size:        uint32(min(p.Size, math.MaxUint32)),
		Extended: &imap.BodyStructureSinglePartExt{
			Disposition: disposition(p),
			Language:    p.Language,
			Location:    p.Location,
		},
	}
	switch {
	case p.Type == "text":
		s.Text = &imap.BodyStructureText{NumLines: p.Lines}
	case enclosesMessage(p):
		inner := imap.BodyStructure(nothingThere())
		if len(p.Children) == 1 {
			inner = bodyStructure(p.Children[0])
		}
		s.MessageRFC822 = &imap.BodyStructureMessageRFC822{
			Envelope:      envelope(p.Envelope),
			BodyStructure: inner,
			NumLines:      p.Lines,
		}
	}
	return s
}

func multipart(p *message.Part) imap.BodyStructure {
	m := &imap.BodyStructureMultiPart{
		Subtype: p.Subtype,
		Extended: &imap.BodyStructureMultiPartExt{
			Params:      p.Params,
			Disposition: disposition(p),
			Language:    p.Language,
			Location:    p.Location,
		},
	}
	for _, child := range p.Children {
		m.Children = append(m.Children, bodyStructure(child))
	}
	if len(m.Children) == 0 {
		m.Children = []imap.BodyStructure{nothingThere()}
	}
	return m
}

// nothingThere stands for a part that the syntax demands (RFC 9051 §9:
// body-type-mpart, body-type-msg) where the message has none.
func nothingThere() *imap.BodyStructureSinglePart {
	return &imap.BodyStructureSinglePart{
		Type: "text", Subtype: "plain",
		Text:     &imap.BodyStructureText{},
		Extended: &imap.BodyStructureSinglePartExt{},
	}
}

// enclosesMessage reports whether a part is described with the message inside.
func enclosesMessage(p *message.Part) bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

func disposition(p *message.Part) *imap.BodyStructureDisposition {
	if p.Disposition == "" {
		return nil
	}
	return &imap.BodyStructureDisposition{Value: p.Disposition, Params: p.DispParams}
}
