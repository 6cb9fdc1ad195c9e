package mailauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// Facts are what SMTP knows of a message.
type Facts struct {
	RemoteIP netip.Addr
	HELO     string // as the client said it
	MailFrom string // without brackets; "" is the null sender
}

// Verifier checks messages that come in. Its zero values are usable, except
// for the Resolver. It is for concurrent use.
type Verifier struct {
	Resolver Resolver
	Hostname string           // ours, under which the results stand
	Now      func() time.Time // nil is time.Now

	Timeout       time.Duration // for all questions about one message; 0 is 20 s
	MaxQueries    int           // to DNS; 0 is 100
	MaxSignatures int           // that are looked at; 0 is 10
	MaxHeader     int           // octets; a larger header is not looked at; 0 is 256 KiB

	// Sample gives a number from 0 to below n, for the percentage of a DMARC
	// policy; nil is random.
	Sample func(n int) int
}

// checkTime is how long all questions about one message may take: as long as
// RFC 7208 §4.6.4 wants to be waited for SPF at least.
const checkTime = 20 * time.Second

// Bounds on what a From may name. Of more addresses, readers show some only,
// and not the same ones.
const (
	maxAuthors   = 4 // domains
	maxAddresses = 100
)

// Check finds out all it can about a message. Whatever is wrong with message
// or DNS is a result; an error is one of raw, or of ctx.
func (v *Verifier) Check(ctx context.Context, f Facts, raw io.ReaderAt, size int64) (Results, error) {
	r := Results{AuthservID: v.Hostname, Remote: f.RemoteIP.Unmap(), nullSender: f.MailFrom == ""}
	l := newLookups(v.Resolver, cmp.Or(v.MaxQueries, 100))
	asking, cancel := context.WithTimeout(ctx, cmp.Or(v.Timeout, checkTime))
	defer cancel()

	var envelope sync.WaitGroup
	envelope.Go(func() { r.IPRev = checkIPRev(asking, l, r.Remote) })
	envelope.Go(func() { r.HELO, r.MailFrom = checkSPF(asking, l, r.Remote, f.HELO, f.MailFrom) })
	envelope.Go(func() { r.NullMX = nullMX(asking, l, f.MailFrom) })
	authors, problem, err := v.checkSignatures(ctx, asking, l, &r, raw, size)
	envelope.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Results{}, fmt.Errorf("authenticate: %w", err)
	}
	sample := v.Sample
	if sample == nil {
		sample = rand.IntN
	}
	r.DMARC = DMARC{Value: PermError, Reason: problem, Ask: DemandNone}
	for i, a := range authors {
		d := checkDMARC(asking, l, a, r.MailFrom, r.DKIM, sample)
		if i == 0 || d.worse(r.DMARC) {
			r.DMARC = d
		}
	}
	return r, nil
}

// CheckSignatures finds out what a message says by itself, wherever it comes
// from: DKIM and ARC.
func (v *Verifier) CheckSignatures(ctx context.Context, raw io.ReaderAt, size int64) (Results, error) {
	r := Results{AuthservID: v.Hostname}
	asking, cancel := context.WithTimeout(ctx, cmp.Or(v.Timeout, checkTime))
	defer cancel()
	l := newLookups(v.Resolver, cmp.Or(v.MaxQueries, 100))
	if _, _, err := v.checkSignatures(ctx, asking, l, &r, raw, size); err != nil {
		return Results{}, fmt.Errorf("authenticate: %w", err)
	}
	return r, nil
}

