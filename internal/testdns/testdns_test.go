package testdns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/yubin-mail/yubin/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func serve(t *testing.T, records ...string) (*Zone, *Server) {
	t.Helper()
	z, err := New(records...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(z)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return z, s
}

func ask(t *testing.T, s *Server, network, name string, kind uint16) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, kind), s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestAnswers(t *testing.T) {
	z, s := serve(t,
		"alpha.test. MX 10 mail.alpha.test.",
		"alpha.test. TXT \"v=spf1 mx -all\"",
		"mail.alpha.test. A 127.0.0.2",
		"mail.alpha.test. AAAA ::1",
		"_25._tcp.mail.alpha.test. TLSA 3 1 1 "+strings.Repeat("ab", 32),
		"www.alpha.test. CNAME mail.alpha.test.",
	)
	z.Authenticate("alpha.test")
	for _, c := range []struct {
		name      string
		kind      uint16
		code, n   int
		authentic bool
	}{
		{"alpha.test.", dns.TypeMX, dns.RcodeSuccess, 1, true},
		{"ALPHA.test.", dns.TypeTXT, dns.RcodeSuccess, 1, true},
		{"mail.alpha.test.", dns.TypeA, dns.RcodeSuccess, 1, false},
		{"mail.alpha.test.", dns.TypeAAAA, dns.RcodeSuccess, 1, false},
		{"mail.alpha.test.", dns.TypeMX, dns.RcodeSuccess, 0, false},
		{"_25._tcp.mail.alpha.test.", dns.TypeTLSA, dns.RcodeSuccess, 1, false},
		{"_tcp.mail.alpha.test.", dns.TypeTLSA, dns.RcodeSuccess, 0, false},
		{"www.alpha.test.", dns.TypeA, dns.RcodeSuccess, 2, false},
		{"beta.test.", dns.TypeMX, dns.RcodeNameError, 0, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			r := ask(t, s, network, c.name, c.kind)
			if r.Rcode != c.code || len(r.Answer) != c.n || r.AuthenticatedData != c.authentic {
				t.Errorf("%s %s over %s: %v", c.name, dns.TypeToString[c.kind], network, r)
			}
		}
	}
	if n := z.Asked("Beta.test"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestZonesChange(t *testing.T) {
	z, s := serve(t, "alpha.test. MX 10 one.alpha.test.", "alpha.test. A 127.0.0.1")
	if err := z.Set("alpha.test", "alpha.test. MX 10 two.alpha.test.", "alpha.test. MX 20 three.alpha.test."); err != nil {
		t.Fatal(err)
	}
	if r := ask(t, s, "udp", "alpha.test.", dns.TypeMX); len(r.Answer) != 2 {
		t.Errorf("after Set: %v", r)
	}
	z.Remove("alpha.test", "MX")
	if r := ask(t, s, "udp", "alpha.test.", dns.TypeMX); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 0 {
		t.Errorf("after Remove: %v", r)
	}
	z.Fail("alpha.test", Servfail)
	if r := ask(t, s, "udp", "alpha.test.", dns.TypeA); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("after Fail: %v", r)
	}
	z.Fail("alpha.test", Silent)
	c := dns.Client{Timeout: 50 * time.Millisecond}
	if r, _, err := c.Exchange(new(dns.Msg).SetQuestion("alpha.test.", dns.TypeA), s.Addr); err == nil {
		t.Errorf("a silent name answered %v", r)
	}
	z.Fail("alpha.test", Healthy)
	z.Remove("alpha.test", "")
	if r := ask(t, s, "udp", "alpha.test.", dns.TypeA); r.Rcode != dns.RcodeNameError {
		t.Errorf("after all is gone: %v", r)
	}
}

func TestLargeAnswersGoOverTCP(t *testing.T) {
	z, s := serve(t)
	for i := range 100 {
		if err := z.Add(fmt.Sprintf("big.test. MX 10 a-name-that-is-long-%d.big.test.", i)); err != nil {
			t.Fatal(err)
		}
	}
	if r := ask(t, s, "udp", "big.test.", dns.TypeMX); !r.Truncated {
		t.Errorf("%d records fit a datagram", len(r.Answer))
	}
	if r := ask(t, s, "tcp", "big.test.", dns.TypeMX); len(r.Answer) != 100 {
		t.Errorf("%d records over TCP", len(r.Answer))
	}
}

func TestBadRecordsAreRefused(t *testing.T) {
	for _, text := range []string{"alpha.test. MX ten mail.", "", "; a remark", "alpha.test. A 1.2.3"} {
		if _, err := New("fine.test. A 127.0.0.1", text); err == nil {
			t.Errorf("took %q", text)
		}
	}
}

func TestLoadReplacesWhatWasThere(t *testing.T) {
	z, err := New("old.test. A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Load("; a comment\n$ORIGIN new.test.\n@ MX 10 mail\nmail A 192.0.2.2\n"); err != nil {
		t.Fatal(err)
	}
	if err := z.Load("new.test. MX ten mail\n"); err == nil {
		t.Error("a zone with a mistake was read")
	}
	for name, want := range map[string]int{"old.test": dns.RcodeNameError, "mail.new.test": dns.RcodeSuccess} {
		if got := z.answer(new(dns.Msg).SetQuestion(name+".", dns.TypeA)).Rcode; got != want {
			t.Errorf("%s: %s, want %s", name, dns.RcodeToString[got], dns.RcodeToString[want])
		}
	}
}
