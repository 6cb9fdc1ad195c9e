package mailauth

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// zone is DNS in memory: "name TYPE" and its values. The value SERVFAIL makes
// a question fail for now.
type zone map[string][]string

func (z zone) get(ctx context.Context, name, kind string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	values := z[strings.ToLower(strings.TrimSuffix(name, "."))+" "+kind]
	switch {
	case len(values) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case values[0] == "SERVFAIL":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	return values, nil
}

func (z zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return z.get(ctx, name, "TXT")
}

func (z zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	values, err := z.get(ctx, name, "MX")
	var mx []*net.MX
	for i, v := range values {
		mx = append(mx, &net.MX{Host: v + ".", Pref: uint16(i)})
	}
	return mx, err
}

func (z zone) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	v4, err := z.get(ctx, host, "A")
	v6, err6 := z.get(ctx, host, "AAAA")
	if len(v4)+len(v6) == 0 {
		if notFound(err) {
			err = err6
		}
		return nil, err
	}
	var all []net.IPAddr
	for _, v := range append(v4[:len(v4):len(v4)], v6...) {
		all = append(all, net.IPAddr{IP: net.ParseIP(v)})
	}
	return all, nil
}

func (z zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return z.get(ctx, addr, "PTR")
}

// Two keys, made once: RSA takes its time.
var testKeys = sync.OnceValue(func() [2]Key {
	var keys [2]Key
	for i, kind := range []KeyKind{RSA, Ed25519} {
		private, err := GenerateKey(kind)
		if err != nil {
			panic(err)
		}
		keys[i] = Key{Domain: "author.test", Selector: "s" + string(kind), Private: private}
	}
	return keys
})

// keysOf are the test keys under another domain's name.
func keysOf(domain string) []Key {
	keys := testKeys()
	for i := range keys {
		keys[i].Domain = domain
	}
	return keys[:]
}

// publish puts the keys of domains into a zone.
func (z zone) publish(domains ...string) zone {
	for _, d := range domains {
		for _, k := range keysOf(d) {
			z[k.Name()+" TXT"] = []string{k.Text()}
		}
	}
	return z
}

var testNow = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return testNow }

func testSigner() *Signer {
	return &Signer{Keys: func(d string) []Key {
		if d == "author.test" || d == "list.test" || d == "next.test" {
			return keysOf(d)
		}
		return nil
	}, Now: clock}
}

func testVerifier(z zone) *Verifier {
	return &Verifier{Resolver: z, Hostname: "mx.here.test", Now: clock, Sample: func(int) int { return 50 }}
}

// crlf writes a message with the line ends of mail.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

var letter = crlf(`Received: from a.author.test by b.author.test; Tue, 3 Nov 2026 17:59:00 +0900
From: Hanako <hanako@author.test>
To: Taro <taro@here.test>
Subject:  A   letter
	with  a folded subject
Date: Tue, 3 Nov 2026 18:00:00 +0900
Message-ID: <1@author.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

会議のお知らせです。  
Trailing blanks 	 

	tabs	and   spaces

last line


`)

var testFacts = Facts{RemoteIP: netip.MustParseAddr("192.0.2.7"), HELO: "out.author.test", MailFrom: "hanako@author.test"}

func check(t *testing.T, v *Verifier, raw []byte) Results {
	t.Helper()
	r, err := v.Check(t.Context(), testFacts, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t testing.TB, s *Signer, domain string, raw []byte) []byte {
	t.Helper()
	head, err := s.Sign(t.Context(), domain, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return append(head, raw...)
}

// signedLetter is letter with both signatures of author.test.
func signedLetter(t testing.TB) []byte { return sign(t, testSigner(), "author.test", letter) }

func replace(raw []byte, old, new string) []byte {
	return []byte(strings.Replace(string(raw), strings.ReplaceAll(old, "\n", "\r\n"), strings.ReplaceAll(new, "\n", "\r\n"), 1))
}

// counting counts what is asked.
type counting struct {
	zone
	mu    sync.Mutex
	asked int
}

func (c *counting) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
}

func (c *counting) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.count()
	return c.zone.LookupTXT(ctx, name)
}

func (c *counting) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	c.count()
	return c.zone.LookupMX(ctx, name)
}

func (c *counting) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	c.count()
	return c.zone.LookupIPAddr(ctx, host)
}

func (c *counting) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	c.count()
	return c.zone.LookupAddr(ctx, addr)
}
