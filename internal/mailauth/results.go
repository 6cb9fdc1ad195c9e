package mailauth

import (
	"net/netip"
	"strconv"
	"strings"
)

// Results is all that was found out about one message.
type Results struct {
	AuthservID string // whose results they are: the host that checked
	Remote     netip.Addr
	IPRev      IPRev
	HELO       SPF
	MailFrom   SPF // that of HELO, when the sender is null
	NullMX     bool
	DKIM       []DKIM
	DMARC      DMARC
	ARC        ARC

	nullSender bool
}

// Header is the Authentication-Results field (RFC 8601), folded, with its
// line end.
func (r Results) Header() []byte {
	var f folded
	f.add("", "Authentication-Results:")
	r.write(&f)
	f.b.WriteString("\r\n")
	return []byte(f.b.String())
}

// statement is what one method has found (RFC 8601 §2.2, resinfo).
type statement struct {
	method  string
	value   Value
	reason  string
	details []detail
}

// detail is a property, or a comment when it has no name. It is left out when
// its text is empty.
type detail struct{ name, text string }

// write writes the value, as ARC-Authentication-Results has it too.
func (r Results) write(f *folded) {
	f.add(" ", propertyValue(r.AuthservID))
	for _, s := range r.statements() {
		f.b.WriteByte(';')
		f.fold()
		f.add("", s.method+"="+string(s.value))
		if s.reason != "" {
			f.add(" ", `reason="`+harmless(s.reason)+`"`)
		}
		for _, d := range s.details {
			switch {
			case d.text == "":
			case d.name == "":
				f.add(" ", "("+harmless(d.text)+")")
			default:
				f.add(" ", d.name+"="+propertyValue(d.text))
			}
		}
	}
}

// statements are in the order in which things are checked. What has not been
// looked at says nothing.
func (r Results) statements() (all []statement) {
	say := func(method string, v Value, reason string, details ...detail) {
		if v != "" {
			all = append(all, statement{method, v, reason, details})
		}
	}
	say("iprev", r.IPRev.Value, r.IPRev.Reason, detail{"policy.iprev", r.IPRev.IP.String()}, detail{"", r.IPRev.Name})
	say("spf", r.HELO.Value, r.HELO.Reason, detail{"smtp.helo", r.HELO.Identity})
	if !r.nullSender {
		say("spf", r.MailFrom.Value, r.MailFrom.Reason, detail{"smtp.mailfrom", r.MailFrom.Identity})
	}
	for _, d := range r.DKIM {
		say("dkim", d.Value, d.Reason, detail{"header.d", d.Domain}, detail{"header.i", d.Identity},
			detail{"header.s", d.Selector}, detail{"header.a", d.Algorithm}, detail{"header.b", d.Signature})
	}
	if len(r.DKIM) == 0 {
		say("dkim", None, "")
	}
	say("dmarc", r.DMARC.Value, r.DMARC.Reason, detail{"header.from", r.DMARC.From}, r.DMARC.Record.comment())
	say("arc", r.ARC.Value, r.ARC.Reason, r.ARC.details(r.Remote)...)
	return all
}

func (d DMARCRecord) comment() detail {
	if d.Policy == "" {
		return detail{}
	}
	return detail{"", "p=" + string(d.Policy)}
}

// details are those of a chain that there is; remote has brought it.
func (a ARC) details(remote netip.Addr) (all []detail) {
	if len(a.Sets) > 0 {
		all = append(all, detail{"", "i=" + strconv.Itoa(len(a.Sets))})
	}
	if a.Value != None && remote.IsValid() {
		all = append(all, detail{"smtp.remote-ip", remote.String()})
	}
	if a.Value == Pass {
		all = append(all, detail{"header.oldest-pass", strconv.Itoa(a.OldestPass)})
	}
	return all
}

// propertyValue is a token, an address or a domain as it is, and anything else
// as a quoted string (RFC 8601 §2.2).
func propertyValue(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-._`{|}~", r)
	}
	local, domain, isAddress := strings.Cut(s, "@")
	ok := s != "" && !strings.ContainsFunc(local, func(r rune) bool { return !plain(r) }) &&
		(!isAddress || domain != "" && !strings.ContainsFunc(domain, func(r rune) bool { return !plain(r) }))
	if ok && len(s) <= 254 {
		return s
	}
	return `"` + harmless(s) + `"`
}
