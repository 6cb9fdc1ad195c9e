package wiretap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/wiretap"
)

func TestWhatIsKeptIsBounded(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true, MaxSessions: 3, MaxBytes: 100 << 10})
	open := newCall(t, tap, "pop3")
	open.talk("S: +OK the first\n")
	for i := range 5 {
		c := newCall(t, tap, "pop3")
		c.talk(fmt.Sprintf("S: +OK %d\n", i))
		c.hangUp()
	}
	var got []string
	for _, s := range tap.Sessions() {
		got = append(got, wiretap.Transcript(s))
	}
	if s := strings.Join(got, ""); s != "S: +OK the first\nS: +OK 3\nS: +OK 4\n" {
		t.Errorf("kept\n%s", s)
	}

	long := strings.Repeat("x", 5000)
	open.talk(strings.Repeat("C: NOOP "+long+"\n", 100))
	for _, s := range tap.Sessions() {
		for _, line := range s.Lines {
			if len(line.Text) > 1000 {
				t.Errorf("a line of %d octets is kept", len(line.Text))
			}
			if line.Cut > 0 && line.Cut+len(line.Text) != len("NOOP ")+len(long) {
				t.Errorf("%d octets are said to be cut", line.Cut)
			}
		}
		if n := len(s.Lines); n > 50 || s.Missing > 0 && s.Missing+n != 101 {
			t.Errorf("%d lines are kept, %d missing", n, s.Missing)
		}
	}
}

func TestOldestSessionGivesWay(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true, MaxSessions: 2})
	var calls []*call
	for i := range 4 {
		c := newCall(t, tap, "pop3")
		c.talk(fmt.Sprintf("S: +OK %d\n", i))
		calls = append(calls, c)
	}
	calls[0].talk("C: NOOP\nS: +OK still served\n")
	var got string
	for _, s := range tap.Sessions() {
		got += wiretap.Transcript(s)
	}
	same(t, got, "S: +OK 2\nS: +OK 3\n")
}

func TestNothingIsKeptOfTLS(t *testing.T) {
	for proto, talk := range map[string][2]string{
		"pop3": {"S: +OK ready\nC: STLS\nS: +OK go\n", "S: +OK ready\nC: STLS\nS: +OK go\n"},
		"smtp": {"S: 220 x\nC: EHLO y\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n",
			"S: 220 x\nC: EHLO y\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"},
		"imap": {"S: * OK\nC: a STARTTLS\nS: a OK go\n", "S: * OK\nC: a STARTTLS\nS: a OK go\n"},
	} {
		t.Run(proto, func(t *testing.T) {
			tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
			c := newCall(t, tap, proto)
			c.talk(talk[0])
			c.talk("C: \x16\x03\x01 PASS geheim\nS: \x16\x03\x03\n")
			same(t, only(t, tap), talk[1]+"# (TLS from here)\n")
		})
		t.Run(proto+" unasked", func(t *testing.T) {
			tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
			c := newCall(t, tap, proto)
			c.talk("C: \x16\x03\x01 PASS geheim\nS: \x16\x03\x03\n")
			same(t, only(t, tap), "# (TLS from here)\n")
		})
	}
}

func TestBodiesAreCutShort(t *testing.T) {
	for _, test := range []struct{ name, proto, talk, want string }{
		{"smtp data", "smtp", "S: 220\nC: DATA\nS: 354 go\nC: 1\nC: 2\nC: 3\nC: ..\nC: .\nS: 250 ok\n",
			"S: 220\nC: DATA\nS: 354 go\nC: 1\nC: 2\n# (7 octets left out)\nC: .\nS: 250 ok\n"},
		{"smtp bdat", "smtp", "S: 220\nC: BDAT 9 LAST\nC: 1\nC: 2\nC: 3\nS: 250 ok\n",
			"S: 220\nC: BDAT 9 LAST\nC: 1\nC: 2\n# (3 octets left out)\nS: 250 ok\n"},
		{"pop3 retr", "pop3", "S: +OK\nC: RETR 1\nS: +OK\nS: 1\nS: 2\nS: 3\nS: .\nC: STAT\nS: +OK 0 0\n",
			"S: +OK\nC: RETR 1\nS: +OK\nS: 1\nS: 2\n# (3 octets left out)\nS: .\nC: STAT\nS: +OK 0 0\n"},
		{"imap fetch", "imap", "C: 1 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {10}\nS: 1\nS: 2\nS: 1 OK)\nS: 1 OK\nC: 2 NOOP\n",
			"C: 1 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {10}\nS: 1\nS: 2\n# (4 octets left out)\nS: )\nS: 1 OK\nC: 2 NOOP\n"},
		{"imap short literal", "imap", "S: * LIST () \"/\" {3}\nS: a\"b\nC: 1 SELECT {3+}\nC: a\"b\nC: 2 NOOP\n",
			"S: * LIST () \"/\" {3}\nS: a\"b\\c\nS:\nC: 1 SELECT {3+}\nC: a\"b\\c\nC:\nC: 2 NOOP\n"},
		{"imap append", "imap", "C: 1 APPEND x {9}\nS: + go\nC: 1\nC: 2\nC: 3\nC: \nS: 1 OK\n",
			"C: 1 APPEND x {9}\nS: + go\nC: 1\nC: 2\n# (3 octets left out)\nC:\nS: 1 OK\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true, BodyLines: 2})
			newCall(t, tap, test.proto).talk(test.talk)
			same(t, only(t, tap), test.want)
		})
	}
}

// TestTranscriptIsAConversationFile reads what the tap prints with the
// package that plays it.
func TestTranscriptIsAConversationFile(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	c := newCall(t, tap, "imap")
	c.talk("C: 1 STORE 1 +FLAGS (\\Seen \\recent)\nS: * 1 FETCH {x} \x1b[2J\xff\nC: 2 NOOP " + strings.Repeat("x", 2000) + "\n")
	want := `
C: 1 STORE 1 +FLAGS (\Seen \\recent)
S: * 1 FETCH \x7bx} \x1b[2J\xff
C: 2 NOOP ` + strings.Repeat("x", 993) + `
# (1007 octets more)
`
	got := only(t, tap)
	same(t, got, want)
	f, err := transcript.Parse([]byte("-- talk --\nopen imap\n" + got))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Talk) != 4 {
		t.Errorf("it has %d steps", len(f.Talk))
	}
}

func TestClearForgetsOpenSessionsToo(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	c := newCall(t, tap, "pop3")
	c.talk("S: +OK ready\n")
	if n, octets := tap.Kept(); n != 1 || octets == 0 {
		t.Fatalf("%d sessions, %d octets", n, octets)
	}
	tap.Clear()
	c.talk("S: +OK what nobody may see\n")
	if n, octets := tap.Kept(); n != 0 || octets != 0 || len(tap.Sessions()) != 0 {
		t.Errorf("after Clear: %d sessions, %d octets", n, octets)
	}
}
