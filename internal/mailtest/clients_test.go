package mailtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// dialTimeout also bounds every conversation of a test client.
const dialTimeout = 30 * time.Second

// lineClient speaks SMTP and POP3 a line at a time.
type lineClient struct{ *textproto.Conn }

func dial(address, ready string) (*lineClient, error) {
	c, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	l := &lineClient{textproto.NewConn(c)}
	if err := l.expect(ready); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// errReply is an answer that was read and was not the wished one.
var errReply = errors.New("unexpected reply")

// expect reads a reply, of several lines in SMTP, that begins with prefix.
func (l *lineClient) expect(prefix string) error {
	for {
		line, err := l.Reader.ReadLine()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, prefix) {
			return fmt.Errorf("%w: %q", errReply, line)
		}
		if len(line) < 4 || line[3] != '-' || prefix == "+OK" {
			return nil
		}
	}
}

func (l *lineClient) ask(prefix, format string, args ...any) error {
	if err := l.PrintfLine(format, args...); err != nil {
		return err
	}
	return l.expect(prefix)
}

// send hands one mail over. acked is true after the 250 and, with an error,
// unsure is true when the mail may have been accepted.
func (l *lineClient) send(to, body string) (acked, unsure bool, err error) {
	return l.sendAs("sender@example.org", "<"+to+">", body)
}

// sendAs is send with a sender, and with parameters to RCPT.
func (l *lineClient) sendAs(from, to, body string) (acked, unsure bool, err error) {
	for _, step := range [][2]string{{"250", "MAIL FROM:<" + from + ">"}, {"250", "RCPT TO:" + to}, {"354", "DATA"}} {
		if err := l.ask(step[0], "%s", step[1]); err != nil {
			return false, false, err
		}
	}
	w := l.DotWriter()
	if _, err := io.WriteString(w, body); err != nil {
		return false, true, err
	}
	if err := w.Close(); err != nil {
		return false, true, err
	}
	if err := l.expect("250"); err != nil {
		return false, !errors.Is(err, errReply), err
	}
	return true, false, nil
}

func dialSMTP(address string) (*lineClient, error) {
	l, err := dial(address, "220")
	if err != nil {
		return nil, err
	}
	if err := l.ask("250", "EHLO client.example.org"); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func dialPOP3(address, user, password string) (*lineClient, error) {
	l, err := dial(address, "+OK")
	if err != nil {
		return nil, err
	}
	if err = l.ask("+OK", "USER %s", user); err == nil {
		err = l.ask("+OK", "PASS %s", password)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// subjects downloads the whole maildrop and gives the Subject of each number.
func (l *lineClient) subjects() ([]string, error) {
	if err := l.ask("+OK", "UIDL"); err != nil {
		return nil, err
	}
	lines, err := l.ReadDotLines()
	if err != nil {
		return nil, err
	}
	all := make([]string, len(lines))
	for i := range all {
		if err := l.ask("+OK", "RETR %d", i+1); err != nil {
			return nil, err
		}
		r := bufio.NewReader(l.DotReader())
		h, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return nil, err
		}
		all[i] = h.Get("Subject")
	}
	return all, nil
}
