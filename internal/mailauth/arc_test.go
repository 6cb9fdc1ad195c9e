package mailauth

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// handOn checks a message as the next host would, and seals it for domain.
func handOn(t testing.TB, z zone, domain string, raw []byte) []byte {
	t.Helper()
	v := testVerifier(z)
	v.Hostname = "mx." + domain
	r, err := v.Check(t.Context(), testFacts, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	head, err := testSigner().Seal(t.Context(), domain, r, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return append(head, raw...)
}

func arcZone() zone {
	z := zone{}.publish("author.test", "list.test", "next.test")
	z["_dmarc.author.test TXT"] = []string{"v=DMARC1; p=reject"}
	z["author.test TXT"] = []string{"v=spf1 ip4:192.0.2.0/24 -all"}
	return z
}

func TestChainsHold(t *testing.T) {
	z := arcZone()
	raw := signedLetter(t)
	if r := check(t, testVerifier(z), raw); r.ARC.Value != None {
		t.Errorf("no chain: %+v", r.ARC)
	}
	for i, d := range []string{"list.test", "next.test", "list.test"} {
		raw = handOn(t, z, d, raw)
		r := check(t, testVerifier(z), raw).ARC
		if r.Value != Pass || len(r.Sets) != i+1 || r.Sets[i].Domain != d || r.Sets[i].AuthservID != "mx."+d {
			t.Fatalf("after %d seals: %+v", i+1, r)
		}
		found := false
		for _, c := range r.Sets[i].Results {
			found = found || c.Method == "dmarc" && c.Value == Pass && c.Properties["header.from"] == "author.test"
		}
		if !found {
			t.Errorf("instance %d claims %+v", i+1, r.Sets[i].Results)
		}
	}
}

// RFC 8617 §5.2: a host that changes the message breaks the signatures before
// its own, and not the chain.
func TestOldestPass(t *testing.T) {
	z := arcZone()
	raw := signedLetter(t)
	for i, step := range []struct {
		domain, change string
		want           int
	}{
		{"list.test", "", 0},
		{"next.test", "", 0},
		{"list.test", "a footer", 3},
		{"next.test", "", 3},
		{"list.test", "another footer", 5},
	} {
		r := check(t, testVerifier(z), raw)
		if step.change != "" {
			raw = append(bytes.TrimRight(bytes.Clone(raw), "\r\n"), "\r\n"+step.change+"\r\n"...)
		}
		head, err := testSigner().Seal(t.Context(), step.domain, r, bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		raw = append(head, raw...)
		r = check(t, testVerifier(z), raw)
		if r.ARC.Value != Pass || r.ARC.OldestPass != step.want {
			t.Fatalf("after %d: %s, oldest %d, want %d (%s)", i+1, r.ARC.Value, r.ARC.OldestPass, step.want, r.ARC.Reason)
		}
		if want := fmt.Sprintf("header.oldest-pass=%d", step.want); !bytes.Contains(r.Header(), []byte(want)) {
			t.Errorf("%q is missing in %s", want, r.Header())
		}
	}
	z[keysOf("next.test")[0].Name()+" TXT"] = []string{"SERVFAIL"}
	if r := check(t, testVerifier(z), raw).ARC; r.Value != Fail || r.OldestPass != 0 {
		t.Errorf("a chain that cannot be checked: %+v", r)
	}
}

func TestBrokenChainsFail(t *testing.T) {
	z := arcZone()
	one := handOn(t, z, "list.test", signedLetter(t))
	two := handOn(t, z, "next.test", one)
	set := two[:len(two)-len(one)] // the second one's three fields
	cut := func(name string) []byte {
		var kept []byte
		for _, f := range fields(set) {
			if f.name != name {
				kept = append(kept, f.raw...)
			}
		}
		return append(kept, one...)
	}
	for _, c := range []struct {
		name   string
		raw    []byte
		reason string
	}{
		{"a changed body", replace(two, "last line", "lost line"), "body"},
		{"a changed subject", replace(two, "A   letter", "B   letter"), "header"},
		{"changed results", replace(two, "dmarc=pass", "dmarc=fail"), "seal 2"},
		{"results changed further down", append(bytes.Clone(set), replace(one, "dmarc=pass", "dmarc=fail")...), "seal 2"},
		{"no seal", cut("arc-seal"), "instance 2"},
		{"no message signature", cut("arc-message-signature"), "instance 2"},
		{"no results", cut("arc-authentication-results"), "instance 2"},
		{"a field twice", append(bytes.Clone(fields(set)[0].raw), two...), "instance 2"},
		{"only the second", append(bytes.Clone(set), letter...), "instance 1"},
		{"instance 0", replace(two, "ARC-Seal: i=2", "ARC-Seal: i=0"), "number"},
		{"instance 51", replace(two, "ARC-Seal: i=2", "ARC-Seal: i=51"), "number"},
		{"no instance", replace(two, "ARC-Seal: i=2;", "ARC-Seal:"), "number"},
		{"cv=none in the second", replace(two, "cv=pass", "cv=none"), "seal 2"},
		{"cv=fail", replace(two, "cv=pass", "cv=fail"), "before"},
		{"h= in a seal", replace(two, "cv=pass;", "cv=pass; h=from;"), "seal 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if bytes.Equal(c.raw, two) {
				t.Fatal("nothing has changed")
			}
			r := check(t, testVerifier(z), c.raw).ARC
			if r.Value != Fail || !strings.Contains(r.Reason, c.reason) || r.Temporary || len(r.Sets) > 0 {
				t.Errorf("%+v, want … %s …", r, c.reason)
			}
		})
	}
	t.Run("no key for the first seal", func(t *testing.T) {
		without := arcZone()
		delete(without, keysOf("list.test")[0].Name()+" TXT")
		if r := check(t, testVerifier(without), two).ARC; r.Value != Fail || !strings.Contains(r.Reason, "seal 1") {
			t.Errorf("%+v", r)
		}
	})
}

func TestBrokenChainsAreSealedOnce(t *testing.T) { // RFC 8617 §5.1.2
	z := arcZone()
	broken := replace(handOn(t, z, "list.test", signedLetter(t)), "last line", "lost line")
	sealed := handOn(t, z, "next.test", broken)
	if !bytes.Contains(sealed, []byte("cv=fail")) {
		t.Fatalf("the seal does not say that the chain is broken:\n%s", sealed[:len(sealed)-len(broken)])
	}
	if again := handOn(t, z, "list.test", sealed); !bytes.Equal(again, sealed) {
		t.Error("a chain went on after its end")
	}
}

func TestChainsWaitForDNS(t *testing.T) {
	z := arcZone()
	one := handOn(t, z, "list.test", signedLetter(t))
	z[keysOf("list.test")[0].Name()+" TXT"] = []string{"SERVFAIL"}
	r := check(t, testVerifier(z), one)
	if r.ARC.Value != Fail || !r.ARC.Temporary {
		t.Errorf("%+v", r.ARC)
	}
	if _, err := testSigner().Seal(t.Context(), "next.test", r, bytes.NewReader(one), int64(len(one))); !errors.Is(err, ErrTemporary) {
		t.Errorf("Seal: %v", err)
	}
}

func TestChainsEnd(t *testing.T) { // RFC 8617 §4.2.1
	z := arcZone()
	raw := signedLetter(t)
	for i := range maxInstance {
		next := handOn(t, z, "list.test", raw)
		if bytes.Equal(next, raw) {
			t.Fatalf("no instance %d", i+1)
		}
		raw = next
	}
	v := testVerifier(z)
	v.MaxQueries = 200
	if r := check(t, v, raw).ARC; r.Value != Pass || len(r.Sets) != maxInstance {
		t.Errorf("%d instances: %s %s", maxInstance, r.Value, r.Reason)
	}
	if next := handOn(t, z, "list.test", raw); !bytes.Equal(next, raw) {
		t.Error("an instance too many")
	}
}

func TestNothingIsSealedWithoutAKey(t *testing.T) {
	z := arcZone()
	if raw := handOn(t, z, "unknown.test", letter); !bytes.Equal(raw, letter) {
		t.Error("sealed without a key")
	}
}

func TestTrustedSealersExcuseDMARC(t *testing.T) {
	z := arcZone()
	// The list writes a footer, which breaks the author's signature.
	footed := replace(signedLetter(t), "last line\n", "last line\n-- \nthe list\n")
	v := testVerifier(z)
	whole, err := v.Check(t.Context(), testFacts, bytes.NewReader(signedLetter(t)), int64(len(signedLetter(t))))
	if err != nil {
		t.Fatal(err)
	}
	head, err := testSigner().Seal(t.Context(), "list.test", whole, bytes.NewReader(footed), int64(len(footed)))
	if err != nil {
		t.Fatal(err)
	}
	raw := append(head, footed...)
	from := testFacts
	from.MailFrom = "bounces@list.test"
	r, err := v.Check(t.Context(), from, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if r.ARC.Value != Pass || r.DMARC.Value != Fail {
		t.Fatalf("arc %+v, dmarc %+v", r.ARC, r.DMARC)
	}
	for _, c := range []struct {
		trusted string
		want    Action
	}{{"", Refuse}, {"list.test", Accept}, {"next.test", Refuse}} {
		got := r.Verdict(Policy{DMARC: Follow, TrustedSealers: []string{c.trusted}})
		if got.Action != c.want {
			t.Errorf("trusting %q: %+v", c.trusted, got)
		}
	}
}

func ExampleKey_DNSRecord() {
	private, _ := ParseKey([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHmJpF6M3X5MyfXQ6LEIWTlc6J6PSH3HIoy05Y/OMnco\n-----END PRIVATE KEY-----\n"))
	fmt.Print(Key{Domain: "author.test", Selector: "e1", Private: private}.DNSRecord())
	// Output: e1._domainkey.author.test.	3600	IN	TXT	"v=DKIM1; k=ed25519; p=uBPSgNnL+NQBbdf+eNPEL9ios6wweO/0IgRkWZ1ZvsU="
}
