package mailauth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/yubin-mail/yubin/internal/message"
)

// SRS rewrites the senders of mail that we hand on, so that SPF passes for us
// and a bounce finds its way back: SRS0 for a sender that was nobody's
// rewriting yet, SRS1 for one that was. Both carry a MAC, so nobody can make
// us send to addresses of their choice.
type SRS struct {
	Domain string // ours, which rewritten senders are in
	// Secrets: the first makes addresses, all are good for reading them.
	Secrets [][]byte
	Days    int              // how long a bounce may take; 0 is 21
	Now     func() time.Time // nil is time.Now
}

var (
	// ErrNotSRS: the address is no rewritten one.
	ErrNotSRS = errors.New("not a rewritten sender")
	// ErrForgedSRS: it looks like one of ours, but we did not make it.
	ErrForgedSRS = errors.New("a rewritten sender that is not ours")
	// ErrExpiredSRS: it was made too long ago.
	ErrExpiredSRS = errors.New("a rewritten sender that has expired")
	// ErrLongSRS: the rewritten sender would be longer than a path may be
	// (RFC 5321 §4.5.3.1.3).
	ErrLongSRS = errors.New("the sender is too long to be rewritten")
)

// digits are letters and figures that survive a change of case.
var digits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Forward rewrites a sender. The null sender stays what it is. It answers
// ErrNotSRS when there is nothing to come back to, or ErrLongSRS.
func (s SRS) Forward(sender string) (string, error) {
	if sender == "" {
		return "", nil
	}
	at := strings.LastIndexByte(sender, '@')
	domain := domainOf(sender)
	if at <= 0 || domain == "" || len(s.Secrets) == 0 || strings.ContainsFunc(sender, unicode.IsControl) {
		return "", ErrNotSRS
	}
	local := unquoted(sender[:at])
	if local == "" {
		return "", ErrNotSRS
	}
	kind, inner := "SRS1", ""
	if domain != asciiName(s.Domain) {
		inner = inherited(local, domain)
	}
	if inner == "" {
		kind, inner = "SRS0", s.stamp()+"="+domain+"="+local
	}
	rewritten := kind + "=" + s.mac(s.Secrets[0], inner) + "=" + inner
	rewritten = message.QuotedLocal(rewritten) + "@" + s.Domain
	if len(rewritten) > 254 {
		return "", ErrLongSRS
	}
	return rewritten, nil
}

// Reverse finds out where a bounce belongs that came to a rewritten sender. It
// answers ErrNotSRS, ErrForgedSRS or ErrExpiredSRS.
func (s SRS) Reverse(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !strings.EqualFold(address[at+1:], s.Domain) {
		return "", ErrNotSRS
	}
	kind, rest := cutSRS(unquoted(address[:at]))
	if kind == "" {
		return "", ErrNotSRS
	}
	mac, inner, ok := strings.Cut(rest, "=")
	if !ok || !s.made(mac, inner) {
		return "", ErrForgedSRS
	}
	first, rest, ok := strings.Cut(inner, "=")
	if !ok || rest == "" {
		return "", ErrForgedSRS
	}
	if kind == "SRS1" {
		return message.QuotedLocal("SRS0"+rest) + "@" + first, nil // rest begins with the separator
	}
	domain, local, ok := strings.Cut(rest, "=")
	switch {
	case !ok || local == "" || domain == "":
		return "", ErrForgedSRS
	case !s.fresh(first):
		return "", ErrExpiredSRS
	}
	return message.QuotedLocal(local) + "@" + domain, nil
}

// unquoted is what a local part says (RFC 5321 §4.1.2).
func unquoted(local string) string {
	if len(local) < 2 || local[0] != '"' {
		return local
	}
	var b strings.Builder
	quoteInto(&b, local)
	return b.String()
}

// cutSRS cuts "SRS0" or "SRS1" and the separator off a local part.
func cutSRS(local string) (kind, rest string) {
	if len(local) < 5 || !strings.ContainsRune("=+-", rune(local[4])) {
		return "", ""
	}
	switch kind = strings.ToUpper(local[:4]); kind {
	case "SRS0", "SRS1":
		return kind, local[5:]
	}
	return "", ""
}

// inherited is what SRS1 carries of a sender that others have rewritten: who
// did so first, and what they wrote. Who came between is left out. It is ""
// for any other sender.
func inherited(local, domain string) string {
	kind, rest := cutSRS(local)
	switch {
	case kind == "SRS0" && rest != "":
		return domain + "=" + local[len(kind):]
	case kind == "SRS1":
		_, inner, _ := strings.Cut(rest, "=")
		first, wrote, _ := strings.Cut(inner, "=")
		if asciiName(first) != "" && len(wrote) > 1 && strings.ContainsRune("=+-", rune(wrote[0])) {
			return inner
		}
	}
	return ""
}

// mac is over lower case, since servers on the way back may change it.
func (s SRS) mac(secret []byte, text string) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(strings.ToLower(text)))
	return digits.EncodeToString(h.Sum(nil)[:5])
}

func (s SRS) made(mac, text string) bool {
	ok := false
	for _, secret := range s.Secrets {
		ok = hmac.Equal([]byte(strings.ToLower(mac)), []byte(s.mac(secret, text))) || ok
	}
	return ok
}

// A stamp is the day, modulo 1024, in two characters.
const (
	stampDays  = 1 << 10
	stampChars = "abcdefghijklmnopqrstuvwxyz234567"
)

func (s SRS) today() int {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return int(now().Unix() / (24 * 60 * 60) % stampDays)
}

func (s SRS) stamp() string {
	d := s.today()
	return string([]byte{stampChars[d>>5], stampChars[d&31]})
}

func (s SRS) fresh(stamp string) bool {
	if len(stamp) != 2 {
		return false
	}
	stamp = strings.ToLower(stamp)
	high, low := strings.IndexByte(stampChars, stamp[0]), strings.IndexByte(stampChars, stamp[1])
	if high < 0 || low < 0 {
		return false
	}
	age := (s.today() - (high<<5 | low) + stampDays) % stampDays
	return age <= cmp.Or(s.Days, 21)
}
