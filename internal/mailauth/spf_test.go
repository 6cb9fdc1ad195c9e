package mailauth

import (
	"net/netip"
	"strings"
	"testing"
)

// TestSPF plays the rules of RFC 7208, one record a case.
func TestSPF(t *testing.T) {
	world := func() zone {
		return zone{
			"a.other.test A":             {"192.0.2.7"},
			"a.other.test AAAA":          {"2001:db8::7"},
			"net.other.test A":           {"192.0.2.200"},
			"elsewhere.test A":           {"198.51.100.1"},
			"mx.other.test MX":           {"a.other.test"},
			"pass.test TXT":              {"v=spf1 +all"},
			"fail.test TXT":              {"v=spf1 -all"},
			"soft.test TXT":              {"v=spf1 ~all"},
			"neutral.test TXT":           {"v=spf1 ?all"},
			"two.test TXT":               {"v=spf1 -all", "v=spf1 +all"},
			"down.test TXT":              {"SERVFAIL"},
			"down.test A":                {"SERVFAIL"},
			"192.0.2.7 PTR":              {"a.other.test."},
			"2001:db8::7 PTR":            {"a.other.test."},
			"ok.author.test A":           {"127.0.0.2"},
			"hanako.l.test A":            {"127.0.0.2"},
			"7.2.0.192.in-addr.r.test A": {"127.0.0.2"},
			"out.author.test.h.test A":   {"127.0.0.2"},
			"loop.test TXT":              {"v=spf1 include:loop.test -all"},
		}
	}
	for _, c := range []struct {
		name   string
		record string
		want   Value
		reason string
	}{
		{"no record", "", None, ""},
		{"another record", "google-site-verification=1", None, ""},
		{"not quite a record", "v=spf10 -all", None, ""},
		{"nothing in it", "v=spf1", Neutral, ""},
		{"upper case", "V=SPF1 -ALL", Fail, ""},
		{"all", "v=spf1 +all", Pass, ""},
		{"fail", "v=spf1 -all", Fail, ""},
		{"softfail", "v=spf1 ~all", SoftFail, ""},
		{"neutral", "v=spf1 ?all", Neutral, ""},
		{"the first that matches counts", "v=spf1 ~ip4:192.0.2.7 -all", SoftFail, ""},

		{"ip4", "v=spf1 ip4:192.0.2.7 -all", Pass, ""},
		{"ip4 of another", "v=spf1 ip4:192.0.2.8 -all", Fail, ""},
		{"ip4 network", "v=spf1 ip4:192.0.2.0/28 -all", Pass, ""},
		{"ip4 all of them", "v=spf1 ip4:0.0.0.0/0 -all", Pass, ""},
		{"ip6 for a v4 client", "v=spf1 ip6:2001:db8::/32 -all", Fail, ""},
		{"ip4 nonsense", "v=spf1 ip4:192.0.2.300 -all", PermError, "ip"},
		{"ip4 mask nonsense", "v=spf1 ip4:192.0.2.0/40 -all", PermError, "mask"},

		{"a", "v=spf1 a:a.other.test -all", Pass, ""},
		{"a with a mask", "v=spf1 a:net.other.test/24 -all", Pass, ""},
		{"a of another", "v=spf1 a:elsewhere.test -all", Fail, ""},
		{"a without a name is the domain", "v=spf1 a -all", Fail, ""},
		{"a that is down", "v=spf1 a:down.test -all", TempError, ""},
		{"mx", "v=spf1 mx:mx.other.test -all", Pass, ""},
		{"mx of none", "v=spf1 mx:elsewhere.test -all", Fail, ""},
		{"ptr", "v=spf1 ptr:other.test -all", Pass, ""},
		{"ptr of another", "v=spf1 ptr:elsewhere.test -all", Fail, ""},
		{"exists", "v=spf1 exists:elsewhere.test -all", Pass, ""},
		{"exists not", "v=spf1 exists:nowhere.test -all", Fail, ""},

		{"include that passes", "v=spf1 include:pass.test -all", Pass, ""},
		{"include that fails", "v=spf1 include:fail.test ~all", SoftFail, ""},
		{"include that softly fails", "v=spf1 include:soft.test -all", Fail, ""},
		{"include that is neutral", "v=spf1 include:neutral.test -all", Fail, ""},
		{"include of nothing", "v=spf1 include:nowhere.test -all", PermError, ""},
		{"include of two", "v=spf1 include:two.test -all", PermError, ""},
		{"include that is down", "v=spf1 include:down.test -all", TempError, ""},
		{"include keeps its own qualifier", "v=spf1 -include:pass.test +all", Fail, ""},
		{"redirect", "v=spf1 redirect=fail.test", Fail, ""},
		{"redirect is last, wherever it stands", "v=spf1 redirect=fail.test ip4:192.0.2.7", Pass, ""},
		{"all silences redirect", "v=spf1 ?all redirect=fail.test", Neutral, ""},
		{"redirect to nothing", "v=spf1 redirect=nowhere.test", PermError, ""},
		{"two redirects", "v=spf1 redirect=fail.test redirect=pass.test", PermError, ""},
		{"explanations change nothing", "v=spf1 exp=why.test -all", Fail, ""},
		{"unknown modifiers are ignored", "v=spf1 moo=cow -all", Fail, ""},
		{"unknown mechanisms are not", "v=spf1 moo:cow -all", PermError, "field"},

		{"macro d", "v=spf1 exists:ok.%{d} -all", Pass, ""},
		{"macro l", "v=spf1 exists:%{l}.l.test -all", Pass, ""},
		{"macros ir and v", "v=spf1 exists:%{ir}.%{v}.r.test -all", Pass, ""},
		{"macro h", "v=spf1 exists:%{h}.h.test -all", Pass, ""},
		{"macro with digits", "v=spf1 include:%{d1r}.test -all", PermError, ""},
		{"unknown macro", "v=spf1 exists:%{z}.test -all", PermError, "macro"},
		{"macro without end", "v=spf1 exists:%{d -all", PermError, "macro"},

		{"ten lookups", "v=spf1" + strings.Repeat(" a:elsewhere.test", 10) + " -all", Fail, ""},
		{"eleven lookups", "v=spf1" + strings.Repeat(" a:elsewhere.test", 11) + " -all", PermError, "limit"},
		{"three lookups for nothing", "v=spf1 a:n1.test a:n2.test a:n3.test -all", PermError, "void"},
		{"a circle", "v=spf1 include:loop.test -all", PermError, "limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := world()
			if c.record != "" {
				z["author.test TXT"] = []string{c.record}
			}
			_, got := checkSPF(t.Context(), newLookups(z, 100), testFacts.RemoteIP, testFacts.HELO, testFacts.MailFrom)
			if got.Value != c.want || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%s (%s), want %s (… %s …)", got.Value, got.Reason, c.want, c.reason)
			}
		})
	}
	t.Run("IPv6", func(t *testing.T) {
		for record, want := range map[string]Value{
			"v=spf1 ip6:2001:db8::/64 -all": Pass, "v=spf1 ip6:2001:db8:1::/64 -all": Fail, "v=spf1 a:a.other.test -all": Pass,
			"v=spf1 ip4:192.0.2.0/24 -all": Fail, "v=spf1 a:a.other.test//32 -all": Pass, "v=spf1 ptr:other.test -all": Pass,
		} {
			z := world()
			z["author.test TXT"] = []string{record}
			_, got := checkSPF(t.Context(), newLookups(z, 100), netip.MustParseAddr("2001:db8::7"), "", "x@author.test")
			if got.Value != want {
				t.Errorf("%s: %s (%s)", record, got.Value, got.Reason)
			}
		}
	})
	t.Run("an IPv4 address in IPv6 clothes", func(t *testing.T) {
		z := world()
		z["author.test TXT"] = []string{"v=spf1 ip4:192.0.2.7 -all"}
		_, got := checkSPF(t.Context(), newLookups(z, 100), netip.MustParseAddr("::ffff:192.0.2.7"), "", "x@author.test")
		if got.Value != Pass {
			t.Errorf("%+v", got)
		}
	})
}

