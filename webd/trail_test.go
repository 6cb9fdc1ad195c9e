package webd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/wiretap"
)

// heard is what a tap makes of a conversation.
func heard(t *testing.T, proto, talk string) wiretap.Session {
	t.Helper()
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	say(t, tap, proto, strings.Split(strings.TrimSuffix(talk, "\n"), "\n")...)
	return tap.Sessions()[0]
}

func kinds(deeds []deed) (all []string) {
	for _, d := range deeds {
		all = append(all, strings.TrimSpace(d.Kind+" "+d.Detail))
	}
	return all
}

func TestTrails(t *testing.T) {
	body := func(dir string) string {
		return dir + "Return-Path: <x@y>\n" + dir + "Received: from a\n" + dir + "\tby mail.example.test with ESMTP\n" + dir + "\tid abcdefgh12345678\n" + dir + "\n" + dir + "text\n"
	}
	mail := body("")
	octets := len(strings.ReplaceAll(mail, "\n", "\r\n"))
	for _, c := range []struct {
		name, proto, talk string
		known             []string // what the mail is called
		want              []string
		learned           string
	}{
		{"pop3 by UIDL", "pop3", "S: +OK\nC: USER a\nS: +OK\nC: PASS b\nS: +OK\nC: UIDL\nS: +OK\nS: 1 3.40\nS: 2 3.41\nS: .\nC: TOP 2 0\nS: +OK\nS: .\nC: DELE 2\nS: +OK\nC: DELE 1\nS: +OK\nC: QUIT\nS: +OK\n",
			[]string{"3.41"}, []string{"top", "marked", "deleted"}, "3.41"},
		{"pop3 by the postmark", "pop3", "S: +OK\nC: UIDL 1\nS: +OK 1 3.7\nC: RETR 1\nS: +OK\n" + body("S: ") + "S: .\nC: DELE 1\nS: +OK\nC: RSET\nS: +OK\nC: DELE 1\nS: +OK\n",
			nil, []string{"retrieved", "marked", "unmarked", "marked", "kept"}, "3.7"},
		{"pop3 refused", "pop3", "S: +OK\nC: UIDL 1\nS: +OK 1 3.7\nC: RETR 1\nS: -ERR\nC: DELE 1\nS: -ERR\nC: QUIT\nS: +OK\n", []string{"3.7"}, nil, "3.7"},
		{"pop3 with AUTH", "pop3", "S: +OK\nC: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: UIDL\nS: + UGFzc3dvcmQ6\nC: RETR 1\nS: +OK\nC: UIDL 1\nS: +OK 1 3.7\nC: RETR 1\nS: +OK\nS: .\nC: QUIT\nS: +OK\n", []string{"3.7"}, []string{"retrieved"}, "3.7"},
		{"pop3, another's text", "pop3", "S: +OK\nC: RETR 1\nS: +OK\nS: Received: from b\nS: \tid other1234567890\nS: Received: from a\nS: \tid abcdefgh12345678\nS: \nS: Received: x\nS: \tid abcdefgh12345678\nS: .\nC: QUIT\nS: +OK\n", nil, nil, ""},
		{"imap by UID", "imap", "S: * OK\nC: 1 SELECT INBOX\nS: * 9 EXISTS\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 UID FETCH 1:* (FLAGS)\nS: * 8 FETCH (UID 40 FLAGS ())\nS: * 9 FETCH (UID 41 FLAGS ())\nS: 2 OK\nC: 3 UID STORE 40:41 +FLAGS.SILENT (\\Seen)\nS: 3 OK\nC: 4 STORE 8 +FLAGS (\\Flagged)\nS: 4 OK\nC: 5 STORE 9 -FLAGS (\\Seen)\nS: 5 OK\nC: 6 UID STORE 41 FLAGS (\\Deleted)\nS: 6 NO\n",
			[]string{"3.41"}, []string{"listed", `flags +\Seen`, `flags -\Seen`}, "3.41"},
		{"imap by the postmark", "imap", fmt.Sprintf("S: * OK\nC: 1 SELECT INBOX\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 FETCH 2 (UID BODY.PEEK[])\nS: * 2 FETCH (UID 41 BODY[] {%d}\n", octets) + body("S: ") + "S: )\nS: 2 OK\nC: 3 UID MOVE 41 Archive\nS: * OK [COPYUID 5 41 9]\nS: * 2 EXPUNGE\nS: 3 OK\nC: 4 SELECT Archive\nS: * OK [UIDVALIDITY 5]\nS: 4 OK\nC: 5 UID STORE 9 +FLAGS (\\Deleted)\nS: 5 OK\nC: 6 CLOSE\nS: 6 OK\n",
			nil, []string{"fetched", "moved Archive", `flags +\Deleted`, "expunged"}, "5.9"},
		{"imap, from the copy back", "imap", "S: * OK\nC: 1 SELECT INBOX\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 UID COPY 40:42 Work\nS: 2 OK [COPYUID 5 40:42 7:9]\n", []string{"5.8"}, []string{"copied Work"}, "3.41"},
		{"imap, told", "imap", "S: * OK\nC: 1 SELECT INBOX\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 FETCH 1:2 UID\nS: * 1 FETCH (UID 40)\nS: * 2 FETCH (UID 41)\nS: 2 OK\nC: 3 IDLE\nS: + idling\nS: * 1 EXPUNGE\nS: * 1 FETCH (FLAGS (\\Seen))\nS: * 1 EXPUNGE\nC: DONE\nS: 3 OK\n", []string{"3.41"}, []string{"listed", `told \Seen`, "told-gone"}, "3.41"},
		{"imap, a subject that looks like more", "imap", "S: * OK\nC: 1 SELECT INBOX\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 FETCH 1 (ENVELOPE UID)\nS: * 1 FETCH (ENVELOPE (NIL \"UID 41 \\\" UID 41 [UIDVALIDITY 3]\") UID 7)\nS: 2 OK\nC: 3 STORE 1 +FLAGS (\\Seen)\nS: 3 OK\n", []string{"3.41"}, nil, "3.41"},
		{"imap, another mailbox", "imap", "S: * OK\nC: 1 SELECT Work\nS: * OK [UIDVALIDITY 4]\nS: 1 OK\nC: 2 UID STORE 41 +FLAGS (\\Seen)\nS: 2 OK\n", []string{"3.41"}, nil, "3.41"},
	} {
		t.Run(c.name, func(t *testing.T) {
			trail := newTrail("abcdefgh12345678", c.known...)
			found := trail.follow([]wiretap.Session{heard(t, c.proto, c.talk)})[0]
			if got := kinds(found); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.learned != "" && !trail.names[c.learned] {
				t.Errorf("%q is not known: %v", c.learned, trail.names)
			}
		})
	}
}

