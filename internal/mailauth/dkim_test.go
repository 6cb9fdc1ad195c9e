package mailauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

func TestOwnSignaturesVerify(t *testing.T) {
	z := zone{}.publish("author.test")
	raw := signedLetter(t)
	if !bytes.HasSuffix(raw, letter) {
		t.Fatal("the message itself has changed")
	}
	r := check(t, testVerifier(z), raw)
	if len(r.DKIM) != 2 {
		t.Fatalf("%d results", len(r.DKIM))
	}
	for _, d := range r.DKIM {
		if d.Value != Pass || d.Domain != "author.test" {
			t.Errorf("%+v", d)
		}
	}
	for line := range bytes.Lines(raw[:len(raw)-len(letter)]) {
		if len(line) > 80 {
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
}

// theirs is the resolver of the other implementation.
func theirs(z zone) *dkim.VerifyOptions {
	return &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return z.LookupTXT(context.Background(), name)
	}}
}

func TestAnotherImplementationAgrees(t *testing.T) {
	z := zone{}.publish("author.test")
	bodies := map[string]string{
		"letter": "", "empty": "\n", "one line": "x\n", "no last line end": "x", "only blank lines": "\n\n\n \n\t\n",
		"blanks at ends": "a \n b\t\t\n\n  \n", "dots": ".\n..\n", "trailing": "x\n\n\n\n",
	}
	for name, body := range bodies {
		raw := letter
		if body != "" {
			i := bytes.Index(letter, []byte("\r\n\r\n")) + 4
			raw = append(append([]byte{}, letter[:i]...), crlf(body)...)
		}
		t.Run("ours: "+name, func(t *testing.T) {
			got, err := dkim.VerifyWithOptions(bytes.NewReader(sign(t, testSigner(), "author.test", raw)), theirs(z))
			if err != nil || len(got) != 2 {
				t.Fatal(got, err)
			}
			for _, v := range got {
				if v.Err != nil {
					t.Error(v.Err)
				}
			}
		})
		for _, c := range []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"} {
			for _, k := range keysOf("author.test") {
				t.Run(fmt.Sprintf("theirs: %s, %s, %s", name, c, k.Kind()), func(t *testing.T) {
					var signed bytes.Buffer
					header, body, _ := strings.Cut(c, "/")
					err := dkim.Sign(&signed, bytes.NewReader(raw), &dkim.SignOptions{
						Domain: k.Domain, Selector: k.Selector, Signer: k.Private,
						HeaderCanonicalization: dkim.Canonicalization(header), BodyCanonicalization: dkim.Canonicalization(body),
						HeaderKeys: []string{"From", "From", "Received", "Subject", "To"},
					})
					if err != nil {
						t.Fatal(err)
					}
					r := check(t, testVerifier(z), signed.Bytes())
					if len(r.DKIM) != 1 || r.DKIM[0].Value != Pass {
						t.Errorf("%+v\n%s", r.DKIM, signed.Bytes())
					}
				})
			}
		}
	}
}

