package wiretap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/wiretap"
)

// TestAnAliasIsItsUsers delivers to an alias, and in secret to somebody else.
func TestAnAliasIsItsUsers(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	c := newCall(t, tap, "smtp")
	recipient := func(named, address string, agreed bool) {
		c.talk("C: RCPT TO:<" + named + ">\n")
		c.server.(interface {
			TapRecipient(string, func() (string, bool))
		}).TapRecipient(named, func() (string, bool) { return address, agreed })
		c.talk("S: 250 2.1.5 OK\n")
	}
	c.talk("S: 220 mx\nC: EHLO a\nS: 250 mx\nC: MAIL FROM:<x@y>\nS: 250 ok\n")
	recipient("sales@x", "ada@x", true)
	recipient("help@x", "bob@x", true)
	recipient("secret@x", "eve@x", false)
	c.talk("C: QUIT\nS: 221 bye\n")
	c.hangUp()
	s := tap.Sessions()[0]
	for address, want := range map[string]string{"ada@x": "sales@x", "bob@x": "help@x", "eve@x": ""} {
		text := wiretap.Transcript(s.For(address))
		for _, named := range []string{"sales@x", "help@x", "secret@x"} {
			if strings.Contains(text, named) != (named == want) {
				t.Errorf("%s and %s: %s", address, named, text)
			}
		}
	}
}

// TestRecipientsAreBounded names recipients for as long as it likes.
func TestRecipientsAreBounded(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	c := newCall(t, tap, "smtp")
	c.talk("S: 220 mx\nC: MAIL FROM:<x@y>\nS: 250 ok\n")
	tapped := c.server.(interface {
		TapRecipient(string, func() (string, bool))
	})
	for i := range 3000 {
		tapped.TapRecipient(fmt.Sprintf("alias%d@x", i), func() (string, bool) { return fmt.Sprintf("user%d@x", i), true })
	}
	if n := len(tap.Sessions()[0].Recipients); n == 0 || n > 1000 {
		t.Errorf("%d recipients are remembered", n)
	}
}

// TestSwitchingOff ends what is recorded at once, and does not go on in the
// middle: the tap would have lost step with what are secrets.
func TestSwitchingOff(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	c := newCall(t, tap, "pop3")
	c.talk("S: +OK ready\nC: USER ada\nS: +OK\n")
	tap.Enable(false)
	c.talk("C: PASS geheim\n")
	tap.Enable(true)
	c.talk("S: +OK\nC: geheim2\nS: -ERR\n")
	c.hangUp()
	if got, want := only(t, tap), "S: +OK ready\nC: USER ada\nS: +OK\n# (recording was switched off here)\n"; got != want {
		t.Errorf("kept\n%s", got)
	}
}

// TestALogIsASession tells the tap of a conversation that has no wire.
func TestALogIsASession(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, MaxBytes: 100 << 10})
	if l := tap.Log("http", "", "here", "there", "eve@x", false); l != nil || l.Say(wiretap.Client, "x") {
		t.Error("it is kept of somebody who has not agreed")
	}
	if l := tap.Log("pop3", "", "here", "there", "ada@x", true); l != nil {
		t.Error("a protocol that has lines may not be told of: nobody would look for its secrets")
	}
	events, cancel := tap.Subscribe(wiretap.Filter{User: "ada@x"})
	defer cancel()
	l := tap.Log("http", "tls", "here", "there", "ada@x", true)
	l.Say(wiretap.Client, "GET /m/inbox/1\r\n# (forged)")
	l.Say(wiretap.Note, "opened 1.1")
	if e := <-events; e.Session.User != "ada@x" || !strings.HasPrefix(e.Line.Text, "GET") {
		t.Errorf("a viewer is told %+v", e)
	}
	if got, want := only(t, tap), "C: GET /m/inbox/1\uFFFD\uFFFD# (forged)\n# (opened 1.1)\n"; got != want {
		t.Errorf("kept\n%s", got)
	}
	for range 10000 {
		l.Say(wiretap.Client, strings.Repeat("x", 3000))
	}
	if _, octets := tap.Kept(); octets > 100<<10 {
		t.Errorf("%d octets are kept", octets)
	}
	tap.Clear()
	if l.Say(wiretap.Client, "x") || len(tap.Sessions()) != 0 {
		t.Error("it goes on after all has been cleared")
	}
	l.End()
}
