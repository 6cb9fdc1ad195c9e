package smtpd

import (
	"bytes"
	"fmt"
)

// phrases are replies of the library, by how they begin, and what we say
// instead: the codes of the RFCs, and words that explain the protocol to
// whoever reads a conversation.
var phrases = []struct{ theirs, ours string }{
	{"250 2.0.0 Roger, accepting", "250 2.1.0 OK"},
	{"250 2.0.0 I'll make sure", "250 2.1.5 OK"},
	{"250 2.0.0 I have successfully", "250 2.0.0 OK"},
	{"250 2.0.0 Session reset", "250 2.0.0 OK"},
	{"235 2.0.0 ", "235 2.7.0 Authentication succeeded"}, // RFC 4954 §6
	{"354 ", "354 Send the message, end it with <CRLF>.<CRLF>"},
	{"500 5.5.1 Too many errors", line(errPatience)},
	{"501 5.5.2 Bad command", "500 5.5.2 Command not recognised"}, // RFC 5321 §4.2.4
	{"500 5.5.2 Syntax errors", "500 5.5.2 Command not recognised"},
	{"500 5.5.2 Error: bad syntax", "500 5.5.2 Command not recognised"},
	{"501 5.0.0 Negotiation cancelled", "501 5.7.0 Authentication cancelled"},
	{"501 5.5.2 Was expecting MAIL", "501 5.5.4 Want MAIL FROM:<address>"},
	{"501 5.5.2 Was expecting RCPT", "501 5.5.4 Want RCPT TO:<address>"},
	{"500 5.5.4 Unknown MAIL FROM argument", "555 5.5.4 Parameter not recognised"}, // RFC 5321 §4.1.1.11
	{"500 5.5.4 Unknown RCPT TO argument", "555 5.5.4 Parameter not recognised"},
	{"502 5.5.1 Please introduce yourself", "503 5.5.1 EHLO comes first"}, // RFC 5321 §4.1.4
	{"502 5.5.1 Missing MAIL FROM", "503 5.5.1 MAIL comes first"},
	{"502 5.5.1 Missing RCPT TO", "503 5.5.1 RCPT comes first"},
	{"523 5.7.10 TLS is required", "538 5.7.11 TLS comes first"}, // RFC 4954 §6
	{"552 5.3.4 ", line(errTooLarge)},                            // to the SIZE of MAIL
}

// rephrase gives a line of the library in our words. The first word after
// EHLO is the server's name (RFC 5321 §4.1.1.1). The library offers REQUIRETLS
// to transports that it knows to be TLS; only conn knows whether they are, and
// who can be told of their mail.
func (c *conn) rephrase(b []byte) []byte {
	for _, separator := range []string{"-", " 2.0.0 "} {
		if bytes.HasPrefix(b, []byte("250"+separator+"Hello ")) {
			return fmt.Appendf(nil, "250%c%s\r\n", separator[0], c.server.config.Hostname)
		}
	}
	if bytes.HasPrefix(b, []byte("250-SMTPUTF8")) && c.isSecure() {
		return append(b[:len(b):len(b)], "250-REQUIRETLS\r\n"...)
	}
	if bytes.HasPrefix(b, []byte("250-DSN")) && !c.offersDSN() {
		return nil
	}
	for _, p := range phrases {
		if bytes.HasPrefix(b, []byte(p.theirs)) {
			return append(bytes.TrimRight([]byte(p.ours), "\r\n"), '\r', '\n')
		}
	}
	return b
}