func TestChangedMessagesFail(t *testing.T) {
	z := zone{}.publish("author.test")
	raw := signedLetter(t)
	for _, c := range []struct{ name, old, new string }{
		{"a word in the body", "last line", "last word"},
		{"a line at the end", "last line\n", "last line\nmore\n"},
		{"another subject", "A   letter", "A   better"},
		{"another From above", "From: Hanako", "From: boss@author.test\nFrom: Hanako"},
		{"another Subject below", "MIME-Version: 1.0", "Subject: x\nMIME-Version: 1.0"},
		{"no To", "To: Taro <taro@here.test>\n", ""},
		{"a second To", "To: Taro", "To: x@y.test\nTo: Taro"},
		{"another content type", "text/plain", "text/html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := replace(raw, c.old, c.new)
			if bytes.Equal(changed, raw) {
				t.Fatal("nothing has changed")
			}
			for _, d := range check(t, testVerifier(z), changed).DKIM {
				if d.Value != Fail || d.Reason == "" {
					t.Errorf("%+v", d)
				}
			}
		})
	}
	for _, c := range []struct{ name, old, new string }{
		{"white space that relaxed form forgives", "with  a folded", "with a\n  folded"},
		{"blanks at a line's end", "last line\n", "last line  \n"},
		{"another trace field", "Received:", "X-Seen: yes\nReceived:"},
		{"empty lines at the end", "last line\n", "last line\n\n\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, d := range check(t, testVerifier(z), replace(raw, c.old, c.new)).DKIM {
				if d.Value != Pass {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

// TestSignaturesAreReadStrictly changes a signature, or its key, so that it
// can be refused before anything is verified.
func TestSignaturesAreReadStrictly(t *testing.T) {
	key := keysOf("author.test")[1]
	one := &Signer{Keys: func(string) []Key { return []Key{key} }, Now: clock}
	raw := sign(t, one, "author.test", letter)
	text := key.Text()
	weak, _ := rsaText(1024)
	for _, c := range []struct {
		name     string
		old, new string // in the message
		record   []string
		want     Value
		reason   string
	}{
		{name: "as it is", want: Pass},
		{name: "wrong version", old: "v=1;", new: "v=2;", want: PermError, reason: "version"},
		{name: "no version", old: "v=1;", new: "", want: PermError, reason: "version"},
		{name: "SHA-1", old: "a=ed25519-sha256", new: "a=rsa-sha1", want: Refused, reason: "SHA-1"},
		{name: "unknown algorithm", old: "a=ed25519-sha256", new: "a=rot13-sha256", want: PermError, reason: "algorithm"},
		{name: "key of another kind", old: "a=ed25519-sha256", new: "a=rsa-sha256", want: PermError, reason: "kind"},
		{name: "a tag twice", old: "v=1;", new: "v=1; v=1;", want: PermError, reason: "read"},
		{name: "no tag at all", old: "v=1;", new: "v=1; nonsense;", want: PermError, reason: "read"},
		{name: "no domain", old: "d=author.test", new: "d=", want: PermError, reason: "key"},
		{name: "impossible domain", old: "d=author.test", new: "d=author..test", want: PermError, reason: "key"},
		{name: "From not signed", old: "h=From:From:", new: "h=", want: PermError, reason: "From"},
		{name: "unknown form", old: "c=relaxed/relaxed", new: "c=strict", want: PermError, reason: "form"},
		{name: "identity elsewhere", old: "v=1;", new: "v=1; i=@other.test;", want: PermError, reason: "identity"},
		{name: "identity that only looks alike", old: "v=1;", new: "v=1; i=@notauthor.test;", want: PermError, reason: "identity"},
		{name: "expired before it was made", old: "v=1;", new: "v=1; x=5;", want: PermError, reason: "expires"},
		{name: "time is no number", old: "v=1;", new: "v=1; x=soon;", want: PermError, reason: "number"},
		{name: "key elsewhere", old: "v=1;", new: "v=1; q=http;", want: PermError, reason: "DNS"},
		{name: "part of the body", old: "v=1;", new: "v=1; l=3;", want: Refused, reason: "part"},
		{name: "more than the body", old: "v=1;", new: "v=1; l=99999;", want: Fail, reason: "shorter"},
		{name: "length is no number", old: "v=1;", new: "v=1; l=-1;", want: PermError, reason: "length"},
		{name: "body hash is none", old: "bh=", new: "bh=AA", want: PermError, reason: "hash"},
		{name: "an added tag breaks the signature", old: "v=1;", new: "v=1; z=x;", want: Fail, reason: "header"},

		{name: "no key", record: []string{}, want: PermError, reason: "no key"},
		{name: "DNS is down", record: []string{"SERVFAIL"}, want: TempError, reason: "fetched"},
		{name: "revoked", record: []string{"v=DKIM1; k=ed25519; p="}, want: PermError, reason: "revoked"},
		{name: "two keys", record: []string{text, text}, want: PermError, reason: "more than one"},
		{name: "a key and something else", record: []string{"v=spf1 -all", text}, want: Pass},
		{name: "another version", record: []string{"v=DKIM2; k=ed25519; p=AAAA"}, want: PermError, reason: "no key"},
		{name: "not base64", record: []string{"v=DKIM1; k=ed25519; p=!"}, want: PermError, reason: "base64"},
		{name: "wrong size", record: []string{"v=DKIM1; k=ed25519; p=AAAA"}, want: PermError, reason: "size"},
		{name: "other hash", record: []string{text + "; h=sha1"}, want: PermError, reason: "hash"},
		{name: "this hash among others", record: []string{text + "; h=sha1:sha256"}, want: Pass},
		{name: "not for mail", record: []string{text + "; s=tlsrpt"}, want: PermError, reason: "mail"},
		{name: "for everything", record: []string{text + "; s=*"}, want: Pass},
		{name: "strict, and the domain itself", record: []string{text + "; t=s"}, want: Pass},
		{name: "strict, and a subdomain", old: "v=1;", new: "v=1; i=@a.author.test;", record: []string{text + "; t=s"}, want: PermError, reason: "subdomains"},
		{name: "testing, and it fails", old: "last line", new: "lost line", record: []string{text + "; t=y"}, want: Neutral, reason: "testing"},
		{name: "testing, and it passes", record: []string{text + "; t=y"}, want: Pass},
		{name: "white space in the key", record: []string{strings.Replace(text, "p=", "p= ", 1)}, want: Pass},
		{name: "an RSA key for it", record: []string{weak}, want: PermError, reason: "kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := zone{key.Name() + " TXT": {text}}
			if c.record != nil {
				z[key.Name()+" TXT"] = c.record
			}
			changed := raw
			if c.old != "" {
				if changed = replace(raw, c.old, c.new); bytes.Equal(raw, changed) {
					t.Fatal("nothing has changed")
				}
			}
			d := check(t, testVerifier(z), changed).DKIM[0]
			if d.Value != c.want || !strings.Contains(d.Reason, c.reason) {
				t.Errorf("%s (%s), want %s (… %s …)", d.Value, d.Reason, c.want, c.reason)
			}
		})
	}
}

func rsaText(bits int) (string, Key) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	k := Key{Domain: "author.test", Selector: "weak", Private: private}
	return k.Text(), k
}

// A key of 512 bits. Nobody should make such a key any more, so it stands here.
const tinyRSA = "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKELE0hUbSv4UOkOKjhu0QZB3IVTYWk5Gmab+HyX21PYpk93F+2xV+SNwi7DGYdYsGTX4ttSo+Iv/c+OocH+TQECAwEAAQ=="

func TestShortKeysAreRefused(t *testing.T) { // RFC 8301 §3.2
	text, weak := rsaText(1024)
	s := &Signer{Keys: func(string) []Key { return []Key{weak} }, Now: clock}
	raw := sign(t, s, "author.test", letter)
	if d := check(t, testVerifier(zone{weak.Name() + " TXT": {text}}), raw).DKIM[0]; d.Value != Pass {
		t.Errorf("1024 bits: %+v", d)
	}
	if d := check(t, testVerifier(zone{weak.Name() + " TXT": {tinyRSA}}), raw).DKIM[0]; d.Value != Refused {
		t.Errorf("512 bits: %+v", d)
	}
}

func TestExpiredSignaturesFail(t *testing.T) {
	k := keysOf("author.test")[1]
	for after, want := range map[time.Duration]Value{time.Minute: Fail, -time.Minute: Pass} {
		var signed bytes.Buffer
		expires := time.Now().Add(24 * time.Hour)
		err := dkim.Sign(&signed, bytes.NewReader(letter), &dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.Private, Expiration: expires})
		if err != nil {
			t.Fatal(err)
		}
		v := testVerifier(zone{}.publish("author.test"))
		v.Now = func() time.Time { return expires.Add(after) }
		if d := check(t, v, signed.Bytes()).DKIM[0]; d.Value != want {
			t.Errorf("%s after: %+v", after, d)
		}
	}
}

