package mailauth

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/internal/testdns"
)

func TestBlockLists(t *testing.T) {
	z := &counting{zone: zone{
		"7.2.0.192.list.test A":   {"127.0.0.4"},
		"7.2.0.192.list.test TXT": {"see \"https://list.test\"\r\n250 OK"},
		"8.2.0.192.list.test A":   {"198.51.100.1"},    // a zone that somebody else has now
		"9.2.0.192.list.test A":   {"127.255.255.254"}, // we may not ask
		"10.2.0.192.list.test A":  {"127.0.0.1"},
		"11.2.0.192.list.test A":  {"SERVFAIL"},
		"11.2.0.192.more.test A":  {"127.0.0.2"},
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test A": {"127.0.0.2"},
	}}
	now := testNow
	b := &Blocklist{Resolver: z, Zones: []string{"list.test", "more.test"}, Now: func() time.Time { return now }}
	for ip, want := range map[string]string{
		"192.0.2.7": "list.test", "192.0.2.8": "", "192.0.2.9": "", "192.0.2.10": "", "192.0.2.11": "more.test", "192.0.2.12": "",
		"2001:db8::7": "list.test", "::ffff:192.0.2.7": "list.test", "127.0.0.1": "", "10.0.0.1": "", "fe80::1": "",
	} {
		if got := b.Check(t.Context(), netip.MustParseAddr(ip)); got.Zone != want {
			t.Errorf("%s: %+v", ip, got)
		}
	}
	if why := b.Check(t.Context(), testFacts.RemoteIP).Reason; why != "see 'https://list.test'??250 OK" {
		t.Errorf("says %q", why)
	}
	z.asked = 0
	b.Check(t.Context(), testFacts.RemoteIP)
	if z.asked != 0 {
		t.Error("asked again")
	}
	now = now.Add(time.Hour)
	delete(z.zone, "7.2.0.192.list.test A")
	if got := b.Check(t.Context(), testFacts.RemoteIP); got.Zone != "" {
		t.Errorf("an hour later: %+v", got)
	}
}

func TestGreylisting(t *testing.T) {
	now := testNow
	g := &Greylist{Newcomers: make(greyNotes), Known: make(greyNotes), Now: func() time.Time { return now }}
	wait := func(ip, from, to string) time.Duration {
		t.Helper()
		return g.Wait(Facts{RemoteIP: netip.MustParseAddr(ip), MailFrom: from}, to)
	}
	expect := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: wait %s, want %s", what, got, want)
		}
	}
	expect("first", wait("192.0.2.7", "a@x.test", "b@here.test"), 5*time.Minute)
	now = now.Add(time.Minute)
	expect("too early", wait("192.0.2.7", "a@x.test", "b@here.test"), 4*time.Minute)
	now = now.Add(4 * time.Minute)
	expect("another sender", wait("192.0.2.7", "c@x.test", "b@here.test"), 5*time.Minute)
	expect("another recipient", wait("192.0.2.7", "a@x.test", "d@here.test"), 5*time.Minute)
	expect("another network", wait("192.0.3.7", "a@x.test", "b@here.test"), 5*time.Minute)
	expect("a neighbour, in time", wait("192.0.2.99", "A@x.test", "b@HERE.test"), 0)
	now = now.Add(30 * 24 * time.Hour)
	expect("a month later", wait("192.0.2.7", "a@x.test", "b@here.test"), 0)
	now = now.Add(40 * 24 * time.Hour)
	expect("forgotten", wait("192.0.2.7", "a@x.test", "b@here.test"), 5*time.Minute)
	now = now.Add(25 * time.Hour)
	expect("came again too late", wait("192.0.2.7", "a@x.test", "b@here.test"), 5*time.Minute)
	expect("IPv6", wait("2001:db8::1", "a@x.test", "b@here.test"), 5*time.Minute)
	now = now.Add(5 * time.Minute)
	expect("IPv6 of the same network", wait("2001:db8::ffff:2", "a@x.test", "b@here.test"), 0)
}

// greyNotes is a GreyMemory.
type greyNotes map[string]greyNote

type greyNote struct {
	value   string
	expires time.Time
}

func (n greyNotes) Get(key string) (string, bool) {
	note, ok := n[key]
	return note.value, ok
}

func (n greyNotes) Set(key, value string, expires time.Time) { n[key] = greyNote{value, expires} }

// What is remembered may be forgotten as soon as it makes no difference any
// more, and is harmless when it is damaged.
func TestGreyMemory(t *testing.T) {
	newcomers, known, now := make(greyNotes), make(greyNotes), testNow
	g := &Greylist{Newcomers: newcomers, Known: known, Now: func() time.Time { return now }}
	key := greyKey(testFacts, "b@here.test")
	g.Wait(testFacts, "b@here.test")
	if len(known) != 0 {
		t.Error("a newcomer is known")
	}
	if got := newcomers[key].expires; !got.Equal(now.Add(24 * time.Hour)) {
		t.Errorf("a newcomer is remembered until %s", got)
	}
	now = now.Add(time.Hour)
	g.Wait(testFacts, "b@here.test")
	if got := known[key].expires; !got.Equal(now.Add(36 * 24 * time.Hour)) {
		t.Errorf("who came again is remembered until %s", got)
	}
	newcomers[key], known[key] = greyNote{value: "1 2"}, greyNote{value: "1 2 true"}
	if wait := g.Wait(testFacts, "b@here.test"); wait != 5*time.Minute {
		t.Errorf("wait %s", wait)
	}
}

