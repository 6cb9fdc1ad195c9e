package mailauth

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"

	"github.com/yubin-mail/yubin/internal/message"
)

func TestTheFieldSaysAll(t *testing.T) {
	r := Results{
		AuthservID: "mx.here.test",
		Remote:     netip.MustParseAddr("2001:db8::7"),
		IPRev:      IPRev{Value: Pass, IP: netip.MustParseAddr("2001:db8::7"), Name: "out.author.test"},
		HELO:       SPF{Value: None, Identity: "[2001:db8::7]"},
		MailFrom:   SPF{Value: Fail, Identity: "hanako@author.test", Domain: "author.test"},
		DKIM: []DKIM{
			{Value: Pass, Domain: "author.test", Selector: "s1", Algorithm: "rsa-sha256", Signature: "ab+/=cde"},
			{Value: TempError, Reason: `key "gone" (why)`, Domain: "other.test", Identity: "@x.other.test", Selector: "s2"},
		},
		DMARC: DMARC{Value: Pass, From: "author.test", Record: DMARCRecord{Policy: DemandReject}},
		ARC:   ARC{Value: Pass, Sets: make([]ARCSet, 2), OldestPass: 2},
	}
	want := "Authentication-Results: mx.here.test;\r\n" +
		"\tiprev=pass policy.iprev=\"2001:db8::7\" (out.author.test);\r\n" +
		"\tspf=none smtp.helo=\"[2001:db8::7]\";\r\n" +
		"\tspf=fail smtp.mailfrom=hanako@author.test;\r\n" +
		"\tdkim=pass header.d=author.test header.s=s1 header.a=rsa-sha256\r\n" +
		"\theader.b=\"ab+/=cde\";\r\n" +
		"\tdkim=temperror reason=\"key 'gone' 'why'\" header.d=other.test\r\n" +
		"\theader.i=@x.other.test header.s=s2;\r\n" +
		"\tdmarc=pass header.from=author.test (p=reject);\r\n" +
		"\tarc=pass (i=2) smtp.remote-ip=\"2001:db8::7\" header.oldest-pass=2\r\n"
	got := string(r.Header())
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, value, _ := strings.Cut(got, ":")
	id, claims, ok := ParseResults(value)
	if !ok || id != "mx.here.test" || len(claims) != 7 {
		t.Fatalf("read back: %q %v %+v", id, ok, claims)
	}
	if c := claims[4]; c.Method != "dkim" || c.Value != TempError || c.Properties["reason"] != "key 'gone' 'why'" || c.Properties["header.i"] != "@x.other.test" {
		t.Errorf("%+v", c)
	}
	if id, results, err := authres.Parse(strings.ReplaceAll(value, "\r\n", "")); err != nil || id != "mx.here.test" || len(results) != 7 {
		t.Errorf("the other implementation reads %q, %d results, %v", id, len(results), err)
	}
}

// TestNobodyWritesIntoTheField feeds what a client can choose.
func TestNobodyWritesIntoTheField(t *testing.T) {
	for _, evil := range []string{"x\r\nSubject: y", "x; dmarc=pass", `x" ; dmarc=pass "`, "x (", "a b", "\\", "ü\x00", strings.Repeat("x", 2000)} {
		r := Results{AuthservID: "mx.here.test", HELO: SPF{Value: Fail, Reason: evil, Identity: evil}, MailFrom: SPF{Value: Fail, Identity: evil + "@" + evil},
			DKIM: []DKIM{{Value: Fail, Reason: evil, Domain: evil, Identity: evil, Selector: evil, Algorithm: evil, Signature: evil}}, DMARC: DMARC{Value: Fail, From: evil}}
		header := r.Header()
		all := fields(header)
		if len(all) != 1 || !bytes.HasSuffix(header, []byte("\r\n")) || bytes.Count(header, []byte("\r\n\r\n")) > 0 {
			t.Errorf("%q makes %q", evil, header)
		}
		_, claims, ok := ParseResults(all[0].value())
		if !ok || len(claims) != 4 || claims[3].Value != Fail {
			t.Errorf("%q claims %+v in %s", evil, claims, header)
		}
	}
}

func TestForgedResultsAreRemoved(t *testing.T) {
	const other = "Received: x\r\nAuthentication-Results: elsewhere.test; spf=pass\r\nFrom: a@b.test\r\n"
	for _, forged := range []string{
		"Authentication-Results: mx.here.test; dmarc=pass\r\n",
		"AUTHENTICATION-RESULTS : MX.Here.Test; none\r\n",
		"Authentication-Results:\r\n (a (nested) comment)\r\n\tmx.here.test 1;\r\n\tspf=pass\r\n",
		"Authentication-Results: \"mx.here.test\"; spf=pass\r\n",
		"Authentication-Results: m\"x\".here.test; spf=pass\r\n",
		"Authentication-Results: mx.here.test. ; spf=pass\r\n",
		"Authentication-Results: mx.here.test/1; spf=pass\r\n",
		"Authentication-Results: (comment without end; mx.here.test\r\n",
		"Authentication-Results: \"quote without end\r\n",
		"Authentication-Results: ; spf=pass\r\n",
		"Authentication-Results:\r\n",
	} {
		for _, header := range []string{forged + other, other + forged, forged + other + forged} {
			if got := StripForged([]byte(header), "mx.here.test"); string(got) != other {
				t.Errorf("%q leaves %q", header, got)
			}
		}
	}
	for _, header := range []string{other, "", "no field\r\n", "Authentication-Results: mx.here.test.evil.test; spf=pass\r\n"} {
		if got := StripForged([]byte(header), "mx.here.test"); string(got) != header {
			t.Errorf("%q became %q", header, got)
		}
	}
}