func TestSPFIdentities(t *testing.T) {
	z := zone{
		"helo.test TXT":          {"v=spf1 ip4:192.0.2.7 -all"},
		"out.helo.test TXT":      {"v=spf1 ip4:192.0.2.7 -all"},
		"author.test TXT":        {"v=spf1 -all"},
		"xn--bcher-kva.test TXT": {"v=spf1 ip4:192.0.2.7 -all"},
		"local.test TXT":         {"v=spf1 exists:%{l}.x.test -all"},
		"postmaster.x.test A":    {"127.0.0.2"},
	}
	for _, c := range []struct {
		helo, from    string
		hello, sender Value
		domain        string
	}{
		{"out.helo.test", "a@author.test", Pass, Fail, "author.test"},
		{"OUT.HELO.TEST.", "a@AUTHOR.test", Pass, Fail, "author.test"},
		{"out.helo.test", "", Pass, Pass, "out.helo.test"}, // RFC 7208 §2.4
		{"[192.0.2.7]", "a@author.test", None, Fail, "author.test"},
		{"localhost", "", None, None, ""},
		{"", "a@localhost", None, None, ""},
		{"", "a@b\x00c.test", None, None, ""},
		{"", "a@" + strings.Repeat("x", 64) + ".test", None, None, ""},
		{"", "a@bücher.test", None, Pass, "xn--bcher-kva.test"}, // RFC 8616 §4
		{"", `"a@fail.test"@helo.test`, None, Pass, "helo.test"},
		{"", "@local.test", None, Pass, "local.test"}, // RFC 7208 §4.3
	} {
		hello, sender := checkSPF(t.Context(), newLookups(z, 100), testFacts.RemoteIP, c.helo, c.from)
		if hello.Value != c.hello || sender.Value != c.sender || sender.Domain != c.domain {
			t.Errorf("%q %q: %+v, %+v", c.helo, c.from, hello, sender)
		}
	}
}

func TestReverseNames(t *testing.T) {
	for _, c := range []struct {
		name string
		z    zone
		want Value
	}{
		{"there and back", zone{"192.0.2.7 PTR": {"a.test."}, "a.test A": {"192.0.2.7"}}, Pass},
		{"the second does", zone{"192.0.2.7 PTR": {"x.test.", "a.test."}, "a.test A": {"192.0.2.9", "192.0.2.7"}}, Pass},
		{"not back", zone{"192.0.2.7 PTR": {"a.test."}, "a.test A": {"192.0.2.9"}}, Fail},
		{"nothing", zone{}, PermError},
		{"down", zone{"192.0.2.7 PTR": {"SERVFAIL"}}, TempError},
		{"down on the way back", zone{"192.0.2.7 PTR": {"a.test."}, "a.test A": {"SERVFAIL"}}, TempError},
	} {
		if got := checkIPRev(t.Context(), newLookups(c.z, 100), testFacts.RemoteIP); got.Value != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
