package relay

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/testdns"
)

// TestWhatDNSSays has no server: the outcome is about names.
func TestWhatDNSSays(t *testing.T) {
	cases := []struct {
		name    string
		records []string
		fault   string
		private bool
		event   Event
		reply   string
	}{
		{"no such domain", nil, "", true, Failed, "5.1.2 the domain beta.test does not exist"},
		{"no mail server", []string{"beta.test. TXT hello"}, "", true, Failed, "5.1.2 the domain beta.test has no mail server"},
		{"null MX", []string{"beta.test. MX 0 ."}, "", true, Failed, "5.1.10 the domain beta.test accepts no mail"},
		{"MX cannot be asked for", []string{"beta.test. A 127.0.0.2"}, "beta.test", true, Deferred, "4.4.3"},
		{"MX without address", []string{"beta.test. MX 10 mx.beta.test.", "mx.beta.test. TXT hello"}, "", true, Failed, "5.4.4"},
		{"MX that does not exist", []string{"beta.test. MX 10 mx.gone.test."}, "", true, Failed, "5.4.4"},
		{"MX address cannot be asked for", []string{"beta.test. MX 10 mx.beta.test."}, "mx.beta.test", true, Deferred, "4.4.3"},
		{"MX is us", []string{"beta.test. MX 10 MAIL.alpha.test."}, "", true, Failed, "5.4.6"},
		{"MX is us by another name", []string{"beta.test. MX 10 smtp.alpha.test."}, "", true, Failed, "5.4.6"},
		{"we are the best of several", []string{"beta.test. MX 10 mail.alpha.test.", "beta.test. MX 20 mx.beta.test.", "mx.beta.test. A 127.0.0.2"}, "", true, Failed, "5.4.6"},
		{"we are among equals", []string{"beta.test. MX 10 mail.alpha.test.", "beta.test. MX 10 mx.beta.test.", "mx.beta.test. A 127.0.0.2"}, "", true, Failed, "5.4.6"},
		{"loopback", []string{"beta.test. MX 10 mx.beta.test.", "mx.beta.test. A 127.0.0.1"}, "", false, Failed, "5.4.4 the mail server mx.beta.test has no public address"},
		{"private", []string{"beta.test. A 10.0.0.1", "beta.test. AAAA fd00::1"}, "", false, Failed, "no public address"},
		{"carrier", []string{"beta.test. A 100.64.0.1"}, "", false, Failed, "no public address"},
		{"mapped", []string{"beta.test. AAAA ::ffff:127.0.0.1"}, "", false, Failed, "no public address"},
		{"MX is an address", []string{"beta.test. MX 10 127.0.0.1."}, "", true, Failed, "5.4.4 the mail server 127.0.0.1 has no address"},
		{"MX leads to loopback by an alias", []string{"beta.test. MX 10 mx.beta.test.", "mx.beta.test. CNAME localhost.gamma.test.", "localhost.gamma.test. A 127.0.0.1"}, "", false, Failed, "no public address"},
		{"aliases in a ring", []string{"beta.test. MX 10 mx.beta.test.", "mx.beta.test. CNAME ring.beta.test.", "ring.beta.test. CNAME mx.beta.test."}, "", true, Failed, "5.4.4"},
		{"literal", nil, "", false, Failed, "no public address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg *Config) {
				cfg.AllowPrivate = c.private
				cfg.Names = []string{"smtp.alpha.test"}
			})
			w.dns(c.records...)
			if c.fault != "" {
				w.zone.Fail(c.fault, testdns.Servfail)
			}
			w.run()
			to := "bob@beta.test"
			if c.name == "literal" {
				to = "bob@[127.0.0.1]"
			}
			w.send(to)
			if o := w.one(); o.Event != c.event || !strings.Contains(o.Reply, c.reply) {
				t.Errorf("%s: %q", o.Event, o.Reply)
			}
		})
	}
}

func TestServersAreTriedInOrder(t *testing.T) {
	w := newWorld(t, nil)
	w.dns("beta.test. MX 30 mx3.beta.test.", "beta.test. MX 10 mx1.beta.test.", "beta.test. MX 20 mx2.beta.test.",
		"mx1.beta.test. A 127.0.0.11", "mx2.beta.test. A 127.0.0.12", "mx3.beta.test. A 127.0.0.13")
	third := newPeer(t, nil)
	w.at("127.0.0.13:25", third)
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Host != "mx3.beta.test" {
		t.Errorf("%+v", o)
	}
	second := newPeer(t, nil)
	w.at("127.0.0.12:25", second)
	third.stop()
	w.send("bob@beta.test")
	w.one() // over the connection that is open, or the second server
	if len(third.got())+len(second.got()) != 2 {
		t.Errorf("%d and %d mails", len(second.got()), len(third.got()))
	}
}

func TestEqualServersShareTheMail(t *testing.T) {
	w := newWorld(t, nil)
	seen := make(map[string]bool)
	w.dns("beta.test. MX 10 mx1.beta.test.", "beta.test. MX 10 mx2.beta.test.")
	for range 100 {
		hosts, v := w.relay.hosts(t.Context(), "beta.test", ordinary)
		if v != nil {
			t.Fatal(v)
		}
		seen[hosts[0].name] = true
	}
	if len(seen) != 2 {
		t.Errorf("first are only %v", seen)
	}
}

