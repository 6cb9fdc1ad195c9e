package mailauth

import (
	"strings"
	"testing"
)

func TestDMARCRecords(t *testing.T) {
	for _, c := range []struct {
		txt  string
		want DMARCRecord
		ok   bool
	}{
		{"v=DMARC1; p=reject", DMARCRecord{DemandReject, DemandReject, false, false, 100}, true},
		{"v=DMARC1;p=none;sp=quarantine", DMARCRecord{DemandNone, DemandQuarantine, false, false, 100}, true},
		{"v=DMARC1; p=Reject; adkim=S; aspf=s; pct=20;", DMARCRecord{DemandReject, DemandReject, true, true, 20}, true},
		{"v=DMARC1; p=reject; pct=120; adkim=x; fo=q; rf=z; ri=-1; moo", DMARCRecord{DemandReject, DemandReject, false, false, 100}, true},
		{" v = DMARC1 ; p=quarantine", DMARCRecord{DemandQuarantine, DemandQuarantine, false, false, 100}, true},
		{"v=DMARC1; p=bogus; rua=mailto:a@b.test", DMARCRecord{DemandNone, DemandNone, false, false, 100}, true},
		{"v=DMARC1; p=reject; sp=bogus; rua=mailto:a@b.test", DMARCRecord{DemandNone, DemandNone, false, false, 100}, true},
		{"v=DMARC1; p=bogus", DMARCRecord{}, false},
		{"v=DMARC1", DMARCRecord{}, false},
		{"p=reject; v=DMARC1", DMARCRecord{}, false},
		{"v=DMARC2; p=reject", DMARCRecord{}, false},
		{"v=spf1 -all", DMARCRecord{}, false},
		{"", DMARCRecord{}, false},
	} {
		got, ok := parseDMARC(c.txt)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %+v %v", c.txt, got, ok)
		}
	}
}

func TestAlignment(t *testing.T) {
	for _, c := range []struct {
		authenticated, author string
		relaxed, strict       bool
	}{
		{"example.com", "example.com", true, true},
		{"mail.example.com", "example.com", true, false},
		{"example.com", "news.example.com", true, false},
		{"a.example.com", "b.example.com", true, false},
		{"example.com", "example.org", false, false},
		{"notexample.com", "example.com", false, false},
		{"a.co.jp", "b.co.jp", false, false},
		{"mail.a.co.jp", "a.co.jp", true, false},
		{"co.jp", "a.co.jp", false, false},
		{"com", "com", true, true},
		{"", "example.com", false, false},
	} {
		if got := aligned(c.authenticated, c.author, false); got != c.relaxed {
			t.Errorf("%s for %s, relaxed: %v", c.authenticated, c.author, got)
		}
		if got := aligned(c.authenticated, c.author, true); got != c.strict {
			t.Errorf("%s for %s, strict: %v", c.authenticated, c.author, got)
		}
	}
}

