package pop3d

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
)

// FuzzLine feeds a session whatever it likes, before and after login. No line
// may cost more than an answer or the connection, and every answer must read
// as one.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		"USER ada@example.test\r\nPASS secret\r\nSTAT\r\nQUIT\r\n",
		"CAPA\r\nLANG\r\nLANG ja\r\nUTF8\r\nLANG *\r\nLANG -\r\n",
		"LIST\r\nLIST 1\r\nUIDL\r\nUIDL 9\r\nDELE 1\r\nRETR 1\r\nRSET\r\nNOOP\r\n",
		"RETR 1\r\nRETR 2\r\nTOP 2 0\r\nTOP 2 18446744073709551616\r\nRETR 0\nRETR -1\n",
		"AUTH\r\nAUTH PLAIN\r\nAGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0\r\nSTAT\r\n",
		"AUTH SCRAM-SHA-256 biwsbj1hZGFAZXhhbXBsZS50ZXN0LHI9eA==\r\nYz1iaXdzLHI9eCxwPXg=\r\n",
		"AUTH LOGIN =\r\n\r\n*\r\nAUTH PLAIN =\r\n",
		"APOP a b\r\nSTLS\r\nUSER x\r\n\r\n\x00\r\n\xff\r\nPASS\r\nPASS \r\n",
		"GET / HTTP/1.1\r\n",
		"USER " + strings.Repeat("x", 300) + "\r\nNOOP\r\n",
	} {
		f.Add(true, []byte(seed))
		f.Add(false, []byte(seed))
	}
	h := newHouse(f)
	h.config.Auth = auth.New(h.store, auth.NewLimiter(auth.LimiterConfig{Pause: -1, FailuresPerAccount: -1, FailuresPerAddress: -1}), nil)
	u := h.ada()
	server := New(h.config)
	f.Fuzz(func(t *testing.T, loggedIn bool, input []byte) {
		h.TB = t
		if len(h.uids(u)) < 2 {
			h.mail(u, letter, "Subject: dots\r\n\r\n.\r\n..\r\n")
		}
		conn := &heard{Reader: bytes.NewReader(input)}
		s := newSession(server, conn)
		defer s.close()
		s.loginBy = time.Now().Add(time.Hour)
		if loggedIn {
			if r := s.enter(u); !r.ok {
				t.Fatalf("%+v", r)
			}
		}
		for n := 0; ; n++ {
			if n > len(input)+1 {
				t.Fatal("more answers than lines")
			}
			left := conn.Len() + s.in.Buffered()
			line, _ := s.in.Peek(min(left, inBuffer))
			line, _, _ = bytes.Cut(line, []byte("\n"))
			r := s.next()
			if r.mute {
				if left > 0 && conn.Len()+s.in.Buffered() > 0 && !listen.IsHTTP(line) && left < maxFlood {
					t.Fatalf("no answer to %q", line)
				}
				return
			}
			s.out.Flush()
			conn.said.Reset() // challenges, if any
			if err := s.write(r); err != nil {
				t.Fatal(err)
			}
			s.out.Flush()
			checkAnswer(t, conn.said.String(), r.body != nil)
			if r.hangup {
				return
			}
		}
	})
}

// checkAnswer fails unless text is one whole reply.
func checkAnswer(t *testing.T, text string, multi bool) {
	status, rest, complete := strings.Cut(text, "\r\n")
	if !complete || len(status) > 510 || !strings.HasPrefix(status, "+OK ") && !strings.HasPrefix(status, "-ERR ") {
		t.Fatalf("not a status line: %q", text)
	}
	if !multi {
		if rest != "" {
			t.Fatalf("after a single line: %q", rest)
		}
		return
	}
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(rest)))
	if _, err := io.ReadAll(r.DotReader()); err != nil || r.R.Buffered() > 0 {
		t.Fatalf("not a multi-line reply: %q (%v)", text, err)
	}
}

// heard is a connection that reads a text and keeps what it is told.
type heard struct {
	*bytes.Reader
	said bytes.Buffer
}

func (c *heard) Write(p []byte) (int, error)      { return c.said.Write(p) }
func (c *heard) WriteTo(io.Writer) (int64, error) { return 0, errors.ErrUnsupported }
func (c *heard) Close() error                     { return nil }
func (c *heard) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *heard) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *heard) SetDeadline(time.Time) error      { return nil }
func (c *heard) SetReadDeadline(time.Time) error  { return nil }
func (c *heard) SetWriteDeadline(time.Time) error { return nil }
