package mailtest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/mailtest"
)

// TestNoPasswordIsLogged gives a password in each way that there is to give
// one, right or wrong or in the wrong place, and looks for it in a log that
// leaves nothing out.
func TestNoPasswordIsLogged(t *testing.T) {
	var log bytes.Buffer // read when all have stopped
	s, err := mailtest.New(t.Context(), t.TempDir(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	const user = "ada@example.test"
	encode := base64.StdEncoding.EncodeToString
	passwords := []string{"Right-and-unique", "Wrong-and-unique"}
	s.AddUser(t, user, passwords[0])
	for _, password := range passwords {
		plain := encode([]byte("\x00" + user + "\x00" + password))
		for _, talk := range []struct{ address, says string }{
			{s.Submission, "EHLO x\nAUTH PLAIN " + plain},
			{s.Submission, "EHLO x\nAUTH PLAIN\n" + plain},
			{s.Submission, "EHLO x\nAUTH LOGIN\n" + encode([]byte(user)) + "\n" + encode([]byte(password))},
			{s.Submission, "EHLO x\nAUTH LOGIN " + encode([]byte(user)) + "\n" + encode([]byte(password))},
			{s.SMTP, "EHLO x\nAUTH PLAIN " + plain},
			{s.POP3, "USER " + user + "\nPASS " + password},
			{s.POP3, "PASS " + password},
			{s.POP3, "AUTH PLAIN " + plain},
			{s.POP3, "AUTH LOGIN\n" + encode([]byte(user)) + "\n" + encode([]byte(password))},
			{s.IMAP, "a LOGIN " + user + " " + password},
			{s.IMAP, "a LOGIN \"" + user + "\" \"" + password + "\" too much"},
			{s.IMAP, fmt.Sprintf("a LOGIN %s {%d+}\n%s", user, len(password), password)},
			{s.IMAP, "a AUTHENTICATE PLAIN " + plain},
			{s.IMAP, "LOGIN " + user + " " + password},
		} {
			p := newPeer(t, talk.address)
			p.send(strings.ReplaceAll(talk.says, "\n", "\r\n") + "\r\nz NOOP\r\nz LOGOUT\r\nQUIT\r\n")
			for {
				if _, err := p.in.ReadString('\n'); err != nil {
					break
				}
			}
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	text := log.String()
	if n := strings.Count(text, user); n < 10 {
		t.Errorf("the log names the user %d times only: the test proves nothing\n%s", n, text)
	}
	for _, password := range passwords {
		for _, form := range []string{password, encode([]byte(password)), encode([]byte("\x00" + user + "\x00" + password))} {
			if strings.Contains(text, form) {
				t.Errorf("%q is in the log", form)
			}
		}
	}
}
