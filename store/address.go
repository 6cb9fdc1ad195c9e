package store

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/yubin-mail/yubin/internal/message"
)

// RFC 5321 §4.5.3.1.1, in octets. That of a domain is what DNS has room for.
const maxLocalPart = 64

// domains is how names are looked up (RFC 5891 §5), with the lengths of
// RFC 1035 §2.3.4: 1 to 63 octets for a label and 253 for the whole name.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// CanonicalAddress gives the one form under which an address is kept and
// compared: the local part unquoted where it can be, in NFC and lower case,
// the domain as lower-case A-labels. It answers ErrBadAddress.
func CanonicalAddress(address string) (string, error) {
	local, domain, err := splitAddress(address)
	if err != nil {
		return "", err
	}
	return local + "@" + domain, nil
}

func splitAddress(address string) (local, domain string, err error) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at == len(address)-1 {
		return "", "", fmt.Errorf("%w: %q", ErrBadAddress, address)
	}
	if local, err = canonicalLocal(address[:at]); err != nil {
		return "", "", fmt.Errorf("%w: %q", err, address)
	}
	if domain, err = CanonicalDomain(address[at+1:]); err != nil {
		return "", "", err
	}
	return local, domain, nil
}

// canonicalLocal takes a dot-string or a quoted string (RFC 5321 §4.1.2).
func canonicalLocal(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		if len(s) < 3 || !strings.HasSuffix(s, `"`) {
			return "", ErrBadAddress
		}
		var b strings.Builder
		for in := s[1 : len(s)-1]; in != ""; in = in[1:] {
			switch c := in[0]; {
			case c == '\\' && len(in) > 1:
				in = in[1:]
			case c == '\\' || c == '"':
				return "", ErrBadAddress
			}
			b.WriteByte(in[0])
		}
		s = b.String()
	} else if !message.IsDotString(s) {
		return "", ErrBadAddress
	}
	if s == "" || len(s) > maxLocalPart || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return "", ErrBadAddress
	}
	// PRECIS folds width and case, and refuses look-alikes (RFC 8265 §3.3).
	// It also refuses spaces, which only a quoted string can hold.
	if p, err := precis.UsernameCaseMapped.String(s); err == nil {
		return message.QuotedLocal(p), nil
	}
	return message.QuotedLocal(norm.NFC.String(strings.ToLower(s))), nil
}

// CanonicalDomain gives a domain as lower-case A-labels, without a final dot.
// An address literal stays as it is. It answers ErrBadDomain.
func CanonicalDomain(domain string) (string, error) {
	bad := fmt.Errorf("%w: %q", ErrBadDomain, domain)
	if lit, ok := strings.CutPrefix(domain, "["); ok {
		lit, ok = strings.CutSuffix(lit, "]")
		ip := strings.TrimPrefix(strings.ToLower(lit), "ipv6:")
		if _, err := netip.ParseAddr(ip); !ok || err != nil {
			return "", bad
		}
		return strings.ToLower(domain), nil
	}
	const enough = 4 * 253 // octets of as many letters, before anything is computed from them
	if len(domain) > enough {
		return "", ErrBadDomain
	}
	a, err := domains.ToASCII(norm.NFC.String(strings.TrimSuffix(domain, ".")))
	if err != nil || strings.HasSuffix(a, ".") {
		return "", bad
	}
	return strings.ToLower(a), nil
}

// detailFree is the local part without its "+detail" (RFC 5233 §2), or "".
func detailFree(local string) string {
	if i := strings.IndexByte(local, '+'); i > 0 {
		return local[:i]
	}
	return ""
}
