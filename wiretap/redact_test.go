package wiretap

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// secret is planted in every login below, as it is and inside base64.
const secret = "Geheim+Wort/42"

// logins are conversations in which every client line that must not be seen
// holds one of the secrets. Consecutive lines of one side go as one piece, so
// pipelining is written by order.
var logins = []struct {
	name, proto, talk string
	secrets           []string
	want              string // the transcript
}{
	{"pop3 pass", "pop3", `
S: +OK ready
C: USER ada
S: +OK
C: PASS Geheim+Wort/42
S: -ERR Geheim+Wort/42 is wrong
C: pass   Geheim+Wort/42 with spaces
S: +OK welcome
C: STAT
S: +OK 0 0
`, nil, `
S: +OK ready
C: USER ada
S: +OK
C: PASS ••••
S: -ERR •••• is wrong
C: PASS ••••
S: +OK welcome
C: STAT
S: +OK 0 0
`},
	{"pop3 pipelined", "pop3", `
S: +OK ready
C: USER ada
C: PASS Geheim+Wort/42
C: RETR 1
C: QUIT
S: +OK
S: +OK
S: +OK
S: one
S: .
S: +OK bye
`, nil, `
S: +OK ready
C: USER ada
C: PASS ••••
C: RETR 1
C: QUIT
S: +OK
S: +OK
S: +OK
S: one
S: .
S: +OK bye
`},
	{"pop3 mistyped", "pop3", `
S: +OK ready
C: PSAS Geheim+Wort/42
S: -ERR PSAS Geheim+Wort/42?
C: Geheim+Wort/42
S: -ERR what?
C: USER ada Geheim+Wort/42
S: -ERR what?
C:  PASS	Geheim+Wort/42
S: -ERR what?
`, nil, `
S: +OK ready
C: ••••
S: -ERR ••••?
C: ••••
S: -ERR what?
C: USER ada ••••
S: -ERR what?
C: PASS ••••
S: -ERR what?
`},
	{"pop3 apop", "pop3", `
S: +OK ready <1@x>
C: APOP ada 0123456789abcdef
S: +OK
`, []string{"0123456789abcdef"}, `
S: +OK ready <1@x>
C: APOP ada ••••
S: +OK
`},
	{"pop3 auth plain", "pop3", `
S: +OK ready
C: CAPA
S: +OK
S: SASL PLAIN
S: .
C: AUTH PLAIN AGFkYQBHZWhlaW0rV29ydC80Mg==
S: +OK
`, []string{"AGFkYQBHZWhlaW0"}, `
S: +OK ready
C: CAPA
S: +OK
S: SASL PLAIN
S: .
C: AUTH PLAIN ••••
S: +OK
`},
	{"pop3 auth behind a command", "pop3", `
S: +OK ready
C: NOOP
C: AUTH LOGIN
S: +OK for NOOP
S: + VXNlcm5hbWU6
C: YWRhLWxvdmVsYWNl
S: + UGFzc3dvcmQ6
C: R2VoZWltK1dvcnQvNDI=
S: -ERR no
C: NOOP
S: +OK
`, []string{"YWRhLWxvdmVsYWNl", "R2VoZWltK1dvcnQvNDI"}, `
S: +OK ready
C: NOOP
C: AUTH LOGIN
S: +OK for NOOP
S: + VXNlcm5hbWU6
C: ••••
S: + UGFzc3dvcmQ6
C: ••••
S: -ERR no
C: NOOP
S: +OK
`},
	{"pop3 scram, cancelled", "pop3", `
S: +OK ready
C: AUTH SCRAM-SHA-256 bixhLG49YWRhLHI9Y2xpZW50
S: + cj1jbGllbnRzZXJ2ZXI=
C: *
S: -ERR cancelled
C: AUTH SCRAM-SHA-256
S: + 
C: bixhLG49YWRhLHI9Y2xpZW50
S: + cj1jbGllbnRzZXJ2ZXI=
C: Yz1iaXdzLHI9cHJvb2Y=
S: + dj1zaWduYXR1cmU=
C: 
S: +OK
`, []string{"bixhLG49YWRhLHI9", "cj1jbGllbnRzZXJ2ZXI", "Yz1iaXdzLHI9cHJvb2Y", "dj1zaWduYXR1cmU"}, `
S: +OK ready
C: AUTH SCRAM-SHA-256 ••••
S: + ••••
C: *
S: -ERR cancelled
C: AUTH SCRAM-SHA-256
S: +\x20
C: ••••
S: + ••••
C: ••••
S: + ••••
C:
S: +OK
`},
	{"smtp plain", "smtp", `
S: 220 mx ESMTP
C: EHLO pc
S: 250-mx
S: 250 AUTH PLAIN LOGIN
C: auth plain AGFkYQBHZWhlaW0rV29ydC80Mg==
S: 535 5.7.8 AGFkYQBHZWhlaW0rV29ydC80Mg== is wrong
C: AUTH PLAIN
S: 334 
C: AGFkYQBHZWhlaW0rV29ydC80Mg==
S: 235 2.0.0 welcome
C: MAIL FROM:<ada@x>
S: 250 ok
`, []string{"AGFkYQBHZWhlaW0"}, `
S: 220 mx ESMTP
C: EHLO pc
S: 250-mx
S: 250 AUTH PLAIN LOGIN
C: AUTH plain ••••
S: 535 5.7.8 •••• is wrong
C: AUTH PLAIN
S: 334\x20
C: ••••
S: 235 2.0.0 welcome
C: MAIL FROM:<ada@x>
S: 250 ok
`},
	{"smtp login behind commands", "submission", `
S: 220 mx ESMTP
C: EHLO pc
C: AUTH LOGIN
S: 250-mx
S: 250 AUTH PLAIN LOGIN
S: 334 VXNlcm5hbWU6
C: YWRhLWxvdmVsYWNl
C: R2VoZWltK1dvcnQvNDI=
S: 334 UGFzc3dvcmQ6
S: 235 ok
`, []string{"YWRhLWxvdmVsYWNl", "R2VoZWltK1dvcnQvNDI"}, `
S: 220 mx ESMTP
C: EHLO pc
C: AUTH LOGIN
S: 250-mx
S: 250 AUTH PLAIN LOGIN
S: 334 VXNlcm5hbWU6
C: ••••
C: ••••
S: 334 UGFzc3dvcmQ6
S: 235 ok
`},
	{"smtp xoauth2", "smtp", `
S: 220 mx ESMTP
C: AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rZW4BAQ==
S: 334 eyJzdGF0dXMiOiI0MDAifQ==
C: 
S: 535 no
C: R2VoZWltK1dvcnQvNDI=
S: 500 what?
`, []string{"dXNlcj1hZGE", "eyJzdGF0dXMi", "R2VoZWltK1dvcnQvNDI"}, `
S: 220 mx ESMTP
C: AUTH XOAUTH2 ••••
S: 334 ••••
C:
S: 535 no
C: ••••
S: 500 what?
`},
	{"smtp data refused", "smtp", `
S: 220 mx ESMTP
C: DATA
C: AUTH PLAIN AGFkYQBHZWhlaW0rV29ydC80Mg==
C: R2VoZWltK1dvcnQvNDI=
S: 503 no recipients
S: 535 no
`, []string{"AGFkYQBHZWhlaW0", "R2VoZWltK1dvcnQvNDI"}, `
S: 220 mx ESMTP
C: DATA
S: 503 no recipients
# (63 octets left out)
S: 535 no
`},
	{"smtp login in a body", "smtp", `
S: 220 mx ESMTP
C: DATA
S: 354 go
C: one
C: AUTH PLAIN AGFkYQBHZWhlaW0rV29ydC80Mg==
C: two
C: .
S: 250 ok
`, []string{"AGFkYQBHZWhlaW0"}, `
S: 220 mx ESMTP
C: DATA
S: 354 go
C: one
C: two
# (41 octets left out)
C: .
S: 250 ok
`},
	{"relay plain, and a server that tells", "relay", `
S: 220 smart ESMTP
C: EHLO us
S: 250-smart
S: 250 AUTH PLAIN
C: AUTH PLAIN AGFkYS1sb3ZlbGFjZQBHZWhlaW0rV29ydC80Mg==
S: 235 hello ada-lovelace, with Geheim+Wort/42
C: MAIL FROM:<bob@x>
C: RCPT TO:<eve@y>
S: 250 Geheim+Wort/42 or R2VoZWltK1dvcnQvNDI= or AGFkYS1sb3ZlbGFjZQBHZWhlaW0rV29ydC80Mg==
S: 550 no
`, []string{"ada-lovelace", "R2VoZWltK1dvcnQvNDI", "AGFkYS1sb3ZlbGFjZQ"}, `
S: 220 smart ESMTP
C: EHLO us
S: 250-smart
S: 250 AUTH PLAIN
C: AUTH PLAIN ••••
S: 235 hello ••••, with ••••
C: MAIL FROM:<bob@x>
C: RCPT TO:<eve@y>
S: 250 •••• or •••• or ••••
S: 550 no
`},
	{"relay login, after a refusal", "relay", `
S: 220 smart ESMTP
C: EHLO us
S: 250 AUTH LOGIN
C: AUTH PLAIN
S: 334 
C: AGFkYS1sb3ZlbGFjZQBHZWhlaW0rV29ydC80Mg==
S: 504 no
C: AUTH LOGIN YWRhLWxvdmVsYWNl
S: 334 UGFzc3dvcmQ6
C: R2VoZWltK1dvcnQvNDI=
S: 334 YW5vdGhlciBvbmU=
C: *
S: 501 Geheim+Wort/42 was not it
C: QUIT
S: 221 bye ada-lovelace
`, []string{"ada-lovelace", "YWRhLWxvdmVsYWNl", "R2VoZWltK1dvcnQvNDI", "AGFkYS1sb3ZlbGFjZQ"}, `
S: 220 smart ESMTP
C: EHLO us
S: 250 AUTH LOGIN
C: AUTH PLAIN
S: 334\x20
C: ••••
S: 504 no
C: AUTH LOGIN ••••
S: 334 UGFzc3dvcmQ6
C: ••••
S: 334 ••••
C: *
S: 501 •••• was not it
C: QUIT
S: 221 bye ••••
`},
	{"imap login", "imap", `
S: * OK ready
C: 1 LOGIN ada Geheim+Wort/42
S: 1 NO wrong
C: 2 lOgIn "ada \" love" "Geheim+Wort/42"
S: 2 NO "Geheim+Wort/42" is wrong
C: 3 LOGIN Geheim+Wort/42
S: 3 BAD what?
C: 4 LOGIN "ada"Geheim+Wort/42
S: 4 BAD what?
C: 5  LOGIN  ada  Geheim+Wort/42
S: 5 BAD what?
C: LOGIN ada Geheim+Wort/42
S: LOGIN BAD what?
`, nil, `
S: * OK ready
C: 1 LOGIN ada ••••
S: 1 NO wrong
C: 2 lOgIn "ada \" love" ••••
S: 2 NO "••••" is wrong
C: 3 LOGIN ••••
S: 3 BAD what?
C: 4 LOGIN ••••
S: 4 BAD what?
C: 5 LOGIN ada ••••
S: 5 BAD what?
C: ••••
S: LOGIN BAD what?
`},
	{"imap login with literals", "imap", `
S: * OK ready
C: 1 LOGIN {3}
S: + go on
C: ada {14}
S: + go on
C: Geheim+Wort/42
S: 1 NO wrong
C: 2 LOGIN {3+}
C: ada {14+}
C: Geheim+Wort/42
S: 2 NO wrong
C: 3 LOGIN ada {14+}
C: Geheim+Wort/42
C: 4 LOGIN {3+}
C: ada "Geheim+Wort/42"
C: 5 LOGIN ada ~{14}
S: 3 NO wrong
S: 4 NO wrong
S: 5 BAD too long
C: 6 NOOP
S: 6 OK
`, nil, `
S: * OK ready
C: 1 LOGIN {3}
S: + go on
C: ••••\c
C: {14}
S: + go on
C: ••••\c
C:
S: 1 NO wrong
C: 2 LOGIN {3+}
C: ••••\c
C: {14+}
C: ••••\c
C:
S: 2 NO wrong
C: 3 LOGIN ada {14+}
C: ••••\c
C:
C: 4 LOGIN {3+}
C: ••••\c
C: ••••
C: 5 LOGIN ada ••••{14}
S: 3 NO wrong
S: 4 NO wrong
S: 5 BAD too long
C: 6 NOOP
S: 6 OK
`},
	{"imap authenticate", "imap", `
S: * OK ready
C: 1 AUTHENTICATE PLAIN AGFkYQBHZWhlaW0rV29ydC80Mg==
S: 1 NO wrong
C: 2 authenticate plain
S: + 
C: AGFkYQBHZWhlaW0rV29ydC80Mg==
S: * 2 EXISTS
S: 2 NO wrong
C: 3 NOOP
C: 4 AUTHENTICATE LOGIN
S: 3 OK
S: + VXNlcm5hbWU6
C: YWRhLWxvdmVsYWNl
S: + UGFzc3dvcmQ6
C: R2VoZWltK1dvcnQvNDI=
S: 4 OK
C: 5 SELECT INBOX
S: 5 OK
`, []string{"AGFkYQBHZWhlaW0", "YWRhLWxvdmVsYWNl", "R2VoZWltK1dvcnQvNDI"}, `
S: * OK ready
C: 1 AUTHENTICATE PLAIN ••••
S: 1 NO wrong
C: 2 authenticate plain
S: +\x20
C: ••••
S: * 2 EXISTS
S: 2 NO wrong
C: 3 NOOP
C: 4 AUTHENTICATE LOGIN
S: 3 OK
S: + VXNlcm5hbWU6
C: ••••
S: + UGFzc3dvcmQ6
C: ••••
S: 4 OK
C: 5 SELECT INBOX
S: 5 OK
`},
	{"imap scram", "imap", `
S: * OK ready
C: a AUTHENTICATE SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWRh
S: + cj1jbGllbnRzZXJ2ZXI=
C: Yz1iaXdzLHI9cHJvb2Y=
S: + dj1zaWduYXR1cmU=
C: 
S: a OK done
`, []string{"cD10bHMtZXhwb3J0", "cj1jbGllbnRzZXJ2ZXI", "Yz1iaXdzLHI9cHJvb2Y", "dj1zaWduYXR1cmU"}, `
S: * OK ready
C: a AUTHENTICATE SCRAM-SHA-256-PLUS ••••
S: + ••••
C: ••••
S: + ••••
C:
S: a OK done
`},
	{"imap literal refused", "imap", `
S: * OK ready
C: 1 APPEND INBOX {500}
S: 1 NO too big
C: 2 LOGIN ada Geheim+Wort/42
S: 2 OK
C: 3 APPEND INBOX {500}
C: 4 LOGIN ada {14+}
C: Geheim+Wort/42
S: 3 NO too big
C: Geheim+Wort/42
C: Geheim+Wort/42 SELECT Geheim+Wort/42
`, nil, `
S: * OK ready
C: 1 APPEND INBOX {500}
S: 1 NO too big
C: 2 LOGIN ada ••••
S: 2 OK
C: 3 APPEND INBOX {500}
S: 3 NO too big
# (the tap lost step here)
`},
	{"imap login in a literal", "imap", `
S: * OK ready
C: 1 SELECT foo{500+}
C: 2 LOGIN ada Geheim+Wort/42
S: 1 BAD what?
C: Geheim+Wort/42
`, nil, `
S: * OK ready
C: 1 SELECT foo{500+}
S: 1 BAD what?
# (28 octets left out)
# (the tap lost step here)
`},
}

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