func TestGate(t *testing.T) {
	z := zone{"7.2.0.192.list.test A": {"127.0.0.4"}, "_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}
	grey := &Greylist{Newcomers: make(greyNotes), Known: make(greyNotes), Now: clock}
	g := &Gate{Blocklist: &Blocklist{Resolver: z, Zones: []string{"list.test"}}, Greylist: grey}
	recipient := func(f Facts, to string) Verdict {
		t.Helper()
		return g.Recipient(t.Context(), f, to)
	}
	if v := recipient(testFacts, "taro@here.test"); v.Action != Refuse || v.Code != 550 || !strings.Contains(v.Text, "192.0.2.7 is listed at list.test") {
		t.Errorf("listed: %+v", v)
	}
	if v := recipient(testFacts, "Postmaster@here.test"); v.Action != Accept {
		t.Errorf("postmaster: %+v", v)
	}
	other := Facts{RemoteIP: netip.MustParseAddr("198.51.100.1")}
	if v := recipient(other, "taro@here.test"); v.Code != 451 || v.Enhanced != [3]int{4, 7, 1} || !strings.Contains(v.Text, " in 5m0s ") {
		t.Errorf("newcomer: %+v", v)
	}
	if r, v, err := g.Message(t.Context(), testFacts, nil, bytes.NewReader(letter), int64(len(letter))); r != nil || v.Action != Accept || err != nil {
		t.Errorf("without a verifier: %v %+v %v", r, v, err)
	}

	g.Open = func(to string) bool { return to == "guest@here.test" }
	if v := recipient(testFacts, "guest@here.test"); v.Action != Accept {
		t.Errorf("open to all: %+v", v)
	}

	g.Verifier = testVerifier(z)
	g.Policy = func(domain string) Policy {
		return map[string]Policy{"strict.test": {DMARC: Follow}, "mild.test": {DMARC: Junk}}[domain]
	}
	for _, c := range []struct {
		to   []string
		want Action
	}{
		{[]string{"a@strict.test"}, Refuse},
		{[]string{"a@Strict.TEST", "b@strict.test"}, Refuse},
		{[]string{"a@strict.test", "b@mild.test"}, Junk},
		{[]string{"a@strict.test", "b@mild.test", "c@open.test"}, Accept},
	} {
		r, v, err := g.Message(t.Context(), testFacts, c.to, bytes.NewReader(letter), int64(len(letter)))
		if err != nil || r.DMARC.Value != Fail || v.Action != c.want {
			t.Errorf("%v: %+v %v", c.to, v, err)
		}
	}
	for client, trusted := range map[string]bool{"198.51.100.9": true, "::ffff:198.51.100.9": true, "198.51.101.9": false, "2001:db8::1": false, "fe80::1%eth0": true} {
		g.Trusted = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("fe80::/10")}
		f := Facts{RemoteIP: netip.MustParseAddr(client), MailFrom: "trust@other.test"}
		if v := recipient(f, "x@here.test"); (v.Action == Accept) != trusted {
			t.Errorf("%s: %+v", client, v)
		}
		r, v, err := g.Message(t.Context(), f, []string{"a@strict.test"}, bytes.NewReader(letter), int64(len(letter)))
		if err != nil || (r == nil) != trusted || (v.Action == Accept) != trusted {
			t.Errorf("%s: %+v %v", client, v, err)
		}
		g.Trusted = nil
	}
	for to, looked := range map[string]bool{"guest@here.test": false, "guest@here.test a@strict.test": true} {
		if r, _, err := g.Message(t.Context(), testFacts, strings.Fields(to), bytes.NewReader(letter), int64(len(letter))); err != nil || (r != nil) != looked {
			t.Errorf("%s: looked into: %v %v", to, r != nil, err)
		}
	}
	if v := recipient(Facts{}, "x@here.test"); v.Code != 451 {
		t.Errorf("a client without an address: %+v", v)
	}
}

