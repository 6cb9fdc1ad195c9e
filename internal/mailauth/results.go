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
	r.statements(&f)
	f.b.WriteString("\r\n")
	return []byte(f.b.String())
}

// statements writes the value, as ARC-Authentication-Results has it too.
func (r Results) statements(f *folded) {
	f.add(" ", propertyValue(r.AuthservID)+";")
	first := true
	begin := func(method string, v Value, reason string) {
		if !first {
			f.b.WriteByte(';')
		}
		first = false
		f.fold()
		f.add("", method+"="+string(v))
		if reason != "" {
			f.add(" ", `reason="`+harmless(reason)+`"`)
		}
	}
	property := func(name, value string) {
		if value != "" {
			f.add(" ", name+"="+propertyValue(value))
		}
	}
	if r.IPRev.Value != "" {
		begin("iprev", r.IPRev.Value, r.IPRev.Reason)
		property("policy.iprev", r.IPRev.IP.String())
		if r.IPRev.Name != "" {
			f.add(" ", "("+harmless(r.IPRev.Name)+")")
		}
	}
	if r.HELO.Value != "" {
		begin("spf", r.HELO.Value, r.HELO.Reason)
		property("smtp.helo", r.HELO.Identity)
	}
	if r.MailFrom.Value != "" && !r.nullSender {
		begin("spf", r.MailFrom.Value, r.MailFrom.Reason)
		property("smtp.mailfrom", r.MailFrom.Identity)
	}
	for _, d := range r.DKIM {
		begin("dkim", d.Value, d.Reason)
		property("header.d", d.Domain)
		property("header.i", d.Identity)
		property("header.s", d.Selector)
		property("header.a", d.Algorithm)
		property("header.b", d.Signature)
	}
	if len(r.DKIM) == 0 {
		begin("dkim", None, "")
	}
	if r.DMARC.Value != "" {
		begin("dmarc", r.DMARC.Value, r.DMARC.Reason)
		property("header.from", r.DMARC.From)
		if p := r.DMARC.Record.Policy; p != "" {
			f.add(" ", "(p="+string(p)+")")
		}
	}
	if r.ARC.Value != "" {
		begin("arc", r.ARC.Value, r.ARC.Reason)
		if n := len(r.ARC.Sets); n > 0 {
			f.add(" ", "(i="+strconv.Itoa(n)+")")
		}
		if r.ARC.Value != None && r.Remote.IsValid() {
			property("smtp.remote-ip", r.Remote.String())
		}
	}
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
