package mailauth

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"
)

// Resolver is what we ask of DNS. It is asked from several goroutines, for
// rooted names of any octets, and answers as a [net.Resolver] does, with a
// [*net.DNSError].
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// queryTime is how long one question may take.
const queryTime = 10 * time.Second

// lookups asks a Resolver on behalf of one message: a bounded number of
// questions, none of them for a key twice. Its errors are all *net.DNSError.
type lookups struct {
	resolver Resolver

	mu   sync.Mutex
	left int
	txt  map[string]texts
}

type texts struct {
	records []string
	err     error
}

func newLookups(r Resolver, max int) *lookups {
	return &lookups{resolver: r, left: max, txt: make(map[string]texts)}
}

// take counts a question.
func (l *lookups) take(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left <= 0 {
		return &net.DNSError{Err: "too many DNS queries for one message", Name: name}
	}
	l.left--
	return nil
}

// rooted ends a name with a dot.
func rooted(name string) string { return strings.TrimSuffix(name, ".") + "." }

// ask runs one question under its own deadline.
func ask[T any](ctx context.Context, l *lookups, name string, lookup func(context.Context, string) (T, error)) (T, error) {
	if err := l.take(name); err != nil {
		var none T
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	answer, err := lookup(ctx, name)
	return answer, dnsError(err, name)
}

// dnsError makes an error one that says whether asking again helps: always,
// unless DNS itself has said that there is nothing. Mail must not be refused
// because a name server is down.
func dnsError(err error, name string) error {
	if err == nil {
		return nil
	}
	e := net.DNSError{Err: "no answer", Name: name, UnwrapErr: err}
	var d *net.DNSError
	if errors.As(err, &d) {
		e = *d
	}
	e.IsTemporary = !e.IsNotFound
	return &e
}

// LookupTXT, and the three below it, make lookups a Resolver for SPF.
func (l *lookups) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = strings.ToLower(rooted(name))
	l.mu.Lock()
	known, ok := l.txt[name]
	l.mu.Unlock()
	if ok {
		return known.records, known.err
	}
	records, err := ask(ctx, l, name, l.resolver.LookupTXT)
	l.mu.Lock()
	l.txt[name] = texts{records, err}
	l.mu.Unlock()
	return records, err
}

func (l *lookups) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return ask(ctx, l, rooted(name), l.resolver.LookupMX)
}

func (l *lookups) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return ask(ctx, l, rooted(host), l.resolver.LookupIPAddr)
}

func (l *lookups) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return ask(ctx, l, addr, l.resolver.LookupAddr)
}

// notFound: there is nothing of that name or kind.
func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// temporary: asking again may help.
func temporary(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && (d.IsTemporary || d.IsTimeout)
}

// lookupProfile reads internationalised names as browsers do (RFC 8616 §4
// wants A-labels in queries), and leaves underscores alone.
var lookupProfile = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.BidiRule())

// asciiName is a domain as DNS knows it: lower case, A-labels, no dot at the
// end; "" when it cannot be one.
func asciiName(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if isASCII(domain) {
		domain = strings.ToLower(domain)
	} else {
		var err error
		if domain, err = lookupProfile.ToASCII(domain); err != nil {
			return ""
		}
	}
	if len(domain) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return ""
		}
	}
	return domain
}

func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