func TestSubdomainsUseTheKeysAbove(t *testing.T) {
	z := zone{}.publish("author.test")
	raw := sign(t, testSigner(), "Office.Author.TEST", letter)
	if d := check(t, testVerifier(z), raw).DKIM[0]; d.Value != Pass || d.Domain != "author.test" {
		t.Errorf("%+v", d)
	}
	if got := sign(t, testSigner(), "elsewhere.test", letter); !bytes.Equal(got, letter) {
		t.Error("signed without a key")
	}
}

func TestWorkIsBounded(t *testing.T) {
	z := &counting{zone: zone{}.publish("author.test")}
	raw := letter
	for range 25 {
		raw = sign(t, testSigner(), "author.test", raw)
	}
	v := testVerifier(nil)
	v.Resolver = z
	r := check(t, v, raw)
	if len(r.DKIM) != 11 || r.DKIM[10].Value != Refused || !strings.Contains(r.DKIM[10].Reason, "40 more") {
		t.Errorf("%d results: %+v", len(r.DKIM), r.DKIM[len(r.DKIM)-1])
	}

	huge := append([]byte("X: "+strings.Repeat("x", 300<<10)+"\r\n"), raw...)
	r = check(t, v, huge)
	if r.DKIM[0].Value != PermError || r.DMARC.Value != PermError || r.ARC.Value != Fail {
		t.Errorf("a huge header: %+v", r)
	}

	// A record that asks for as much as SPF allows, and signatures for more.
	v.MaxQueries = 5
	for i := range 9 {
		d := fmt.Sprintf("d%d.test", i)
		s := &Signer{Keys: func(string) []Key { return keysOf(d)[1:] }, Now: clock}
		raw = sign(t, s, d, raw)
	}
	z.asked = 0
	check(t, v, raw)
	if z.asked > 5 {
		t.Errorf("%d questions", z.asked)
	}
}

