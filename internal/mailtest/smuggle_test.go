package mailtest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/mailtest"
)

// bareEnd finds a CR or an LF that is not part of a CRLF.
var bareEnd = regexp.MustCompile(`\r[^\n]|\r$|[^\r]\n|^\n`)

// TestNothingIsSmuggled tries each spelling of an end of data that some server
// has taken for one, over DATA, BDAT and APPEND. The whole message is refused,
// the session goes on, and neither POP3 nor IMAP shows any of it. A line end
// that is only sloppy becomes a real one, and no bare one leaves us.
func TestNothingIsSmuggled(t *testing.T) {
	s := mailtest.Start(t)
	s.AddUser(t, "ada@example.test", "secret")
	imap := newPeer(t, s.IMAP)
	imap.imap("LOGIN ada@example.test secret")
	var smtp *peer
	envelope := func() {
		t.Helper()
		smtp.ask("MAIL FROM:<a@example.org>\r\n", "250")
		smtp.ask("RCPT TO:<ada@example.test>\r\n", "250")
	}
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\n.\r", "\r.\n", "\r.\r", "\r.\r\n", "\r\n.\r",
		"\n\n.\n", "\n\n.\r\n", "\r\r.\r\r", "\r\n.\r\r\n", "\r\r\n.\r\r\n",
		"\r\n\r.\r\n", "\n\r.\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\n\r\n", "\n.\x00\n",
	} {
		raw := "Subject: outer\r\n\r\nbefore" + end +
			"MAIL FROM:<m@far.test>\r\nRCPT TO:<ada@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nafter\r\n"
		smtp = newPeer(t, s.SMTP) // which bears with twenty refusals
		smtp.ask("EHLO client.example.org\r\n", "250")
		envelope()
		smtp.ask("DATA\r\n", "354")
		smtp.ask(raw+".\r\n", "550 5.6.0")
		envelope()
		smtp.ask(fmt.Sprintf("BDAT %d LAST\r\n%s", len(raw), raw), "550 5.6.0")
		imap.ask(fmt.Sprintf("x APPEND INBOX {%d+}\r\n%s\r\n", len(raw), raw), "x NO [CANNOT]")
	}
	const sloppy = "Subject: sloppy\n\nbefore\nMAIL FROM:<m@far.test>\n\n..\n.after\n"
	envelope()
	smtp.ask("DATA\r\n", "354")
	smtp.ask(sloppy+"\r\n.\r\n", "250")
	envelope()
	smtp.ask(fmt.Sprintf("BDAT %d LAST\r\n%s", len(sloppy), sloppy), "250")

	pop := newPeer(t, s.POP3)
	pop.ask("USER ada@example.test\r\n", "+OK")
	pop.ask("PASS secret\r\n", "+OK")
	pop.ask("STAT\r\n", "+OK 2 ")
	imap.imap("SELECT INBOX")
	for i := range 2 {
		got := pop.retr(i + 1)
		if want := strings.ReplaceAll(sloppy, "\n", "\r\n"); !strings.Contains(got, want) || bareEnd.MatchString(got) {
			t.Errorf("POP3 gives %q, want %q", got, want)
		}
		if r := imap.imap(fmt.Sprintf("FETCH %d BODY.PEEK[]", i+1)); len(r) != 1 || !strings.Contains(r[0], got) {
			t.Errorf("IMAP gives %q", r)
		}
	}
}
