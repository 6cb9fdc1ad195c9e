package smtpd

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

func TestDeliveredMailHasTrace(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	h.user("bea@example.test", "secret")
	c := h.client()
	const sent = "Subject: hello\r\n\r\n.dot\r\n..\r\nlast"
	reply := c.mail(strings.ReplaceAll(sent, "\r\n.", "\r\n.."), "250 2.0.0 OK ", "ada+x@example.test")
	id := strings.TrimSpace(strings.TrimPrefix(reply, "250 2.0.0 OK "))
	c.mail("Subject: two\r\n\r\n", "250", "ada@example.test", "bea@example.test")

	got := h.inbox("ada@example.test")
	if len(got) != 2 {
		t.Fatalf("%d messages", len(got))
	}
	head := "Return-Path: <bob@far.test>\r\nReceived: from client.example.test ([127.0.0.1])\r\n" +
		"\tby mx.example.test with ESMTP\r\n\tid " + id + "\r\n\tfor <ada+x@example.test>;\r\n\tSun, 1 Mar 2026 12:00:00 +0000\r\n"
	if want := head + sent + "\r\n"; got[0] != want {
		t.Errorf("got  %q\nwant %q", got[0], want)
	}
	if strings.Contains(got[1], "for <") {
		t.Errorf("one recipient is told of another: %q", got[1])
	}
	if bea := h.inbox("bea@example.test"); len(bea) != 1 || bea[0] != got[1] {
		t.Errorf("the copies differ: %q", bea)
	}
}

// Every way in which one message has been made to look like two, over DATA
// and over BDAT: the whole is refused, and the next command is the next.
func TestSmuggling(t *testing.T) {
	sequences := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\n.\r", "\r.\n", "\r.\r", "\r.\r\n", "\r\n.\r",
		"\n\n.\n", "\n\n.\r\n", "\r\r.\r\r", "\r\n.\r\r\n", "\r\r\n.\r\r\n",
		"\r\n\r.\r\n", "\n\r.\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\n\r\n", "\n.\x00\n",
	}
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	for _, sequence := range sequences {
		message := "Subject: outer\r\n\r\nbefore" + sequence +
			"MAIL FROM:<mallory@far.test>\r\nRCPT TO:<ada@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nafter"
		c := h.client()
		c.mail(message, "550 5.6.0", "ada@example.test")
		c.do("NOOP", "250 2.0.0 OK\r\n")
		c.do("MAIL FROM:<bob@far.test>", "250")
		c.do("RCPT TO:<ada@example.test>", "250")
		c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(message), message))
		c.want("550 5.6.0")
		c.do("QUIT", "221")
		c.wantEnd()
		if got := h.inbox("ada@example.test"); len(got) != 0 {
			t.Fatalf("%q: stored %q", sequence, got)
		}
	}
	c := h.client()
	message := "Subject: whole\r\n\r\nbefore\r\n.\r\nMAIL FROM:<mallory@far.test>\r\n"
	c.do("MAIL FROM:<bob@far.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(message), message))
	c.want("250")
	if got := h.inbox("ada@example.test"); len(got) != 1 || !strings.HasSuffix(got[0], message) {
		t.Errorf("stored %q", got)
	}
}