// TestATrailGoesThroughConversations is about a mail that one device has moved
// before another touches it.
func TestATrailGoesThroughConversations(t *testing.T) {
	later := heard(t, "imap", "S: * OK\nC: 1 SELECT Archive\nS: * OK [UIDVALIDITY 5]\nS: 1 OK\nC: 2 UID STORE 9 +FLAGS (\\Flagged)\nS: 2 OK\n")
	move := heard(t, "imap", "S: * OK\nC: 1 SELECT INBOX\nS: * OK [UIDVALIDITY 3]\nS: 1 OK\nC: 2 UID MOVE 41 Archive\nS: * OK [COPYUID 5 41 9]\nS: * 1 EXPUNGE\nS: 2 OK\n")
	first := heard(t, "pop3", "S: +OK\nC: UIDL 1\nS: +OK 1 3.41\nC: RETR 1\nS: +OK\nS: .\nC: QUIT\nS: +OK\n")
	found := newTrail("", "5.9").follow([]wiretap.Session{later, first, move})
	if got := fmt.Sprint(kinds(found[0]), kinds(found[1]), kinds(found[2])); got != `[flags +\Flagged] [retrieved] [moved Archive]` {
		t.Errorf("%s", got)
	}
}

// TestATrailLeadsOut is about mail that leaves, with our signature on top.
func TestATrailLeadsOut(t *testing.T) {
	talk := "S: 220 far\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: DKIM-Signature: v=1;\n" + strings.Repeat("C: \tb=x\n", 9) +
		"C: Received: from x\nC: \tid abcdefgh12345678;\nC: Message-ID: <1@x>\nC: \nC: Message-ID: <2@x>\nC: .\nS: 250 thanks\n" +
		"C: MAIL FROM:<a@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Message-ID: <3@x>\nC: \nC: text\nC: .\nS: 550 no\n"
	s := heard(t, "relay", talk)
	for _, c := range []struct{ id, sent, want string }{
		{"abcdefgh12345678", "", "relayed 250 thanks"}, {"", "1@x", "relayed 250 thanks"}, {"", "3@x", "relay-refused 550 no"}, {"", "2@x", ""}, {"", "", ""},
	} {
		trail := newTrail(c.id)
		trail.sent = c.sent
		if got := strings.Join(kinds(trail.in(s)), ", "); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.id, c.sent, got, c.want)
		}
	}
}

