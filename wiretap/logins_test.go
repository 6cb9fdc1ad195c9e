package wiretap

import ()

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