// Whoever reads the field later must not find one of ours that Strip has not
// seen, however its name or the lines before it are written.
func TestNoSpellingIsLeft(t *testing.T) {
	for _, before := range []string{"", "From: a@b.test\r\n", "garbage\r\n", ": x\r\n", " \r\n", "\t x\r\n", "X:\r\n \r\n", "X\x00: y\r\n"} {
		for _, name := range []string{"Authentication-Results:", "authentication-results :", "AUTHENTICATION-RESULTS\t:", "Authentication-Results: \r\n",
			"Authentication-Results\x00:", "Authentication-Results\u00a0:", " Authentication-Results:"} {
			for _, id := range []string{"mx.here.test", "MX.HERE.TEST", `"mx.here.test"`, "(c) mx.here.test", "mx.here.test/1", "mx.here.test 1"} {
				header := StripForged([]byte(before+name+" "+id+"; dmarc=pass\r\nSubject: x\r\n"), "mx.here.test")
				for _, v := range message.Field(append(header, "\r\n"...), "Authentication-Results") {
					t.Errorf("%q %q %q: %q is left", before, name, id, v)
				}
			}
		}
	}
}

// A header of any size is kept, unless it has results that nobody goes through.
func TestHugeHeadersAreKept(t *testing.T) {
	long := strings.Repeat("To: a@example.test\r\n", ownHeader/10)
	for header, want := range map[string]error{
		long: nil,
		long + "X: " + strings.Repeat("Authentication-Results: ", 1000) + "\r\n Authentication-Results: x\r\n": nil,
		long + "AUTHENTICATION-RESULTS : mx.here.test; dmarc=pass\r\n":                                         ErrHeaderSize,
		"Authentication-Results: elsewhere.test; none\r\n" + long:                                              ErrHeaderSize,
	} {
		raw := header + "\r\nAuthentication-Results: mx.here.test; in the body\r\n"
		if _, from, err := Strip(strings.NewReader(raw), int64(len(raw)), "mx.here.test"); !errors.Is(err, want) || from != 0 {
			t.Errorf("… %.60q: %d, %v", header[len(long):], from, err)
		}
	}
}