func TestSequenceSets(t *testing.T) {
	for _, c := range []struct {
		set string
		n   uint64
		at  int
	}{{"1", 1, 0}, {"3:5", 5, 2}, {"5:3", 4, 1}, {"1,7:9", 8, 2}, {"4:*", 4000000000, 3999999996}, {"1:3", 4, -1}, {"*", 3, -1}, {"", 1, -1}, {"x:3", 2, -1}, {"1:99999999999", 2, -1}} {
		if at := rankIn(c.set, c.n); at != c.at {
			t.Errorf("%d in %q: %d, want %d", c.n, c.set, at, c.at)
		}
		if n, ok := member(c.set, c.at); c.at >= 0 && (!ok || n != c.n) {
			t.Errorf("number %d of %q: %d, %v", c.at, c.set, n, ok)
		}
	}
}

// TestOwnResults is about Authentication-Results that this server has not
// written.
func TestOwnResults(t *testing.T) {
	s := &Server{Config: Config{Hostname: "mail.example.test"}}
	const (
		path   = "Return-Path: <x@y>\n"
		ours   = "Received: from a ([192.0.2.1])\n\tby mail.example.test with ESMTP\n\tid abcdefgh12345678;\n\tMon, 23 Nov 2026 12:00:00 +0000\n"
		own    = "Received: from a ([192.0.2.1])\n\tby mail.example.test with ESMTPSA\n\tid abcdefgh12345678;\n\tMon, 23 Nov 2026 12:00:00 +0000\n"
		theirs = "Received: from a by other.test; Mon, 23 Nov 2026 12:00:00 +0000\n"
		result = "Authentication-Results: mail.example.test;\n\tspf=pass smtp.mailfrom=\"=?utf-8?q?x=22=3B_dmarc=3Dpass?=@y\";\n\tdkim=fail reason=\"no; dmarc=pass\"\n"
	)
	for _, c := range []struct{ name, header, want string }{
		{"ours", path + ours + result, "spf=pass dkim=fail"},
		{"below our seal", path + ours + "ARC-Seal: i=1\nARC-Message-Signature: i=1\n" + result, "spf=pass dkim=fail"},
		{"in other letters", ours + strings.ReplaceAll(result, "mail.example", "MAIL.Example"), "spf=pass dkim=fail"},
		{"another's name", path + ours + strings.ReplaceAll(result, "mail.example", "other.example"), ""},
		{"below another's", path + ours + "Authentication-Results: other.test; spf=none\n" + result, ""},
		{"a name that begins as ours", path + ours + strings.ReplaceAll(result, "mail.example.test", "mail.example.test.evil"), ""},
		{"below other fields", path + ours + "Subject: x\n" + result, ""},
		{"below another hop", path + ours + theirs + result, ""},
		{"under another's hop", theirs + result, ""},
		{"from a user", path + own + result, ""},
		{"without a hop", path + result, ""},
		{"above the hop", result + path + ours, ""},
		{"no header", "", ""},
	} {
		var got []string
		for _, claim := range s.ownResults([]byte(strings.ReplaceAll(c.header, "\n", "\r\n"))) {
			got = append(got, claim.Method+"="+string(claim.Value))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