func TestManyServersAreCapped(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 300 {
		w.dns(fmt.Sprintf("beta.test. MX 10 mx%d.beta.test.", i))
	}
	for i := range 60 {
		w.dns(fmt.Sprintf("mx.beta.test. A 127.0.1.%d", i+1), fmt.Sprintf("mx.beta.test. AAAA ::%d", i+2))
	}
	hosts, v := w.relay.hosts(t.Context(), "beta.test", ordinary)
	if v != nil || len(hosts) != maxHosts {
		t.Errorf("%d hosts, %v", len(hosts), v)
	}
	addrs, _, v := w.relay.addresses(t.Context(), host{name: "mx.beta.test", mx: true})
	if v != nil || len(addrs) != maxAddresses || addrs[0].Is4() || !addrs[1].Is4() {
		t.Errorf("%v, %v", addrs, v)
	}
}

// An MX may lead to an alias, which RFC 5321 §5.1 forbids and people do.
func TestAliasesAreFollowed(t *testing.T) {
	w := newWorld(t, nil)
	p := newPeer(t, nil)
	w.dns("beta.test. MX 10 mx.beta.test.", "mx.beta.test. CNAME host.gamma.test.", "host.gamma.test. A 127.0.0.2")
	w.at("127.0.0.2:25", p)
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Delivered {
		t.Errorf("%+v", o)
	}
}

// IPv6 that leads nowhere is followed by IPv4.
func TestTheOtherAddressIsTried(t *testing.T) {
	w := newWorld(t, nil)
	p := newPeer(t, nil)
	w.dns("beta.test. AAAA ::2", "beta.test. A 127.0.0.2")
	w.at("127.0.0.2:25", p)
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Delivered || o.Host != "beta.test" {
		t.Errorf("%+v", o)
	}
	six := newPeer(t, nil)
	w.dns("gamma.test. AAAA ::3")
	w.at("[::3]:25", six)
	w.send("bob@gamma.test", "eve@[127.0.0.2]", "eve@[ipv6:::3]")
	for _, o := range w.await(3) {
		if o.Event != Delivered {
			t.Errorf("%+v", o)
		}
	}
	if len(six.got()) != 2 || len(p.got()) != 2 {
		t.Errorf("%d and %d mails", len(six.got()), len(p.got()))
	}
}

// A server is lost for good only when all its addresses are.
func TestOneAddressRefusesAndOneIsSilent(t *testing.T) {
	for _, order := range [][2]string{{"127.0.0.2", "127.0.0.3"}, {"127.0.0.3", "127.0.0.2"}} {
		w := newWorld(t, nil)
		p := newPeer(t, func(_ *session, stage, _ string) string {
			if stage == "CONNECT" {
				return "554 5.3.2 go away"
			}
			return ""
		})
		w.at("127.0.0.3:25", p)
		w.dns("beta.test. A "+order[0], "beta.test. A "+order[1])
		w.run()
		w.send("bob@beta.test")
		if o := w.one(); o.Event != Deferred {
			t.Errorf("%v: %+v", order, o)
		}
	}
}

func TestRoutes(t *testing.T) {
	hop := func(s string) NextHop {
		h, err := ParseNextHop(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	r := &Relay{Config: Config{
		Smarthosts: []NextHop{hop("smart.test:587")},
		Routes: map[string][]NextHop{
			"beta.test": {hop("10.0.0.1")}, "*.beta.test": {hop("smtps://10.0.0.2")}, "gamma.test": {hop("direct")},
		},
	}}
	for domain, want := range map[string]string{
		"beta.test": "10.0.0.1", "a.beta.test": "10.0.0.2", "b.a.beta.test": "10.0.0.2", "xbeta.test": "smart.test", "gamma.test": "",
		"delta.test": "smart.test", "[192.0.2.1]": "smart.test",
	} {
		got := ""
		if hops := r.route(domain); len(hops) > 0 {
			got = hops[0].Host
		}
		if got != want {
			t.Errorf("%s goes to %q, want %q", domain, got, want)
		}
	}
}

func TestNextHopsAreRead(t *testing.T) {
	for text, want := range map[string]NextHop{
		"mail.test":              {Host: "mail.test", Port: 25},
		"mail.test:2525":         {Host: "mail.test", Port: 2525},
		"smtp://mail.test:587/":  {Host: "mail.test", Port: 587},
		"smtps://mail.test":      {Host: "mail.test", Port: 465, Implicit: true},
		"smtp://[2001:db8::1]:7": {Host: "2001:db8::1", Port: 7},
		"direct":                 {},
	} {
		if got, err := ParseNextHop(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "smtp://", "http://mail.test", "smtp://user:secret@mail.test", "mail.test:x", "mail.test:0", "mail.test:99999", "smtp://mail.test/path", "smtp://mail.test?tls=no"} {
		if got, err := ParseNextHop(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1": true, "8.8.8.8": true, "2001:db8::1": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false, "0.1.2.3": false,
		"100.64.1.1": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd12::1": false,
		"::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "ff02::1": false,
		"::127.0.0.1": false, "fec0::1": false, "64:ff9b:1::a00:1": false, "2002:7f00:1::1": false, "2001:0:a00:1::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestTheClockIsWound(t *testing.T) {
	c := NewWoundClock(start)
	soon, _ := c.At(start.Add(time.Minute))
	later, _ := c.At(start.Add(time.Hour))
	never, stop := c.At(start.Add(time.Minute))
	now, _ := c.At(start)
	<-now
	stop()
	c.Advance(30 * time.Minute)
	if at := <-soon; !at.Equal(start.Add(30 * time.Minute)) {
		t.Error(at)
	}
	select {
	case <-later:
		t.Error("an hour has not passed")
	case <-never:
		t.Error("nobody waits any more")
	default:
	}
	c.Advance(30 * time.Minute)
	<-later
}
