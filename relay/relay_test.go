package relay

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestMailIsHandedOver(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(nil)
	w.run()
	w.send("bob@beta.test", "eve@beta.test")
	for _, o := range w.await(2) {
		if o.Event != Delivered || o.Reply != "250 2.0.0 taken" || o.Host != "mx.beta.test" || o.Conn == "" {
			t.Errorf("%+v", o)
		}
	}
	got := p.got()
	if len(got) != 1 || len(got[0].to) != 2 || got[0].from != "MAIL FROM:<ada@alpha.test> SIZE="+fmt.Sprint(len(letter)-len("Return-Path: <ada@alpha.test>\r\n")) {
		t.Fatalf("%+v", got)
	}
	if want := letter[strings.Index(letter, "Received:"):]; got[0].text != want {
		t.Errorf("got %q\nwant %q", got[0].text, want)
	}
	if q := w.queued(); len(q) != 0 {
		t.Errorf("left in the queue: %+v", q)
	}
	if n := w.notices(); len(n) != 0 {
		t.Errorf("the sender has been told %q", n)
	}
}

// One mail, three recipients, three replies.
func TestRecipientsHaveFatesOfTheirOwn(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(func(s *session, stage, line string) string {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<busy@"):
			return "450 4.2.0 later"
		case strings.HasPrefix(line, "RCPT TO:<nobody@"):
			return "550 5.1.1 there is no such user"
		}
		return ""
	})
	w.run()
	w.send("bob@beta.test", "busy@beta.test", "nobody@beta.test")
	all := w.await(3)
	if all[0].Event != Delivered || all[1].Event != Deferred || all[2].Event != Failed {
		t.Fatalf("%+v", all)
	}
	if q := w.queued(); len(q) != 1 || q[0].Recipient != "busy@beta.test" || q[0].Reply != "450 4.2.0 later" || q[0].Attempts != 1 {
		t.Errorf("queue %+v", q)
	}
	n := w.notices()
	if len(n) != 1 || !strings.Contains(n[0], "nobody@beta.test") || strings.Contains(n[0], "busy@beta.test") || strings.Contains(n[0], "<bob@beta.test>\r\n ") {
		t.Errorf("notices %q", n)
	}
}

func TestRetriesGrowUntilTheMailIsGivenUp(t *testing.T) {
	w := newWorld(t, nil)
	w.beta(func(_ *session, stage, _ string) string {
		if stage == "RCPT" {
			return "451 4.3.0 not now"
		}
		return ""
	})
	w.run()
	w.send("bob@beta.test")
	var waits []time.Duration
	warned := time.Duration(0)
	for {
		o := w.one()
		if warned == 0 && len(w.notices()) == 1 {
			warned = w.clock.Now().Sub(start)
		}
		if o.Event == Failed {
			break
		}
		if o.Event != Deferred {
			t.Fatalf("%+v", o)
		}
		wait := o.Again.Sub(w.clock.Now())
		waits = append(waits, wait)
		w.clock.Advance(wait)
	}
	if first := waits[0]; first < 4*time.Minute+30*time.Second || first > 5*time.Minute+30*time.Second {
		t.Errorf("the first wait is %v", first)
	}
	for i := 1; i < 5; i++ {
		if waits[i] < waits[i-1] {
			t.Errorf("waits do not grow: %v", waits)
		}
	}
	if warned != 4*time.Hour {
		t.Errorf("warned after %v", warned)
	}
	if age := w.clock.Now().Sub(start); age != 5*24*time.Hour {
		t.Errorf("given up after %v", age)
	}
	n := w.notices()
	if len(n) != 2 || !strings.Contains(n[0], "Action: delayed") || !strings.Contains(n[0], "Will-Retry-Until:") ||
		!strings.Contains(n[1], "Action: failed") || !strings.Contains(n[1], "Status: 4.3.0") || !strings.Contains(n[1], "It was tried for 5 days.") {
		t.Errorf("notices %q", n)
	}
	if q := w.queued(); len(q) != 0 {
		t.Errorf("left in the queue: %+v", q)
	}
}