// A message ends at CRLF "." CRLF wherever it is, however it is cut into
// packets, and the octets around a refused end do not hide it.
func TestMessageEndsAtItsEnd(t *testing.T) {
	tests := []struct{ sent, want string }{
		{".\r\n", ""},
		{"\r\n.\r\n", "\r\n"},
		{"a\r\n.\r\n", "a\r\n"},
		{"..\r\n...\r\n.a\r\n.\r\n", ".\r\n..\r\na\r\n"},
		{"a\n..b\r\n.\r\n", "a\n..b\r\n"},
		{"a\r\n.\n.\r\n.\r\n", "a\r\n.\n.\r\n"},
		{"a\r\n.\r\r\n.\r\n", "a\r\n.\r\r\n"},
		{"a\r\n.\rb\r\n.\r\n", "a\r\n.\rb\r\n"},
		{"a.\r\n.\r\n", "a.\r\n"},
		{strings.Repeat("x", 2*maxAuth-1) + "\r\n.\r\n", strings.Repeat("x", 2*maxAuth-1) + "\r\n"},
		{strings.Repeat("x", maxAuth) + ".\r\n.\r\n", strings.Repeat("x", maxAuth) + ".\r\n"},
		{strings.Repeat("x", maxAuth-1) + "\r\n.\r\n", strings.Repeat("x", maxAuth-1) + "\r\n"},
	}
	for _, test := range tests {
		const next = "QUIT\r\n"
		for name, cut := range map[string]func(io.Reader) io.Reader{"whole": same, "octets": iotest.OneByteReader, "halves": iotest.HalfReader} {
			c := newConn(New(Config{}), readOnly{cut(strings.NewReader(test.sent + next))})
			got, err := io.ReadAll(c.message())
			if err != nil || string(got) != test.want {
				t.Errorf("%s %.40q: got %.40q, %v", name, test.sent, got, err)
			}
			if rest, err := io.ReadAll(c.in); string(rest) != next {
				t.Errorf("%s %.40q: then %.40q, %v", name, test.sent, rest, err)
			}
		}
	}
}

func same(r io.Reader) io.Reader { return r }

// readOnly is a connection to read from.
type readOnly struct{ io.Reader }

func (readOnly) Write(b []byte) (int, error)      { return len(b), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (readOnly) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }

func TestLoop(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	c := h.client()
	hop := "received: from a by b;\r\n\tSun, 1 Mar 2026 12:00:00 +0000\r\n"
	filler := "X-Filler: " + strings.Repeat("x", 900) + "\r\n"
	c.mail(strings.Repeat(hop+filler, 100)+"\r\nbody", "554 5.4.6", "ada@example.test")
	c.mail(strings.Repeat(hop+filler, 99)+"\r\n"+strings.Repeat(hop, 9), "250", "ada@example.test")
}

func TestTextLineLength(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	c := h.client()
	longest := "Subject: long\r\n\r\n" + strings.Repeat("x", message.MaxLine)
	c.mail(longest, "250", "ada@example.test")
	c.mail(longest+"x", "554 5.6.0", "ada@example.test")
	if got := h.inbox("ada@example.test"); len(got) != 1 || !strings.HasSuffix(got[0], longest+"\r\n") {
		t.Error("the longest line is not whole")
	}
}

func TestSubmissionAddsWhatIsMissing(t *testing.T) {
	h := newHouse(t)
	h.config.Role = Submission
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
	send := func(m string) string {
		c.do("MAIL FROM:<ada@example.test>", "250")
		c.do("RCPT TO:<ada@example.test>", "250")
		c.do("DATA", "354")
		c.send(m + "\r\n.\r\n")
		c.want("250")
		all := h.inbox("ada@example.test")
		return all[len(all)-1]
	}
	got := send("From: ada@example.test\r\n\r\nhello")
	if !strings.Contains(got, "\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\nMessage-ID: <") || !strings.Contains(got, "with ESMTPA\r\n") {
		t.Errorf("got %q", got)
	}
	got = send("From: ada@example.test\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\nhello")
	if n := strings.Count(got, "Date:") + strings.Count(got, "Message-ID:"); n != 2 {
		t.Errorf("got %q", got)
	}
	outside := newHouse(t)
	outside.user("ada@example.test", "secret")
	outside.client().mail("From: bob@far.test\r\n\r\nhello", "250", "ada@example.test")
	if got := outside.inbox("ada@example.test"); strings.Contains(got[0], "Date:") {
		t.Errorf("somebody else's mail was changed: %q", got)
	}
}

