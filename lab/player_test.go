package lab_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

func newPlayer(t *testing.T, s lab.Server, scenario string, o lab.Options) *lab.Player {
	t.Helper()
	p, err := lab.NewPlayer(t.Context(), s, scenario, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// card finds a device on the board.
func card(t *testing.T, b *lab.Board, c lab.Column, role string) lab.Card {
	t.Helper()
	for _, l := range b.Lanes {
		for _, d := range l.Devices {
			if l.Column == c && d.Role == role {
				return d
			}
		}
	}
	t.Fatalf("no %s in %s", role, c)
	return lab.Card{}
}

func TestBoardShowsTheDevicesStores(t *testing.T) {
	t.Cleanup(func() { leak.Check(t) }) // after the server has stopped
	_, s := serve(t, store.POP3Policy{})
	p := newPlayer(t, s, "read-sync", lab.Options{})
	steps := 0
	for p.Next() == nil {
		steps++
	}
	if err := p.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last step: %v", err)
	}
	b := p.Board()
	if steps != len(b.Scenario.Steps) || b.Played != steps {
		t.Errorf("%d steps played, the board says %d", steps, b.Played)
	}
	for _, want := range []struct {
		column lab.Column
		role   string
		mails  int
		seen   int
	}{
		{lab.Delete, "pc", 2, 1}, {lab.Delete, "phone", 0, 0},
		{lab.Keep, "pc", 2, 1}, {lab.Keep, "phone", 2, 0},
		{lab.IMAP, "pc", 2, 1}, {lab.IMAP, "phone", 2, 1},
	} {
		c := card(t, b, want.column, want.role)
		seen := 0
		for _, m := range c.Mails {
			if m.Seen {
				seen++
			}
		}
		if len(c.Mails) != want.mails || seen != want.seen {
			t.Errorf("%s %s: %d mails, %d seen", want.column, want.role, len(c.Mails), seen)
		}
	}
	for i, n := range []int{0, 2, 2} {
		if got := b.Lanes[i].Server; !got.Known || len(got.Mails) != n {
			t.Errorf("%s: the server has %d", b.Lanes[i].Column, len(got.Mails))
		}
	}
	if r := p.Report(); r.Contradicted > 0 || len(r.Conversations) != len(b.Talks) {
		t.Errorf("%d contradicted, %d conversations of %d", r.Contradicted, len(r.Conversations), len(b.Talks))
	}
	p.Close()
}

func TestEveryCommandIsExplained(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	for _, scenario := range lab.Scenarios {
		p := newPlayer(t, s, scenario.ID, lab.Options{})
		for p.Next() == nil {
		}
		for _, talk := range p.Board().Talks {
			for _, line := range talk.Lines {
				plain := line.Body || line.Dir == 0 || strings.HasPrefix(line.Text, "C: )") || talk.Proto != "imap" && !line.First
				if plain || !line.Meaning.None() {
					continue
				}
				if line.First || strings.HasPrefix(line.Text, "S: * ") {
					t.Errorf("%s c%d:%d is not explained: %s", scenario.ID, talk.ID, line.N, line.Text)
				}
			}
		}
		p.Close()
	}
}

func TestLatencyIsAddedToEachRoundTrip(t *testing.T) {
	t.Cleanup(func() { leak.Check(t) }) // after the server has stopped
	_, s := serve(t, store.POP3Policy{})
	const latency = 30 * time.Millisecond
	p := newPlayer(t, s, "pop3-delete", lab.Options{Latency: latency})
	for p.Next() == nil {
	}
	b := p.Board()
	for _, talk := range b.Talks {
		if talk.Looking {
			continue
		}
		took := talk.Lines[len(talk.Lines)-1].Time.Sub(talk.Lines[0].Time)
		if least := time.Duration(talk.Trips-1) * latency; took < least {
			t.Errorf("c%d: %d round trips in %v", talk.ID, talk.Trips, took)
		}
	}
	if r := p.Report(); r.Contradicted > 0 || r.Scenarios[0].Latency != latency.Milliseconds() {
		t.Errorf("%d contradicted, with a latency of %d ms", r.Contradicted, r.Scenarios[0].Latency)
	}
	p.Close()
}

func TestFreePlay(t *testing.T) {
	t.Cleanup(func() { leak.Check(t) }) // after the server has stopped
	_, s := serve(t, store.POP3Policy{})
	p := newPlayer(t, s, "free", lab.Options{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Deliver())
	for _, c := range []lab.Column{lab.Delete, lab.Keep, lab.IMAP} {
		must(p.Act(c, "pc", lab.ActFetch, ""))
		must(p.Act(c, "phone", lab.ActFetch, ""))
	}
	if n := len(card(t, p.Board(), lab.Delete, "phone").Mails); n != 0 {
		t.Errorf("POP3 (delete): the phone shows %d", n)
	}
	must(p.Act(lab.IMAP, "pc", lab.ActOpen, "f1"))
	if m := card(t, p.Board(), lab.IMAP, "phone").Mails; len(m) != 1 || !m[0].Seen {
		t.Errorf("IMAP: the phone shows %+v", m)
	}
	must(p.Deliver())
	if m := card(t, p.Board(), lab.IMAP, "phone").Mails; len(m) != 2 {
		t.Errorf("IMAP: the phone was not told of new mail: %+v", m)
	}
	must(p.Act(lab.IMAP, "pc", lab.ActMove, "f1"))
	must(p.Act(lab.IMAP, "pc", lab.ActReply, "f2"))
	must(p.Act(lab.IMAP, "pc", lab.ActDelete, "f2"))
	must(p.Act(lab.IMAP, "phone", lab.ActLose, ""))
	if c := card(t, p.Board(), lab.IMAP, "phone"); !c.Lost || len(c.Mails) != 0 {
		t.Errorf("the lost phone: %+v", c)
	}
	must(p.Act(lab.IMAP, "phone", lab.ActFetch, ""))
	must(p.Deliver())
	must(p.Act(lab.Keep, "pc", lab.ActFetch, ""))
	must(p.Act(lab.Keep, "pc", lab.ActOpen, "f1"))
	for _, column := range []lab.Column{lab.IMAP, lab.Keep} {
		must(p.Act(column, "pc", lab.ActOffline, ""))
		for _, a := range []lab.Action{lab.ActDelete, lab.ActReply} {
			if err := p.Act(column, "pc", a, "f1"); !errors.Is(err, lab.ErrOffline) {
				t.Errorf("%s, %s offline: %v", column, a, err)
			}
		}
	}
	if err := p.Act(lab.IMAP, "pc", lab.ActMove, "f1"); !errors.Is(err, lab.ErrOffline) {
		t.Errorf("IMAP offline, move: %v", err)
	}
	must(p.Act(lab.Keep, "pc", lab.ActOpen, "f1"))
	must(p.Act(lab.Keep, "pc", lab.ActMove, "f1")) // into a folder of its own
	for _, bad := range []error{
		p.Act("nowhere", "pc", lab.ActFetch, ""), p.Act(lab.IMAP, "fridge", lab.ActFetch, ""),
		p.Act(lab.IMAP, "pc", "explode", ""), p.Act(lab.IMAP, "pc", lab.ActOpen, "f99"),
	} {
		if !errors.Is(bad, lab.ErrNoSuchThing) {
			t.Errorf("%v", bad)
		}
	}
	p.Close()
}

// TestFreePlayStaysInStep lets two IMAP devices change the same mailbox, and
// looks whether each shows what it was told of the other.
func TestFreePlayStaysInStep(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	p := newPlayer(t, s, "free", lab.Options{})
	defer p.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Deliver())
	must(p.Deliver())
	must(p.Act(lab.IMAP, "pc", lab.ActFetch, ""))
	must(p.Act(lab.IMAP, "phone", lab.ActFetch, ""))
	must(p.Act(lab.IMAP, "pc", lab.ActMove, "f1"))
	must(p.Act(lab.IMAP, "phone", lab.ActDelete, "f2"))
	for _, m := range card(t, p.Board(), lab.IMAP, "pc").Mails {
		if m.Folder == "INBOX" {
			t.Errorf("the PC still shows %+v", m)
		}
	}
	for _, column := range []lab.Column{lab.Keep, lab.IMAP} {
		must(p.Act(column, "pc", lab.ActFetch, ""))
		mails := card(t, p.Board(), column, "pc").Mails
		must(p.Act(column, "pc", lab.ActReply, mails[0].ID))
		if !slices.ContainsFunc(card(t, p.Board(), column, "pc").Mails, func(m lab.Mail) bool { return m.Folder == "Sent" && m.Subject != "" }) {
			t.Errorf("%s: no copy of what was sent is shown", column)
		}
	}
	if !slices.ContainsFunc(p.Board().Lanes[2].Server.Mails, func(m lab.Mail) bool { return m.Folder == "Sent" }) {
		t.Error("the IMAP server has no copy of what was sent")
	}
}

func TestConsoleStaysWithinItsRun(t *testing.T) {
	t.Cleanup(func() { leak.Check(t) }) // after the server has stopped
	sys, s := serve(t, store.POP3Policy{})
	sys.AddUser(t, "victim@example.test", "secret")
	p := newPlayer(t, s, "free", lab.Options{})
	say := func(want error, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if err := p.Type(line); !errors.Is(err, want) {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
	heard := func(words string) {
		t.Helper()
		for _, talk := range p.Board().Talks {
			for _, line := range talk.Lines {
				if talk.Console && strings.HasPrefix(line.Text, "S:") && strings.Contains(line.Text, words) {
					return
				}
			}
		}
		t.Errorf("the server did not say %q", words)
	}
	connect := func(proto string) {
		t.Helper()
		if err := p.Connect(proto, lab.IMAP); err != nil {
			t.Fatal(err)
		}
	}
	say(lab.ErrNoSuchThing, "NOOP")
	connect("imap")
	say(lab.ErrNotAllowed, "a LOGIN victim@example.test secret", "a login {19+}", "a LOGIN {user} {3}", "a LOGIN {3} {password}",
		"a  LOGIN victim@example.test secret", "a AUTHENTICATE PLAIN AHZpY3RpbQ==", "a STARTTLS")
	say(lab.ErrNoLine, "a NOOP\r\nb LOGIN x y", "a\tLOGIN x y", "a NO\x00OP", strings.Repeat("x", 2000))
	say(nil, "a1 LOGIN {user} {password}", "a2 SELECT INBOX", "a3 WHAT")
	heard("a2 OK")
	heard("a3 BAD")
	for _, talk := range p.Board().Talks {
		if last := talk.Lines[len(talk.Lines)-2]; talk.Console && (last.Text != "C: "+wiretap.Mask || last.Meaning.None()) {
			t.Errorf("an unknown command: %+v", last)
		}
	}
	connect("pop3")
	say(lab.ErrNotAllowed, "USER victim@example.test", "user  victim@example.test", "APOP x y", "STLS", "AUTH PLAIN x")
	say(nil, "USER {user}", "PASS {password}", "STAT")
	heard("+OK 0 0")
	connect("pop3")
	say(nil, "USER {user}", "PASS 1", "PASS 2")
	connect("pop3")
	say(nil, "USER {user}", "PASS 3")
	say(lab.ErrTooMuch, "PASS 4")
	connect("smtp")
	say(lab.ErrNotAllowed, "RCPT TO:<victim@example.test>", "RCPT TO: <victim@example.test>", "AUTH PLAIN x", "VRFY victim")
	say(nil, "EHLO me.example", "MAIL FROM:<me@example.com>", "RCPT TO:<{user}>", "QUIT")
	heard("250 2.1.5")
	for _, talk := range p.Board().Talks {
		for _, line := range talk.Lines {
			if strings.Contains(line.Text, "hush") {
				t.Errorf("a password is told: %s", line.Text)
			}
		}
	}
	if err := p.Connect("gopher", lab.IMAP); !errors.Is(err, lab.ErrNoSuchThing) {
		t.Errorf("an unknown protocol: %v", err)
	}
	p.Close()
}
