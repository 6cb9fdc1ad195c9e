package relay

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/yubin-mail/yubin/internal/message"
)

// path is an address as it stands in a command. ok is false when it cannot be
// said without SMTPUTF8; a domain always can (RFC 5890 §2.3.2.1).
func path(address string, utf8 bool) (_ string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, utf8 || isASCII(address)
	}
	local, domain := address[:at], address[at+1:]
	if !strings.HasPrefix(local, `"`) {
		local = message.QuotedLocal(local)
	}
	if !utf8 && !isASCII(domain) {
		if a, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = a
		}
	}
	address = local + "@" + domain
	return address, utf8 || isASCII(address)
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// xtext is RFC 3461 §4.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}

// originalRecipient is the value of ORCPT. An address beyond ASCII has a type
// and an encoding of its own (RFC 6533 §3).
func originalRecipient(kind, address string) string {
	if isASCII(address) && !strings.EqualFold(kind, "utf-8") {
		return kind + ";" + xtext(address)
	}
	var b strings.Builder
	for _, r := range address {
		if r > ' ' && r < 0x7f && r != '+' && r != '=' && r != '\\' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return "utf-8;" + b.String()
}
