package mailauth

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzResults reads what others write, and ours back.
func FuzzResults(f *testing.F) {
	f.Add(" mx.here.test; spf=pass smtp.mailfrom=a@b.test; dkim=fail reason=\"x;y\" (c (d))")
	f.Add(" \"mx.here.test\" 1; none")
	f.Add("(")
	f.Fuzz(func(t *testing.T, value string) {
		id, claims, ok := ParseResults(value)
		if !ok && (id != "" || claims != nil) {
			t.Error("results of something that is none")
		}
		r := Results{AuthservID: "mx.here.test", DKIM: []DKIM{{Value: Fail, Reason: value, Domain: value}}, DMARC: DMARC{Value: Fail, From: value}}
		header := r.Header()
		if n := len(fields(header)); n != 1 {
			t.Errorf("%d fields: %q", n, header)
		}
		_, own, _ := strings.Cut(string(header), ":")
		if id, claims, ok := ParseResults(own); !ok || id != "mx.here.test" || len(claims) != 2 || claims[1].Value != Fail {
			t.Errorf("read back %q %+v", id, claims)
		}
		raw := []byte("Authentication-Results:" + strings.NewReplacer("\r", "", "\n", "").Replace(value) + "\r\nFrom: a@b.test\r\n")
		once := StripForged(raw, "mx.here.test")
		if !bytes.Equal(StripForged(once, "mx.here.test"), once) || !bytes.HasSuffix(once, []byte("From: a@b.test\r\n")) {
			t.Errorf("%q leaves %q", raw, once)
		}
	})
}

// FuzzCheck reads whole messages: nothing panics, and nothing that was not
// signed passes.
func FuzzCheck(f *testing.F) {
	z := arcZone()
	signed := signedLetter(f)
	f.Add(signed)
	f.Add(handOn(f, z, "list.test", signed))
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=author.test; s=srsa; h=from; bh=; b=\r\n\r\n"))
	f.Add([]byte("ARC-Seal: i=1; cv=none\r\n"))
	f.Add([]byte("\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := testVerifier(z)
		r, err := v.Check(t.Context(), testFacts, bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.DKIM {
			if d.Value == Pass && !bytes.Contains(raw, []byte("b=")) {
				t.Error("something that was not signed passes")
			}
		}
		if len(fields(r.Header())) != 1 {
			t.Errorf("%q", r.Header())
		}
		_ = r.Verdict(Policy{DMARC: Follow, SPF: Junk, DKIM: Junk, IPRev: Junk})
		header, start, err := readHeader(bytes.NewReader(raw), int64(len(raw)), 1<<20)
		if err != nil || start > int64(len(raw)) {
			t.Fatalf("header of %d octets ends at %d: %v", len(raw), start, err)
		}
		var again []byte
		for _, f := range fields(header) {
			again = append(again, f.raw...)
		}
		if !bytes.Equal(again, header) {
			t.Error("the fields are not the header")
		}
	})
}

// FuzzCanonical writes a body in pieces: where they are cut must not matter.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte("a \r\n\r\n b\t\r\n"), 3)
	f.Add([]byte("\r\r\n \r"), 1)
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		for _, form := range []canonical{simple, relaxed} {
			whole, pieces := newBody(form), newBody(form)
			_, _ = whole.Write(raw)
			cut = max(min(cut, len(raw)), 0)
			_, _ = pieces.Write(raw[:cut])
			for i := range raw[cut:] {
				_, _ = pieces.Write(raw[cut+i : cut+i+1])
			}
			if !bytes.Equal(whole.sum(), pieces.sum()) || whole.size != pieces.size {
				t.Errorf("%s: %q, cut at %d", form, raw, cut)
			}
		}
	})
}

// FuzzSRS: what is rewritten comes back, and nothing else does.
func FuzzSRS(f *testing.F) {
	f.Add("hanako@author.test")
	f.Add("SRS0=aaaaaaaa=bb=author.test=a@other.test")
	f.Add("SRS1=aaaaaaaa=other.test==bbbbbbbb=cc=author.test=a@third.test")
	s := SRS{Domain: "here.test", Secrets: [][]byte{[]byte("x")}, Now: clock}
	f.Fuzz(func(t *testing.T, sender string) {
		if back, err := s.Reverse(sender); err == nil {
			t.Errorf("%q came back as %q", sender, back)
		}
		out, err := s.Forward(sender)
		if err != nil || sender == "" {
			return
		}
		back, err := s.Reverse(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", sender, out, err)
		}
		at := strings.LastIndexByte(sender, '@')
		again := strings.LastIndexByte(back, '@')
		first, _ := strings.CutPrefix(out, `"`)
		if strings.HasPrefix(first, "SRS0=") && (domainOf(back) != domainOf(sender) || !strings.EqualFold(unquoted(back[:again]), unquoted(sender[:at]))) {
			t.Errorf("%q became %q and %q", sender, out, back)
		}
	})
}
