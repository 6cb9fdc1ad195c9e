package message

import "strings"

// fieldID is a header field that a summary reads.
type fieldID uint8

const (
	fieldNone fieldID = iota
	fieldDate
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldReferences
	fieldReceived
	firstContent // those of any part begin here
	fieldDisposition
	fieldContentID
	fieldDescription
	fieldLanguage
	fieldLocation
	fieldEncoding
	fieldType
)

var fieldIDs = map[string]fieldID{
	"date": fieldDate, "subject": fieldSubject, "from": fieldFrom, "sender": fieldSender, "reply-to": fieldReplyTo,
	"to": fieldTo, "cc": fieldCc, "bcc": fieldBcc, "in-reply-to": fieldInReplyTo, "message-id": fieldMessageID,
	"references": fieldReferences, "received": fieldReceived,
	"content-type": fieldType, "content-disposition": fieldDisposition, "content-id": fieldContentID,
	"content-description": fieldDescription, "content-language": fieldLanguage, "content-location": fieldLocation,
	"content-transfer-encoding": fieldEncoding,
}

func lookupField(name []byte) fieldID {
	var buf [32]byte
	if len(name) > len(buf) {
		return fieldNone
	}
	for i, c := range name {
		buf[i] = lower(c)
	}
	return fieldIDs[string(buf[:len(name)])]
}

// repeats tells whether a second field of that name counts. RFC 5322 §4.5.3:
// several lists of recipients are one.
func (id fieldID) repeats() bool {
	switch id {
	case fieldTo, fieldCc, fieldBcc, fieldReceived:
		return true
	}
	return false
}

// endField reads the field that has just ended into the top frame.
func (s *Summarizer) endField() {
	id := s.fieldID
	if id == 0 {
		return
	}
	s.fieldID = 0
	f := &s.stack[len(s.stack)-1]
	value := fieldText(string(s.field))
	if id > firstContent {
		s.describeField(f.part, id, value)
		return
	}
	e := f.envelope
	switch id {
	case fieldDate:
		e.Date = ParseDate(value)
	case fieldSubject:
		e.Subject = s.keep(value)
	case fieldFrom:
		e.From = s.addresses(nil, value)
	case fieldSender:
		e.Sender = s.addresses(nil, value)
	case fieldReplyTo:
		e.ReplyTo = s.addresses(nil, value)
	case fieldTo:
		e.To = s.addresses(e.To, value)
	case fieldCc:
		e.Cc = s.addresses(e.Cc, value)
	case fieldBcc:
		e.Bcc = s.addresses(e.Bcc, value)
	case fieldInReplyTo:
		e.InReplyTo = s.ids(value)
	case fieldMessageID:
		e.MessageID = s.keep(parseID(value))
	case fieldReferences:
		if len(s.stack) == 1 {
			s.sum.References = s.ids(value)
		}
	}
}

// describeField reads a field that describes a part.
func (s *Summarizer) describeField(p *Part, id fieldID, value string) {
	switch id {
	case fieldType:
		typ, subtype, params, ok := parseMediaType(value)
		if ok {
			p.Type, p.Subtype, p.Params = s.keep(typ), s.keep(subtype), s.params(params)
		}
		if p.Type == "" || p.Subtype == "" {
			p.Type, p.Subtype = "", ""
		}
	case fieldDisposition:
		disposition, params := parseDisposition(value)
		p.Disposition, p.DispParams = s.keep(disposition), s.params(params)
	case fieldEncoding:
		p.Encoding = s.keep(parseEncoding(value))
	case fieldContentID:
		p.ID = s.keep(cut(strings.TrimSpace(value), maxID))
	case fieldDescription:
		p.Description = s.keep(strings.TrimSpace(value))
	case fieldLocation:
		p.Location = s.keep(strings.Join(strings.Fields(value), "")) // RFC 2557 §4.4.2
	case fieldLanguage:
		for tag := range strings.SplitSeq(stripComments(value), ",") {
			if tag = s.keep(strings.TrimSpace(tag)); isToken(tag) && len(p.Language) < 100 {
				p.Language = append(p.Language, tag)
			}
		}
	}
}

// keep counts what a summary holds and returns "" once that is too much.
func (s *Summarizer) keep(v string) string {
	if s.kept+len(v) > maxKept {
		return ""
	}
	s.kept += len(v)
	return v
}

func (s *Summarizer) params(m map[string]string) map[string]string {
	n := 0
	for k, v := range m {
		n += len(k) + len(v) + 64 // and what the map needs
	}
	if s.kept+n > maxKept {
		return nil
	}
	s.kept += n
	return m
}

func (s *Summarizer) addresses(list []Address, value string) []Address {
	const size = 48 // octets of an Address besides its text
	room := min(MaxAddress-len(list), (maxKept-s.kept)/(2*size))
	if room <= 0 || s.kept+2*len(value) > maxKept {
		return list
	}
	more := ParseAddresses(value, room)
	s.kept += len(value) + size*len(more)
	return append(list, more...)
}

func (s *Summarizer) ids(value string) []string {
	ids := parseIDs(value, maxReferences)
	for _, id := range ids {
		s.kept += len(id) + 16
	}
	if s.kept > maxKept {
		return nil
	}
	return ids
}
