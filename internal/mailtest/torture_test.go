package mailtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/mailtest"
)

// patience is how long any answer may take, whatever the message.
const patience = 10 * time.Second

// peer is a client that counts octets, and waits for no answer longer than
// patience.
type peer struct {
	tb testing.TB
	c  net.Conn
	in *bufio.Reader
	n  int
}

func newPeer(tb testing.TB, address string) *peer {
	tb.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	p := &peer{tb: tb, c: c, in: bufio.NewReaderSize(c, 64<<10)}
	p.line()
	return p
}

func (p *peer) send(text string) {
	p.tb.Helper()
	p.c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.c, text); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *peer) line() string {
	p.tb.Helper()
	p.c.SetDeadline(time.Now().Add(patience))
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.tb.Fatalf("%v after %.200q", err, line)
	}
	return line
}

func (p *peer) octets(n int) string {
	p.tb.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(p.in, b); err != nil {
		p.tb.Fatal(err)
	}
	return string(b)
}

// ask wants an answer of one line, or an SMTP answer of several, that begins
// with prefix.
func (p *peer) ask(text, prefix string) string {
	p.tb.Helper()
	p.send(text)
	for {
		line := p.line()
		if !strings.HasPrefix(line, prefix) {
			p.tb.Fatalf("%.80q: got %q", text, line)
		}
		if len(line) < 4 || line[3] != '-' || prefix[0] == '+' {
			return line
		}
	}
}

// retr gives a message as POP3 does.
func (p *peer) retr(n int) string {
	p.tb.Helper()
	p.ask(fmt.Sprintf("RETR %d\r\n", n), "+OK")
	var b strings.Builder
	for {
		switch line := p.line(); {
		case line == ".\r\n":
			return b.String()
		default:
			b.WriteString(strings.TrimPrefix(line, "."))
		}
	}
}

// imap runs a command that must be OK, and returns its untagged responses
// with the literals in them.
func (p *peer) imap(command string) []string {
	p.tb.Helper()
	p.n++
	tag := fmt.Sprintf("t%d ", p.n)
	p.send(tag + command + "\r\n")
	var all []string
	for {
		response := p.line()
		for tail := response; ; {
			n, ok := literal(tail)
			if !ok {
				break
			}
			response += p.octets(n)
			tail = p.line()
			response += tail
		}
		if strings.HasPrefix(response, tag) {
			if !strings.HasPrefix(response, tag+"OK ") {
				p.tb.Fatalf("%.80q: %s", command, response)
			}
			return all
		}
		all = append(all, response)
	}
}

func literal(line string) (n int, ok bool) {
	s, ok := strings.CutSuffix(line, "}\r\n")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s[strings.LastIndexByte(s, '{')+1:])
	return n, err == nil
}

func stuffed(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n.."), "\r\n")
}

// TestHorrorsComeBack sends what mail programs die of through SMTP, half of it
// in chunks, and reads it by POP3 and IMAP: the octets are the same, no session
// ends, no answer takes long, and what IMAP says of a message can be parsed.
func TestHorrorsComeBack(t *testing.T) {
	s := mailtest.Start(t)
	s.AddUser(t, "ada@example.test", "secret")
	all := horrors(600)

	smtp := newPeer(t, s.SMTP)
	smtp.ask("EHLO client.example.org\r\n", "250")
	for i, h := range all {
		smtp.ask("MAIL FROM:<a@example.org>\r\n", "250")
		smtp.ask("RCPT TO:<ada@example.test>\r\n", "250")
		if i%2 == 0 {
			smtp.ask("DATA\r\n", "354")
			smtp.ask(stuffed(h.raw)+".\r\n", "250")
		} else {
			smtp.ask(fmt.Sprintf("BDAT %d LAST\r\n%s", len(h.raw), h.raw), "250")
		}
	}

	pop := newPeer(t, s.POP3)
	pop.ask("USER ada@example.test\r\n", "+OK")
	pop.ask("PASS secret\r\n", "+OK")
	imap := newPeer(t, s.IMAP)
	imap.imap("LOGIN ada@example.test secret")
	imap.imap("SELECT INBOX")
	for i, h := range all {
		got := pop.retr(i + 1)
		trace, ok := strings.CutSuffix(got, h.raw)
		if strings.HasPrefix(h.raw, " ") || strings.HasPrefix(h.raw, "\t") { // it must not continue the trace
			trace, ok = strings.CutSuffix(trace, "X-Orphaned-Line:\r\n")
		}
		if !ok || !strings.HasPrefix(trace, "Return-Path: <a@example.org>\r\nReceived: from ") || len(trace) > 400 || !strings.HasSuffix(trace, " +0000\r\n") {
			t.Errorf("%s: %d octets came back as %d, after %.500q", h.name, len(h.raw), len(got), trace)
		}
		size := fmt.Sprintf("RFC822.SIZE %d ", len(got))
		body := fmt.Sprintf("* %d FETCH (BODY[] {%d}\r\n%s)\r\n", i+1, len(got), got)
		if r := imap.imap(fmt.Sprintf("FETCH %d BODY.PEEK[]", i+1)); len(r) != 1 || r[0] != body {
			t.Errorf("%s: POP3 and IMAP differ", h.name)
		}
		r := imap.imap(fmt.Sprintf("FETCH %d (ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE)", i+1))
		if len(r) != 1 || !strings.Contains(r[0], size) {
			t.Errorf("%s: %d responses, %.200q", h.name, len(r), r)
			continue
		}
		if err := checkFetch(r[0], false); err != nil {
			t.Errorf("%s: %v in %.500q", h.name, err, r[0])
		}
	}
	for _, search := range []string{
		"TEXT xyzzy", "BODY deep", "SUBJECT x", "FROM example", "TO \"a@\"", "HEADER Message-ID \"\"", "SENTSINCE 1-Jan-2000", "LARGER 1000000",
		"CHARSET UTF-8 TEXT {6+}\r\n会議", "NOT BODY text",
	} {
		if r := imap.imap("SEARCH " + search); len(r) != 1 || !strings.HasPrefix(r[0], "* SEARCH") {
			t.Errorf("%s: %.200q", search, r)
		}
	}
	imap.imap("ENABLE IMAP4rev2")
	for i, h := range all {
		r := imap.imap(fmt.Sprintf("FETCH %d (ENVELOPE BODYSTRUCTURE)", i+1))
		if err := checkFetch(strings.Join(r, ""), true); err != nil {
			t.Errorf("%s in IMAP4rev2: %v in %.500q", h.name, err, r)
		}
	}
	pop.ask("QUIT\r\n", "+OK")
	smtp.ask("QUIT\r\n", "221")
}