// A client that goes away in the middle of a message has sent none.
func TestBrokenOffMessages(t *testing.T) {
	for name, tail := range map[string]string{
		"in DATA":              "DATA\r\nSubject: half\r\n\r\nhal",
		"before the dot":       "DATA\r\nSubject: half\r\n\r\nhalf\r\n",
		"within the dot":       "DATA\r\nSubject: half\r\n\r\nhalf\r\n.\r",
		"in BDAT":              "BDAT 100\r\nSubject: half\r\n\r\n",
		"in BDAT LAST":         "BDAT 100 LAST\r\nSubject: half\r\n\r\n",
		"after BDAT":           "BDAT 4\r\nhalf",
		"after BDAT, QUIT":     "BDAT 4\r\nhalfQUIT\r\n",
		"in an unasked chunk":  "RSET\r\nBDAT 100 LAST\r\nhalf",
		"in a refused chunk":   "BDAT 100 MORE\r\nhalf",
		"within a command":     "NOO",
		"within the last line": "BDAT 4\r\nhalf\r\nBDAT 0 LAST",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.user("ada@example.test", "secret")
			c := h.client()
			c.do("MAIL FROM:<bob@far.test>", "250")
			c.do("RCPT TO:<ada@example.test>", "250")
			c.send(tail)
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			for { // until the server has ended the session
				if _, err := c.reply(); err != nil {
					break
				}
			}
			if got := h.inbox("ada@example.test"); len(got) != 0 {
				t.Errorf("stored %q", got)
			}
		})
	}
}

func TestSlowClients(t *testing.T) {
	for name, tail := range map[string]string{
		"DATA":          "DATA\r\nSubject: slow\r\n\r\n",
		"BDAT":          "BDAT 100\r\nSubject: slow\r\n\r\n",
		"refused chunk": "BDAT 100 MORE\r\nSubject: slow\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.config.DataTimeout = 50 * time.Millisecond
			h.user("ada@example.test", "secret")
			c := h.client()
			c.do("MAIL FROM:<bob@far.test>", "250")
			c.do("RCPT TO:<ada@example.test>", "250")
			c.send(tail)
			if r, _ := c.reply(); !strings.HasPrefix(r, "421") {
				if r, _ = c.reply(); !strings.HasPrefix(r, "421 4.4.2") { // after 354 or 501
					t.Errorf("got %q", r)
				}
			}
			c.wantEnd()
			if got := h.inbox("ada@example.test"); len(got) != 0 {
				t.Errorf("stored %q", got)
			}
		})
	}
	t.Run("command", func(t *testing.T) {
		h := newHouse(t)
		h.config.CommandTimeout = 50 * time.Millisecond
		c := h.raw(h.open())
		c.want("220")
		c.send("NOO")
		c.want("421 4.4.2")
		c.wantEnd()
	})
}

func TestBudget(t *testing.T) {
	b := &budget{start: time.Now().Add(-time.Hour), silence: time.Minute, rate: 100}
	if d := time.Until(b.deadline()); d > -58*time.Minute {
		t.Errorf("an hour for nothing: %v left", d)
	}
	b.octets = 100 * 3600 // what an hour needs
	if d := time.Until(b.deadline()); d < 58*time.Second || d > time.Minute {
		t.Errorf("at the least rate %v are left, want the minute", d)
	}
	b.octets *= 100
	if d := time.Until(b.deadline()); d > time.Minute {
		t.Errorf("a fast client may be silent for %v", d)
	}
}

func TestOversizedMessageIsNotReadForEver(t *testing.T) {
	h := newHouse(t)
	h.config.MaxSize = 1000
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("MAIL FROM:<bob@far.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	c.send(strings.Repeat("0123456789\r\n", 200))
	c.want("552 5.3.4")
	c.wantEnd()
}

func TestHeaderBlock(t *testing.T) {
	const text = "Received: a\r\n b\r\nReceived : c\r\nX-Received: d\r\nReceivedx: e\r\nRECEIVED:f\r\n\r\nReceived: g\r\n"
	for size := 1; size <= len(text); size++ {
		var h headerBlock
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			h.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if h.received != 3 || string(h.octets) != text[:strings.Index(text, "Received: g")] || h.cut {
			t.Fatalf("in pieces of %d: %d received, %q", size, h.received, h.octets)
		}
	}
	var h headerBlock
	h.Write([]byte("A: " + strings.Repeat("x", message.MaxHeader) + "\r\n\r\n"))
	if !h.cut || len(h.octets) != message.MaxHeader {
		t.Errorf("cut %v, %d octets", h.cut, len(h.octets))
	}
}
