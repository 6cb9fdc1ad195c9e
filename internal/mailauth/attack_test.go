package mailauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// What DMARC takes for the author must be what a reader is shown: else mail
// passes for one and seems to be from another.
func TestTheAuthorIsWhoIsShown(t *testing.T) {
	compared := 0
	for _, header := range []string{
		"From: a@good.test",
		"from:a@good.test",
		"From : a@good.test",
		"From\t: a@good.test",
		"From:\n a@good.test",
		"From:\n\ta@good.test\n ,b@evil.test",
		"Subject: x\n \nFrom: a@good.test",
		"Subject: x\n\t \n\t\nFrom: a@good.test\n ",
		"garbage\nFrom: a@good.test",
		"From a@evil.test Mon Jan 1\nFrom: a@good.test",
		": x\nFrom: a@good.test",
		" From: b@evil.test\nFrom: a@good.test",
		"Sender: b@evil.test\nFrom: a@good.test",
		"X: y\x00\nFrom: a@good.test",
		"From\x00: b@evil.test\nFrom: a@good.test",
		"Fr\u043em: b@evil.test\nFrom: a@good.test",
		"From\u00a0: b@evil.test\nFrom: a@good.test",
		"From: a@good.test\nFrom: b@evil.test",
		"From: b@evil.test\nfrom : a@good.test",
		"From: b@evil.test\nFROM\t:\n a@good.test",
		"Resent-From: b@evil.test\nFrom: a@good.test",
		`From: "b@evil.test" <a@good.test>`,
		`From: "a@good.test" <b@evil.test>`,
		`From: "a@good.test"@evil.test`,
		`From: a@good.test <b@evil.test>`,
		`From: <a@good.test> <b@evil.test>`,
		`From: <b@evil.test:a@good.test>`,
		`From: <@evil.test:a@good.test>`,
		`From: <@evil.test,@c.test:a@good.test>`,
		`From: a@good.test (b@evil.test)`,
		`From: (a@good.test) b@evil.test`,
		`From: a@good.test(, b@evil.test`,
		`From: a@good.test\, b@evil.test`,
		`From: "a@good.test, b@evil.test`,
		`From: a@good.test; b@evil.test`,
		`From: friends: a@good.test, b@evil.test;`,
		`From: friends: a@good.test;, b@evil.test`,
		`From: a@good.test@evil.test`,
		`From: a@good.test.`,
		`From: a@good .test`,
		`From: a@[192.0.2.1], a@good.test`,
		`From: =?utf-8?q?a=40good.test?= <b@evil.test>`,
		`From: =?utf-8?q?a=40good.test=3E?= b@evil.test`,
		`From: a@=?utf-8?q?good.test?=`,
		"From: a@gööd.test",
		"From: a@GÖÖD.test",
		"From: a@good.test\u3002evil.test", // a full stop to IDNA
		"From: a@\u202ego.test",
		"From: a@good.test\xff",
		"From: ", "From:", "Subject: none",
		"From: " + strings.Repeat("a@good.test, ", 20000) + "b@evil.test",
	} {
		raw := crlf(header + "\nTo: x@here.test\n\nbody\n")
		block, _, err := readHeader(bytes.NewReader(raw), int64(len(raw)), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		authors, problem := authorDomains(fields(block))
		if problem != "" {
			continue // nobody's, and never passes
		}
		s, err := message.Summarize(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		compared++
		shown := s.Envelope.From
		if len(shown) == 0 {
			t.Errorf("%.80q is by %q, and shown without an author", header, authors)
		}
		for _, a := range shown {
			if a.Host != "" && !slices.Contains(authors, asciiName(a.Host)) {
				t.Errorf("%.80q is by %q, and shown as from %s@%s", header, authors, a.Mailbox, a.Host)
			}
		}
	}
	if compared < 20 {
		t.Errorf("only %d of them have an author", compared)
	}
}

// Keys in DNS are chosen by strangers.
func TestHostileKeys(t *testing.T) {
	signed := signedLetter(t)
	name := keysOf("author.test")[0].Name() + " TXT" // RSA
	spki := func(n *big.Int, e int) string {
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: e})
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	}
	odd := func(bits uint) *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-1))
		if err != nil {
			t.Fatal(err)
		}
		return n.SetBit(n.SetBit(n, int(bits)-1, 1), 0, 1)
	}
	for what, record := range map[string]string{
		"16 384 bits":          "p=" + spki(odd(16384), 65537),
		"400 000 bits":         "p=" + spki(odd(400_000), 65537),
		"a huge exponent":      "p=" + spki(odd(2048), 1<<31-1),
		"the exponent 1":       "p=" + spki(odd(2048), 1),
		"an even modulus":      "p=" + spki(new(big.Int).Lsh(odd(2047), 1), 65537),
		"a hundred thousand":   strings.Repeat("x=y; ", 100_000),
		"only semicolons":      "p=AAAA" + strings.Repeat(";", 1<<20),
		"binary":               "v=DKIM1; p=\x00\xff\r\nSubject: x",
		"base64 of a megabyte": "p=" + strings.Repeat("A", 1<<20),
	} {
		z := zone{}.publish("author.test")
		z[name] = []string{record}
		r := check(t, testVerifier(z), signed)
		if d := r.DKIM[slices.IndexFunc(r.DKIM, func(d DKIM) bool { return d.Algorithm == "rsa-sha256" })]; d.Value == Pass || d.Value == TempError {
			t.Errorf("%s: %+v", what, d)
		}
		if all := fields(r.Header()); len(all) != 1 {
			t.Errorf("%s writes a field: %q", what, r.Header())
		}
	}
}

