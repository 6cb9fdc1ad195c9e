package wiretap

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// piece is what one side says at once.
type piece struct {
	dir  Dir
	text string
}

// pieces reads a talk written as lines.
func pieces(talk string) (all []piece) {
	for line := range strings.Lines(strings.TrimPrefix(talk, "\n")) {
		dir := Client
		if line[0] == 'S' {
			dir = Server
		}
		text := strings.TrimSuffix(line[3:], "\n") + "\r\n"
		if n := len(all); n > 0 && all[n-1].dir == dir {
			all[n-1].text += text
			continue
		}
		all = append(all, piece{dir, text})
	}
	return all
}

// overhear feeds pieces to a dialogue, each cut by split, and returns the
// transcript.
func overhear(proto string, talk []piece, split func(string) []string) string {
	var s Session
	d := newDialogue(family(proto), 3, func(l Line) { s.Lines = append(s.Lines, l) })
	d.outgoing = Protocol(proto) == "relay"
	for _, p := range talk {
		for _, part := range split(p.text) {
			d.feed(p.dir, []byte(part))
		}
	}
	d.finish()
	return Transcript(s)
}

func whole(s string) []string    { return []string{s} }
func bytewise(s string) []string { return strings.Split(s, "") }

func TestSecretsAreMasked(t *testing.T) {
	for _, login := range logins {
		t.Run(login.name, func(t *testing.T) {
			talk := pieces(login.talk)
			want := strings.TrimPrefix(login.want, "\n")
			check := func(how, got string) {
				t.Helper()
				for _, s := range append(login.secrets, secret) {
					if strings.Contains(got, s) {
						t.Fatalf("%s: %q is in\n%s", how, s, got)
					}
				}
				if got != want {
					t.Fatalf("%s: got\n%s\nwant\n%s", how, got, want)
				}
			}
			check("whole", overhear(login.proto, talk, whole))
			check("byte by byte", overhear(login.proto, talk, bytewise))
			for at := 1; at < 400; at++ {
				check(fmt.Sprintf("split at %d", at), overhear(login.proto, talk, func(s string) []string {
					n := min(at, len(s))
					return []string{s[:n], s[n:]}
				}))
			}
		})
	}
}

// exchanges are other things said before and after a login.
var exchanges = map[string][]string{
	"pop3": {
		"C: NOOP\nS: +OK\n", "C: LIST\nS: +OK\nS: 1 12\nS: .\n", "C: LIST 1\nS: +OK 1 12\n",
		"C: RETR 1\nS: +OK\nS: + foo\nS: ..\nS: -ERR\nS: .\n", "C: RETR 9\nS: -ERR no\n", "C: \nS: -ERR\n",
		"C: NOOP\nC: TOP 1 0\nC: FOO\nS: +OK\nS: +OK\nS: x\nS: .\nS: -ERR\n",
	},
	"smtp": {
		"C: NOOP\nS: 250 ok\n", "C: EHLO x\nS: 250-mx\nS: 250 SIZE\n",
		"C: MAIL FROM:<a@x>\nC: RCPT TO:<b@x>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC: \nC: ..\nC: .\nC: RSET\nS: 250 ok\nS: 250 ok\n",
		"C: BDAT 7\nC: hello\nC: NOOP\nS: 250 ok\nS: 250 ok\n", "C: BDAT 7\nC: hello\nS: 503 no\n", "C: BDAT x\nS: 501 no\n",
		"C: DATA\nS: 503 no\n", "C: FOO\nS: 500 what\n",
	},
	"imap": {
		"C: n NOOP\nS: * 3 EXISTS\nS: n OK\n", "C: i IDLE\nS: + idling\nC: DONE\nS: i OK\n",
		"C: p APPEND INBOX {7+}\nC: hello\nC: \nS: p OK\n", "C: p APPEND INBOX {5}\nS: + go\nC: hello\nS: p OK\n",
		"C: p APPEND INBOX {5}\nS: p NO\n", "C: f FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {9}\nS: s OK {3}\nS: )\nS: f OK\n",
		"C: q SEARCH TEXT {0+}\nC: \nS: * SEARCH\nS: q OK\n", "C: FOO\nS: * BAD\n",
	},
}

