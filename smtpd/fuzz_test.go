package smtpd

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

var replyLine = regexp.MustCompile(`^[2345][0-9][0-9][- ][^\r\n\x00]*$`)

// FuzzSession sends anything at all: each answer is a reply, the session ends
// when the client does, nothing panics, and what is stored is canonical. Run
// it with -fuzzminimizetime=10x: which lines a server covers is partly chance,
// so minimizing never succeeds.
func FuzzSession(f *testing.F) {
	transcripts, _ := filepath.Glob("testdata/*.txt")
	for _, name := range transcripts {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var said strings.Builder
		for line := range strings.Lines(string(b)) {
			if text, ok := strings.CutPrefix(line, "C: "); ok {
				said.WriteString(strings.TrimSpace(text) + "\r\n")
			}
		}
		f.Add([]byte(said.String()))
	}
	const hello = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.test>\r\n"
	f.Add([]byte(hello + "DATA\r\n.\r\r\n.\r\n"))
	f.Add([]byte(hello + "BDAT 3\r\nabcRSET\r\nBDAT 3 LAST\r\nabc"))
	f.Add([]byte(hello + "BDAT 3 LAST LAST\r\nabcBDAT 4294967296\r\n"))
	f.Add([]byte("EHLO x\r\nAUTH LOGIN\r\nSTARTTLS\r\n=\r\n*\r\nAUTH SCRAM-SHA-256 biwsbj1hLHI9\r\nYw==\r\n"))
	f.Add([]byte("STARTTLS\r\n\x16\x03\x01"))

	h := newHouse(f)
	h.giveTLS()
	h.config.LoginOnMX = true
	h.limits.UnknownRecipients, h.limits.FailuresPerAddress = -1, -1
	h.config.DataTimeout, h.config.CommandTimeout = time.Second, time.Second
	u := h.user("ada@example.test", "secret")
	box, err := h.store.Mailbox(f.Context(), u.ID, "INBOX")
	if err != nil {
		f.Fatal(err)
	}
	h.open().Close()
	f.Fuzz(func(t *testing.T, input []byte) {
		h.TB = t
		h.log.Reset()
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		written := make(chan struct{})
		go func() {
			defer close(written)
			c.Write(input)
			c.(*net.TCPConn).CloseWrite()
		}()
		answer, err := io.ReadAll(c)
		<-written
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("the session does not end")
		}
		for line := range strings.Lines(string(answer)) {
			if text, ok := strings.CutSuffix(line, "\r\n"); ok && !replyLine.MatchString(text) {
				// After 220 to STARTTLS come TLS records.
				if !strings.Contains(string(answer), "Ready to start TLS") {
					t.Fatalf("not a reply: %q", line)
				}
				break
			}
		}
		if strings.Contains(h.log.String(), "panic") {
			t.Fatal(h.log.String())
		}
		for _, raw := range h.inbox("ada@example.test") {
			if !message.IsCanonical([]byte(raw)) {
				t.Fatalf("stored %q", raw)
			}
		}
		snapshot, err := h.store.Snapshot(context.Background(), box.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.store.Remove(context.Background(), box.ID, snapshot.UIDs); err != nil {
			t.Fatal(err)
		}
	})
}