// checkSignatures reads the message: its DKIM signatures and its ARC chain. It
// returns the domains of its authors, or what is wrong with them.
func (v *Verifier) checkSignatures(ctx, asking context.Context, l *lookups, r *Results, raw io.ReaderAt, size int64) (authors []string, problem string, err error) {
	header, start, err := readHeader(raw, size, cmp.Or(v.MaxHeader, 256<<10))
	if errors.Is(err, ErrHeaderSize) {
		r.DKIM = []DKIM{{Value: PermError, Reason: err.Error()}}
		r.ARC = ARC{Value: Fail, Reason: err.Error(), closed: true}
		return nil, err.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	all := fields(header)
	hashes := make(bodies)
	var signatures []dkimSignature
	ignored := 0
	for _, f := range all {
		if f.name != "dkim-signature" {
			continue
		}
		if len(signatures) == cmp.Or(v.MaxSignatures, 10) {
			ignored++
			continue
		}
		s := parseDKIM(f)
		if s.problem == nil {
			hashes.need(s.body)
		}
		signatures = append(signatures, s)
	}
	arc := parseChain(all)
	arc.needs(hashes)
	if len(hashes) > 0 {
		if err := hashes.read(ctx, raw, start, size); err != nil {
			return nil, "", err
		}
	}
	sums, now := hashes.sums(), time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	for _, s := range signatures {
		r.DKIM = append(r.DKIM, s.result(asking, l, all, sums, now))
	}
	if ignored > 0 {
		r.DKIM = append(r.DKIM, DKIM{Value: Refused, Reason: fmt.Sprintf("%d more signatures were not looked at", ignored)})
	}
	r.ARC = arc.result(asking, l, all, sums, now)
	authors, problem = authorDomains(all)
	return authors, problem, nil
}

// read passes a body through the hashes.
func (b bodies) read(ctx context.Context, raw io.ReaderAt, start, size int64) error {
	buf := make([]byte, 64<<10)
	for start < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := raw.ReadAt(buf[:min(int64(len(buf)), size-start)], start)
		_, _ = b.Write(buf[:n])
		start += int64(n)
		if err != nil && (err != io.EOF || start < size) {
			return fmt.Errorf("read the body: %w", err)
		}
	}
	return nil
}

// authorDomains are the domains in From, or what is wrong with it: DMARC can
// say nothing about a message whose author is anybody's guess (RFC 7489
// §6.6.1).
func authorDomains(all []field) (domains []string, problem string) {
	var from []string
	for _, f := range all {
		if f.name == "from" {
			from = append(from, f.value())
		}
	}
	if len(from) != 1 {
		return nil, fmt.Sprintf("the message has %d From fields", len(from))
	}
	seen := make(map[string]bool)
	text := strings.NewReplacer("\r", "", "\n", "").Replace(strings.ToValidUTF8(from[0], "?"))
	addresses := message.ParseAddresses(text, maxAddresses+1)
	if len(addresses) > maxAddresses {
		return nil, "From names too many addresses"
	}
	for _, a := range addresses {
		if a.Host == "" {
			continue // a group begins or ends
		}
		d := asciiName(a.Host)
		switch d {
		case "":
			return nil, "From names something that is no domain"
		case "missing.invalid": // what package message writes where there is none
			return nil, "From has no address"
		}
		if !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
	}
	switch {
	case len(domains) == 0:
		return nil, "From has no address"
	case len(domains) > maxAuthors:
		return nil, "From names too many domains"
	}
	return domains, ""
}

// worse orders what was found for the authors of one message: the strictest
// failure counts.
func (d DMARC) worse(than DMARC) bool {
	severity := func(d DMARC) int {
		switch d.Value {
		case Pass:
			return 0
		case None:
			return 1
		case PermError:
			return 2
		case TempError:
			return 3 + 2*d.Ask.rank()
		}
		return 4 + 2*d.Ask.rank()
	}
	return severity(d) > severity(than)
}

// nullMX reports whether the sender's domain says that it has no mail, so that
// nobody could answer or be told (RFC 7505 §4.2).
func nullMX(ctx context.Context, l *lookups, from string) bool {
	domain := domainOf(from)
	if from == "" || domain == "" {
		return false
	}
	mx, err := l.LookupMX(ctx, domain)
	return err == nil && len(mx) == 1 && strings.TrimSuffix(mx[0].Host, ".") == ""
}