// Those who wait for one mail in one domain are tried together again.
func TestRecipientsStayTogether(t *testing.T) {
	w := newWorld(t, nil)
	var asked atomic.Int32
	p := w.beta(func(_ *session, stage, _ string) string {
		if stage == "MAIL" && asked.Add(1) == 1 {
			return "451 4.3.0 later"
		}
		return ""
	})
	w.run()
	w.send("a@beta.test", "b@beta.test", "c@beta.test")
	all := w.await(3)
	w.clock.Advance(all[0].Again.Sub(start))
	w.await(3)
	if got := p.got(); len(got) != 1 || len(got[0].to) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerDomain = 2; c.Timeouts.Idle = 5 * time.Second })
	p := w.beta(nil)
	for range 200 {
		w.send("bob@beta.test")
	}
	w.run()
	for _, o := range w.await(200) {
		if o.Event != Delivered {
			t.Fatalf("%+v", o)
		}
	}
	if n := p.count(); n > 2 {
		t.Errorf("%d connections", n)
	}
	if n := len(p.got()); n != 200 {
		t.Errorf("%d mails", n)
	}
}

// Ten thousand mails for a host that never answers delay nobody else, and
// neither do many such hosts.
func TestDeadDestinationsDelayNobody(t *testing.T) {
	const mails, deadDomains = 10000, 20
	w := newWorld(t, func(c *Config) { c.PerDomain = 4; c.Total = deadDomains + 2 })
	w.dns("dead.test. MX 10 mx.dead.test.", "*.dead.test. A 127.0.0.9", "mx.dead.test. A 127.0.0.9")
	w.silent("127.0.0.9:25")
	for i := range deadDomains - 1 {
		w.dns(fmt.Sprintf("d%d.dead.test. A 127.0.0.9", i))
		w.send(fmt.Sprintf("bob@d%d.dead.test", i))
	}
	var accepting errGroup
	for range 20 {
		accepting.run(func() error {
			for range mails / 20 {
				if _, err := w.store.Accept(t.Context(), store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(letter), Recipients: to("bob@dead.test", store.DSN{})}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := accepting.wait(); err != nil {
		t.Fatal(err)
	}
	p := w.beta(nil)
	w.clock.Advance(time.Second) // so that what comes now is last
	w.run()
	w.send("bob@beta.test")
	if o := w.one(); o.Event != Delivered {
		t.Fatalf("%+v", o)
	}
	if len(p.got()) != 1 {
		t.Error("not delivered")
	}
}

// What waited while a host was found dead is deferred with it; what comes
// later, or is asked for by hand, is tried.
func TestWaitersShareTheFailure(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerDomain = 1 })
	w.dns("beta.test. MX 10 mx.beta.test.", "mx.beta.test. A 127.0.0.2")
	for range 300 {
		w.send("bob@beta.test")
	}
	w.clock.Advance(time.Second)
	w.run()
	asked := 0
	for _, o := range w.await(300) {
		if o.Event != Deferred || !strings.HasPrefix(o.Reply, "4.4.1 no connection to mx.beta.test") {
			t.Fatalf("%+v", o)
		}
		asked++
	}
	if n := w.zone.Asked("beta.test"); n > 3 {
		t.Errorf("looked for the server %d times", n)
	}
	p := newPeer(t, nil)
	w.at("127.0.0.2:25", p)
	q := w.queued()
	w.clock.Advance(time.Second)
	if n, err := w.store.Retry(t.Context(), q[0].ID); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if o := w.one(); o.Event != Delivered {
		t.Fatalf("%+v", o)
	}
	w.clock.Advance(6 * time.Minute)
	for _, o := range w.await(299) {
		if o.Event != Delivered {
			t.Fatalf("%+v", o)
		}
	}
	if n := len(p.got()); n != 300 {
		t.Errorf("%d mails", n)
	}
}