func TestDMARC(t *testing.T) {
	pass := func(d string) SPF { return SPF{Value: Pass, Domain: d} }
	sig := func(v Value, d string) []DKIM { return []DKIM{{Value: v, Domain: d}} }
	no := SPF{Value: Fail, Domain: "author.test"}
	for _, c := range []struct {
		name    string
		records zone
		author  string
		spf     SPF
		dkim    []DKIM
		want    Value
		ask     Demand
	}{
		{"no record", zone{}, "author.test", pass("author.test"), nil, None, DemandNone},
		{"SPF", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", pass("author.test"), nil, Pass, DemandNone},
		{"SPF of a subdomain", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", pass("b.author.test"), nil, Pass, DemandNone},
		{"SPF of a subdomain, strictly", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; aspf=s"}}, "author.test", pass("b.author.test"), nil, Fail, DemandReject},
		{"SPF of somebody else", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", pass("evil.test"), nil, Fail, DemandReject},
		{"DKIM", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", no, sig(Pass, "author.test"), Pass, DemandNone},
		{"DKIM of a subdomain", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", no, sig(Pass, "x.author.test"), Pass, DemandNone},
		{"DKIM of a subdomain, strictly", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; adkim=s"}}, "author.test", no, sig(Pass, "x.author.test"), Fail, DemandReject},
		{"DKIM of somebody else", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=quarantine"}}, "author.test", no, sig(Pass, "evil.test"), Fail, DemandQuarantine},
		{"DKIM that fails", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=none"}}, "author.test", no, sig(Fail, "author.test"), Fail, DemandNone},
		{"the second signature", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", no,
			append(sig(Fail, "author.test"), sig(Pass, "author.test")...), Pass, DemandNone},
		{"DNS was down for SPF", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", SPF{Value: TempError, Domain: "author.test"}, nil, TempError, DemandReject},
		{"DNS was down for a stranger", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "author.test", SPF{Value: TempError, Domain: "evil.test"}, nil, Fail, DemandReject},
		{"DNS is down for the record", zone{"_dmarc.author.test TXT": {"SERVFAIL"}}, "author.test", no, nil, TempError, DemandNone},

		{"a subdomain without a record", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}}, "news.author.test", no, nil, Fail, DemandReject},
		{"a subdomain's policy", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; sp=none"}}, "a.news.author.test", no, nil, Fail, DemandNone},
		{"a subdomain's own record", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; sp=none"}, "_dmarc.news.author.test TXT": {"v=DMARC1; p=quarantine"}},
			"news.author.test", no, nil, Fail, DemandQuarantine},
		{"not the record in between", zone{"_dmarc.news.author.test TXT": {"v=DMARC1; p=reject"}}, "a.news.author.test", no, nil, None, DemandNone},
		{"two records are none", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject", "v=DMARC1; p=none"}}, "author.test", no, nil, None, DemandNone},
		{"one record among others", zone{"_dmarc.author.test TXT": {"hello", "v=DMARC1; p=reject"}}, "author.test", no, nil, Fail, DemandReject},

		{"pct=40, not in the sample: reject", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; pct=40"}}, "author.test", no, nil, Fail, DemandQuarantine},
		{"pct=40, not in the sample: quarantine", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=quarantine; pct=40"}}, "author.test", no, nil, Fail, DemandNone},
		{"pct=60, in the sample", zone{"_dmarc.author.test TXT": {"v=DMARC1; p=reject; pct=60"}}, "author.test", no, nil, Fail, DemandReject},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := checkDMARC(t.Context(), newLookups(c.records, 100), c.author, c.spf, c.dkim, func(int) int { return 50 })
			if got.Value != c.want || got.Ask != c.ask {
				t.Errorf("%s, asks for %s: %+v", got.Value, got.Ask, got)
			}
		})
	}
}

func TestAuthors(t *testing.T) {
	z := zone{
		"_dmarc.author.test TXT": {"v=DMARC1; p=reject"},
		"_dmarc.none.test TXT":   {"v=DMARC1; p=none"},
		"free.test TXT":          {"v=spf1 +all"},

		"_dmarc.xn--bcher-kva.test TXT": {"v=DMARC1; p=reject"},
	}
	for _, c := range []struct {
		name, header string
		want         Value
		from         string
		action       Action
	}{
		{"one", "From: a@author.test\n", Fail, "author.test", Refuse},
		{"folded, in capitals, with a name", "FROM:\n \"b@free.test\" <a@AUTHOR.test>\n", Fail, "author.test", Refuse},
		{"before an obsolete colon", "From : a@author.test\n", Fail, "author.test", Refuse},
		{"two fields", "From: a@free.test\nFrom: a@author.test\n", PermError, "", Refuse},
		{"no field", "Subject: x\n", PermError, "", Refuse},
		{"no address", "From: nobody\n", PermError, "", Refuse},
		{"an empty group", "From: undisclosed:;\n", PermError, "", Refuse},
		{"two domains: the stricter one counts", "From: a@none.test, b@author.test\n", Fail, "author.test", Refuse},
		{"the other order", "From: b@author.test, a@none.test\n", Fail, "author.test", Refuse},
		{"two addresses of one domain", "From: a@none.test, b@none.test\n", Fail, "none.test", Accept},
		{"too many", "From: a@a.test, a@b.test, a@c.test, a@d.test, a@e.test\n", PermError, "", Refuse},
		{"no domain that could be", "From: a@b..test\n", PermError, "", Refuse},
		{"too many addresses", "From: " + strings.Repeat("a@none.test, ", 100) + "a@none.test\n", PermError, "", Refuse},
		{"a group", "From: friends: a@author.test;\n", Fail, "author.test", Refuse},
		{"an international name", "From: a@Bücher.test\n", Fail, "xn--bcher-kva.test", Refuse},
		{"the same in A-labels", "From: a@XN--bcher-kva.test\n", Fail, "xn--bcher-kva.test", Refuse},
		{"no policy", "From: a@nothing.test\n", None, "nothing.test", Accept},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := check(t, testVerifier(z), crlf(c.header+"\nbody\n"))
			if r.DMARC.Value != c.want || r.DMARC.From != c.from {
				t.Errorf("%+v", r.DMARC)
			}
			if v := r.Verdict(Policy{DMARC: Follow}); v.Action != c.action {
				t.Errorf("%+v", v)
			}
		})
	}
}