var announcesLiteral = regexp.MustCompile(`\{\d+\+?\}$`)

// FuzzRedact plants any secret in any login, with other exchanges around it,
// cut anywhere.
func FuzzRedact(f *testing.F) {
	for i := range logins {
		f.Add(uint8(i), "correct horse", []byte{1, 2, 3}, []byte{5, 1, 9})
	}
	f.Add(uint8(0), "+OK", []byte{0}, []byte{1})
	f.Add(uint8(11), `back\slash`, []byte{3, 4}, []byte{2})
	f.Add(uint8(12), "{5+}x", []byte{1}, []byte{20})
	f.Fuzz(func(t *testing.T, which uint8, planted string, around, cuts []byte) {
		login := logins[int(which)%len(logins)]
		planted = strings.TrimFunc(planted, isSpace)
		if len(login.secrets) > 0 || len(planted) < 5 || strings.ContainsAny(planted, "\r\n\x16") || len(around) > 20 {
			t.Skip()
		}
		if family(login.proto) == "imap" && announcesLiteral.MatchString(planted) {
			t.Skip() // in IMAP this is no word but the size of one
		}
		others := exchanges[family(login.proto)]
		first, rest, _ := strings.Cut(strings.TrimPrefix(login.talk, "\n"), "\n")
		var talk strings.Builder
		talk.WriteString(first + "\n")
		for _, n := range around {
			talk.WriteString(others[int(n)%len(others)])
		}
		talk.WriteString(rest)
		script := talk.String()
		bare := strings.ReplaceAll(script, secret, "")
		if strings.Contains(bare, planted) || strings.Contains(Mask, planted) || strings.Contains("octets left out of a line without end", planted) {
			t.Skip()
		}
		said := pieces(script)
		for i := range said {
			text := strings.ReplaceAll(said[i].text, "{14", fmt.Sprintf("{%d", len(planted)))
			said[i].text = strings.ReplaceAll(text, secret, planted)
		}
		if strings.Contains(said[0].text, planted) {
			t.Skip()
		}
		n := 0
		got := overhear(login.proto, said, func(s string) (parts []string) {
			for len(s) > 0 {
				size := len(s)
				if len(cuts) > 0 {
					size = min(size, 1+int(cuts[n%len(cuts)]))
					n++
				}
				parts, s = append(parts, s[:size]), s[size:]
			}
			return parts
		})
		if strings.Contains(strings.ReplaceAll(got, Mask, "\n"), planted) {
			t.Fatalf("%q is in\n%s", planted, got)
		}
	})
}

// FuzzTapLines feeds anything: the tap must not panic, must keep what it
// keeps bounded, and must see the same whatever the pieces.
func FuzzTapLines(f *testing.F) {
	for _, login := range logins {
		var client, server string
		for _, p := range pieces(login.talk) {
			if p.dir == Client {
				client += p.text
			} else {
				server += p.text
			}
		}
		f.Add(family(login.proto), client, server, uint8(3))
	}
	f.Add("imap", "1 APPEND x {3}\r\nabc\r\n", "+ go\r\n* 1 FETCH (BODY[] {99999999999}\r\nabc", uint8(1))
	f.Add("smtp", "BDAT 99999999999999999999\r\nBDAT 4294967295 LAST\r\nx", "220 x\r\n500\r\n2", uint8(2))
	f.Add("pop3", "RETR 1\r\n\x16\x03\x01", "+OK\r\n+OK\r\n\x16.\r\n.\r\n", uint8(1))
	f.Fuzz(func(t *testing.T, proto, client, server string, size uint8) {
		if family(proto) != proto || proto == "" {
			t.Skip()
		}
		talk := []piece{{Client, client}, {Server, server}, {Client, client}}
		once := overhear(proto, talk, whole)
		again := overhear(proto, talk, func(s string) (parts []string) {
			for len(s) > 0 {
				n := min(len(s), int(size)+1)
				parts, s = append(parts, s[:n]), s[n:]
			}
			return parts
		})
		if once != again {
			t.Fatalf("in one piece\n%s\nin pieces of %d\n%s", once, int(size)+1, again)
		}
	})
}