func TestVouchingForSenders(t *testing.T) {
	from := func(v Value, domain string) SPF { return SPF{Value: v, Domain: domain} }
	for _, c := range []struct {
		name string
		r    Results
		want bool
	}{
		{"SPF", Results{MailFrom: from(Pass, "author.test")}, true},
		{"nothing", Results{MailFrom: from(None, "author.test")}, false},
		{"DKIM", Results{MailFrom: from(Fail, "author.test"), DKIM: []DKIM{{Value: Fail, Domain: "author.test"}, {Value: Pass, Domain: "mail.author.test"}}}, true},
		{"DKIM of somebody else", Results{MailFrom: from(SoftFail, "victim.test"), DKIM: []DKIM{{Value: Pass, Domain: "author.test"}}}, false},
		{"DKIM that fails", Results{MailFrom: from(Fail, "author.test"), DKIM: []DKIM{{Value: Fail, Domain: "author.test"}}}, false},
		{"nobody", Results{MailFrom: from(Pass, "out.author.test"), nullSender: true}, false},
	} {
		if got := c.r.VouchForSender(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestVerdicts(t *testing.T) {
	base := func(change func(*Results)) Results {
		r := Results{Remote: netip.MustParseAddr("192.0.2.7"), IPRev: IPRev{Value: Pass}, HELO: SPF{Value: Pass},
			MailFrom: SPF{Value: Pass, Domain: "author.test"}, DKIM: []DKIM{{Value: Pass}}, DMARC: DMARC{Value: Pass, From: "author.test", Ask: DemandNone}}
		change(&r)
		return r
	}
	failing := func(ask Demand) func(*Results) {
		return func(r *Results) { r.DMARC = DMARC{Value: Fail, From: "author.test", Ask: ask} }
	}
	all := Policy{IPRev: Refuse, SPF: Refuse, DKIM: Refuse, DMARC: Follow, NullMX: Refuse}
	for _, c := range []struct {
		name     string
		results  Results
		policy   Policy
		want     Action
		code     int
		enhanced [3]int
		says     string
	}{
		{"all is well", base(func(*Results) {}), all, Accept, 0, [3]int{}, ""},
		{"nobody cares", base(failing(DemandReject)), Policy{}, Accept, 0, [3]int{}, ""},
		{"DMARC reject", base(failing(DemandReject)), all, Refuse, 550, [3]int{5, 7, 26}, "author.test asks for rejection"},
		{"DMARC quarantine", base(failing(DemandQuarantine)), all, Junk, 550, [3]int{5, 7, 26}, "quarantine"},
		{"DMARC none", base(failing(DemandNone)), all, Accept, 0, [3]int{}, ""},
		{"DMARC, always junk", base(failing(DemandNone)), Policy{DMARC: Junk}, Junk, 550, [3]int{5, 7, 26}, ""},
		{"DMARC reject, never refused", base(failing(DemandReject)), Policy{DMARC: FollowJunk}, Junk, 550, [3]int{5, 7, 26}, "rejection"},
		{"DMARC quarantine, never refused", base(failing(DemandQuarantine)), Policy{DMARC: FollowJunk}, Junk, 550, [3]int{5, 7, 26}, "quarantine"},
		{"DMARC none, never refused", base(failing(DemandNone)), Policy{DMARC: FollowJunk}, Accept, 0, [3]int{}, ""},
		{"DMARC unknown yet, never refused", base(func(r *Results) { r.DMARC = DMARC{Value: TempError, From: "author.test", Ask: DemandReject} }), Policy{DMARC: FollowJunk}, Accept, 0, [3]int{}, ""},
		{"nobody's mail, never refused", base(func(r *Results) { r.DMARC = DMARC{Value: PermError, Reason: "two"} }), Policy{DMARC: FollowJunk}, Junk, 550, [3]int{5, 7, 1}, "two"},
		{"nobody's mail", base(func(r *Results) { r.DMARC = DMARC{Value: PermError, Reason: "two"} }), all, Refuse, 550, [3]int{5, 7, 1}, "two"},
		{"DMARC unknown yet", base(func(r *Results) { r.DMARC = DMARC{Value: TempError, From: "author.test", Ask: DemandReject} }), all, Refuse, 451, [3]int{4, 7, 26}, "now"},
		{"DMARC unknown yet, quarantine", base(func(r *Results) { r.DMARC = DMARC{Value: TempError, From: "author.test", Ask: DemandQuarantine} }), all, Accept, 0, [3]int{}, ""},
		{"SPF fail", base(func(r *Results) { r.DMARC.Value = None; r.MailFrom.Value = Fail }), all, Refuse, 550, [3]int{5, 7, 23}, "192.0.2.7"},
		{"SPF fail, but DMARC passes", base(func(r *Results) { r.MailFrom.Value = Fail }), all, Accept, 0, [3]int{}, ""},
		{"SPF softfail", base(func(r *Results) { r.DMARC.Value = None; r.MailFrom.Value = SoftFail }), all, Accept, 0, [3]int{}, ""},
		{"SPF is nonsense", base(func(r *Results) { r.DMARC.Value = None; r.MailFrom.Value = PermError }), all, Refuse, 550, [3]int{5, 7, 24}, "cannot be used"},
		{"SPF later", base(func(r *Results) { r.DMARC.Value = None; r.MailFrom.Value = TempError }), all, Refuse, 451, [3]int{4, 7, 24}, "now"},
		{"SPF later, for junk", base(func(r *Results) { r.DMARC.Value = None; r.MailFrom.Value = TempError }), Policy{SPF: Junk}, Accept, 0, [3]int{}, ""},
		{"no DKIM", base(func(r *Results) { r.DKIM = nil }), all, Refuse, 550, [3]int{5, 7, 20}, "no DKIM"},
		{"DKIM fails", base(func(r *Results) { r.DKIM[0] = DKIM{Value: Fail, Reason: "why"} }), all, Refuse, 550, [3]int{5, 7, 20}, "why"},
		{"DKIM too weak", base(func(r *Results) { r.DKIM[0] = DKIM{Value: Refused, Reason: "weak"} }), all, Refuse, 550, [3]int{5, 7, 21}, "weak"},
		{"DKIM later", base(func(r *Results) { r.DKIM[0] = DKIM{Value: TempError} }), all, Refuse, 451, [3]int{4, 7, 20}, "now"},
		{"no name", base(func(r *Results) { r.IPRev.Value = PermError }), all, Refuse, 550, [3]int{5, 7, 25}, "192.0.2.7"},
		{"name later", base(func(r *Results) { r.IPRev.Value = TempError }), all, Refuse, 451, [3]int{4, 7, 25}, ""},
		{"null MX", base(func(r *Results) { r.NullMX = true }), all, Refuse, 550, [3]int{5, 7, 27}, "author.test takes no mail"},
		{"the worst counts", base(func(r *Results) { failing(DemandQuarantine)(r); r.NullMX = true }), all, Refuse, 550, [3]int{5, 7, 27}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.results.Verdict(c.policy)
			if v.Action != c.want || !strings.Contains(v.Text, c.says) || v.Action != Accept && (v.Code != c.code || v.Enhanced != c.enhanced) {
				t.Errorf("%+v", v)
			}
			if v.Action != Accept && (v.Text == "" || strings.ContainsAny(v.Text, "\r\n")) {
				t.Errorf("says %q", v.Text)
			}
		})
	}
}