func TestReadErrorsAreErrors(t *testing.T) {
	raw := signedLetter(t)
	v := testVerifier(zone{}.publish("author.test"))
	if _, err := v.Check(t.Context(), testFacts, bytes.NewReader(raw), int64(len(raw))+10); err == nil {
		t.Error("a message that ends early was checked")
	}
	if _, err := v.Check(t.Context(), testFacts, broken{}, 100); err == nil {
		t.Error("a message that cannot be read was checked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Check(ctx, testFacts, bytes.NewReader(raw), int64(len(raw))); err == nil {
		t.Error("a check that was given up has results")
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestKeysAreWrittenAndRead(t *testing.T) {
	for _, k := range keysOf("author.test") {
		pem, err := MarshalKey(k.Private)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(pem)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Key{k.Domain, k.Selector, again}); got.Text() != k.Text() || got.Kind() != k.Kind() {
			t.Errorf("%s is not what was written", k.Kind())
		}
		record := k.DNSRecord()
		for piece := range strings.SplitSeq(record, `"`) {
			if len(piece) > 255 {
				t.Errorf("a string of %d octets", len(piece))
			}
		}
		joined := ""
		for i, piece := range strings.Split(record, `"`) {
			if i%2 == 1 {
				joined += piece
			}
		}
		if joined != k.Text() || !strings.HasPrefix(record, k.Name()+".\t") {
			t.Errorf("the record is not the key: %s", record)
		}
	}
	if _, err := GenerateKey("dsa"); err == nil {
		t.Error("made a key of an unknown kind")
	}
	for _, bad := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("read a key from %q", bad)
		}
	}
}