// TestOverTheWire asks a DNS server as the program does.
func TestOverTheWire(t *testing.T) {
	dns, err := testdns.New(
		`author.test. TXT "v=spf1 mx -all"`, `author.test. MX 10 out.author.test.`, `out.author.test. A 192.0.2.7`,
		`7.2.0.192.in-addr.arpa. PTR out.author.test.`, `_dmarc.author.test. TXT "v=DMARC1; p=reject"`,
		`null.test. MX 0 .`,
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keysOf("author.test") {
		if err := dns.Add(k.DNSRecord()); err != nil {
			t.Fatal(err)
		}
	}
	server, err := testdns.Start(dns)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	v := testVerifier(nil)
	v.Resolver = resolve.Net{DNS: &resolve.DNS{Servers: []string{server.Addr}}}

	r := check(t, v, signedLetter(t))
	if r.IPRev.Value != Pass || r.MailFrom.Value != Pass || r.DMARC.Value != Pass || len(r.DKIM) != 2 || r.DKIM[0].Value != Pass || r.NullMX {
		t.Errorf("%s", r.Header())
	}
	null := testFacts
	null.MailFrom = "a@null.test"
	if r, err := v.Check(t.Context(), null, bytes.NewReader(letter), int64(len(letter))); err != nil || !r.NullMX {
		t.Errorf("a null MX: %v", err)
	}
	dead := testVerifier(nil)
	dead.Resolver = resolve.Net{DNS: &resolve.DNS{Servers: []string{"127.0.0.1:0"}}} // where nobody can be
	if r := check(t, dead, signedLetter(t)); r.IPRev.Value != TempError || r.MailFrom.Value != TempError || r.DKIM[0].Value != TempError || r.DMARC.Value != TempError {
		t.Errorf("without a name server: %s", r.Header())
	} else if bytes.Contains(r.Header(), []byte("connection")) {
		t.Errorf("it tells of our network: %s", r.Header())
	}
	dns.Fail("author.test.", testdns.Servfail)
	if r := check(t, v, letter); r.MailFrom.Value != TempError {
		t.Errorf("%+v", r.MailFrom)
	}
}

func TestSendersAreRewritten(t *testing.T) {
	now := testNow
	s := SRS{Domain: "here.test", Secrets: [][]byte{[]byte("new"), []byte("old")}, Now: func() time.Time { return now }}
	forward := func(s SRS, sender string) string {
		t.Helper()
		out, err := s.Forward(sender)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, sender := range []string{"a@author.test", "a=b+c@author.test", "SRS0@author.test", `"a b"@author.test`, "é@author.test"} {
		out := forward(s, sender)
		if !strings.HasPrefix(strings.Trim(out, `"`), "SRS0=") || !strings.HasSuffix(out, "@here.test") {
			t.Errorf("%s became %s", sender, out)
		}
		if back, err := s.Reverse(out); back != sender || err != nil {
			t.Errorf("%s came back as %s, %v", out, back, err)
		}
	}
	out := forward(s, "Hanako@author.test")
	if back, err := s.Reverse(strings.ToUpper(out)); !strings.EqualFold(back, "Hanako@author.test") || err != nil {
		t.Errorf("in capitals: %s %v", back, err)
	}
	if out := forward(s, ""); out != "" {
		t.Errorf("the null sender became %s", out)
	}

	// A second and a third rewriter.
	second := SRS{Domain: "second.test", Secrets: [][]byte{[]byte("2")}, Now: s.Now}
	third := SRS{Domain: "third.test", Secrets: [][]byte{[]byte("3")}, Now: s.Now}
	one := forward(s, "a@author.test")
	two := forward(second, one)
	three := forward(third, two)
	if !strings.HasPrefix(two, "SRS1=") || len(three) > len(two)+1 {
		t.Errorf("%s, then %s, then %s", one, two, three)
	}
	for _, r := range []struct {
		s  SRS
		in string
	}{{second, two}, {third, three}} {
		if back, err := r.s.Reverse(r.in); back != one || err != nil {
			t.Errorf("%s came back as %s, %v", r.in, back, err)
		}
	}

	old := SRS{Domain: "here.test", Secrets: [][]byte{[]byte("old")}, Now: s.Now}
	if _, err := s.Reverse(forward(old, "a@author.test")); err != nil {
		t.Errorf("made with the secret before: %v", err)
	}
	for in, want := range map[string]error{
		"a@here.test":    ErrNotSRS,
		"srs0@here.test": ErrNotSRS,
		one[:len(one)-len("here.test")] + "other.test": ErrNotSRS,
		strings.Replace(one, "author", "editor", 1):    ErrForgedSRS,
		"SRS0=@here.test":    ErrForgedSRS,
		"SRS1=x=y@here.test": ErrForgedSRS,
		two[:len(two)-len("second.test")] + "here.test": ErrForgedSRS,
	} {
		if back, err := s.Reverse(in); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v, want %v", in, back, err, want)
		}
	}
	now = now.Add(21 * 24 * time.Hour)
	if _, err := s.Reverse(one); err != nil {
		t.Errorf("after 21 days: %v", err)
	}
	now = now.Add(24 * time.Hour)
	if _, err := s.Reverse(one); !errors.Is(err, ErrExpiredSRS) {
		t.Errorf("after 22 days: %v", err)
	}
	if _, err := s.Forward(strings.Repeat("x", 240) + "@author.test"); !errors.Is(err, ErrLongSRS) {
		t.Errorf("too long: %v", err)
	}
}