// flood answers everything with more than anybody wants, and counts.
type flood struct{ counting }

func (f *flood) LookupTXT(_ context.Context, name string) ([]string, error) {
	f.count()
	all := []string{"v=spf1 " + strings.Repeat("include:%{l}.flood.test ", 2000) + "+all"}
	for i := range 5000 {
		all = append(all, fmt.Sprintf("v=DMARC1; p=none; x%d=%s", i, name))
	}
	return all, nil
}

func (f *flood) LookupMX(context.Context, string) ([]*net.MX, error) {
	f.count()
	var all []*net.MX
	for i := range 5000 {
		all = append(all, &net.MX{Host: fmt.Sprintf("m%d.flood.test.", i)})
	}
	return all, nil
}

func (f *flood) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	f.count()
	var all []net.IPAddr
	for i := range 5000 {
		all = append(all, net.IPAddr{IP: net.IPv4(203, 0, byte(i>>8), byte(i))})
	}
	return append(all, net.IPAddr{}, net.IPAddr{IP: net.IP{1, 2}}), nil
}

func (f *flood) LookupAddr(context.Context, string) ([]string, error) {
	f.count()
	var all []string
	for i := range 5000 {
		all = append(all, fmt.Sprintf("p%d\r\nSubject: x.flood.test.", i))
	}
	return all, nil
}

func TestAFloodOfAnswers(t *testing.T) {
	f := new(flood)
	v := testVerifier(nil)
	v.Resolver = f
	r := check(t, v, signedLetter(t))
	if r.MailFrom.Value == Pass || r.IPRev.Value == Pass || r.DMARC.Value == Pass || r.DKIM[0].Value == Pass {
		t.Errorf("%s", r.Header())
	}
	if all := fields(r.Header()); len(all) != 1 || len(r.Header()) > 4000 {
		t.Errorf("%q", r.Header())
	}
	if f.asked > 60 {
		t.Errorf("%d questions", f.asked)
	}
}

// silence never answers.
type silence struct{}

func (silence) LookupTXT(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silence) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silence) LookupIPAddr(ctx context.Context, _ string) ([]net.IPAddr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silence) LookupAddr(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// However many names a mail makes us ask about, a DNS that says nothing holds
// it up for a bounded time, each mail by itself, and refuses none.
func TestSilentDNSHoldsUpForABoundedTime(t *testing.T) {
	raw := signedLetter(t)
	for range 5 {
		raw = sign(t, testSigner(), "author.test", raw)
	}
	synctest.Test(t, func(t *testing.T) {
		v := testVerifier(nil)
		v.Resolver, v.Now = silence{}, nil
		begin := time.Now()
		done := make(chan Results)
		for range 20 {
			go func() {
				r, err := v.Check(t.Context(), testFacts, bytes.NewReader(raw), int64(len(raw)))
				if err != nil {
					t.Error(err)
				}
				done <- r
			}()
		}
		for range 20 {
			r := <-done
			if r.IPRev.Value != TempError || r.MailFrom.Value != TempError || r.DKIM[0].Value != TempError || r.DMARC.Value != TempError {
				t.Errorf("%s", r.Header())
			}
			if got := r.Verdict(Policy{DMARC: FollowJunk}).Action; got != Accept {
				t.Errorf("the mail is not taken but %s", got)
			}
		}
		if took := time.Since(begin); took > checkTime {
			t.Errorf("it took %s", took)
		}
	})
}
