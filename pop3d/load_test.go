package pop3d

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// Many people at once, each gets their own mail and all of it.
func TestManyDrainAtOnce(t *testing.T) {
	h := newHouse(t)
	const people, mails = 8, 30
	var wg sync.WaitGroup
	for p := range people {
		u := h.user(fmt.Sprintf("user%d@example.test", p), "secret", store.POP3Policy{})
		for m := range mails {
			h.mail(u, fmt.Sprintf("Subject: %d.%d\r\n\r\n", p, m))
		}
		c := h.connect()
		wg.Go(func() {
			var all bytes.Buffer
			fmt.Fprintf(&all, "USER %s\r\nPASS secret\r\n", u.Address)
			for m := range mails {
				fmt.Fprintf(&all, "RETR %d\r\nDELE %d\r\n", m+1, m+1)
			}
			c.Write(append(all.Bytes(), "QUIT\r\n"...))
			got, _ := io.ReadAll(c.R)
			for m := range mails {
				if want := fmt.Sprintf("\r\nSubject: %d.%d\r\n\r\n.\r\n+OK message %d marked", p, m, m+1); !strings.Contains(string(got), want) {
					t.Errorf("user %d misses %q", p, want)
				}
			}
			if !strings.HasSuffix(string(got), "\r\n+OK goodbye\r\n") {
				t.Errorf("user %d: QUIT failed", p)
			}
			if left := h.uids(u); len(left) != 0 {
				t.Errorf("user %d: left %v", p, left)
			}
		})
	}
	wg.Wait()
}

// A large message streams, and every octet is there.
func TestLargeMessageIsWhole(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	var raw strings.Builder
	raw.WriteString("Subject: large\r\n\r\n")
	for i := range 60_000 {
		raw.WriteString(strings.Repeat(".", i%83) + "\r\n")
	}
	h.mail(u, raw.String())
	c := h.login(u)
	c.ask("RETR 1", fmt.Sprintf("+OK %d octets", raw.Len()))
	got := sha256.New()
	for {
		line, err := c.ReadLineBytes()
		if err != nil {
			t.Fatal(err)
		}
		if string(line) == "." {
			break
		}
		got.Write(bytes.TrimPrefix(line, []byte(".")))
		got.Write([]byte("\r\n"))
	}
	if want := sha256.Sum256([]byte(raw.String())); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Error("the message has changed on the way")
	}
	c.ask("TOP 1 2", "+OK *", "Subject: large", "", "", "..", ".")
}

// RFC 2449 §6.6: the answers to commands that came together leave together.
func TestPipelinedCommandsNeedFewWrites(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	client, server := net.Pipe()
	counted := &countedConn{Conn: server}
	h.serve(&oneConn{conn: counted, done: make(chan struct{})})
	c := talk(t, client)
	c.want("+OK *")
	c.ask("USER "+u.Address, "+OK *")
	c.ask("PASS secret", "+OK *")
	before := counted.writes.Load()
	go c.Write(bytes.Repeat([]byte("NOOP\r\n"), 1000))
	for range 1000 {
		c.want("+OK done")
	}
	if n := counted.writes.Load() - before; n > 2 {
		t.Errorf("%d writes for 1000 replies", n)
	}
	c.ask("QUIT", "+OK *")
}

type countedConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// A listing of 100 000 messages is written as it is made.
func TestListingStreams(t *testing.T) {
	const n = 100_000
	d := &store.Maildrop{UIDValidity: 4_000_000_000, Messages: make([]store.MaildropMessage, n)}
	for i := range d.Messages {
		d.Messages[i] = store.MaildropMessage{UID: store.UID(4_000_000_000 + i), Size: 4096}
	}
	s := &session{drop: newMaildrop(d), language: &initial}
	var octets counter
	s.out = bufio.NewWriterSize(&octets, outBuffer)
	for name, run := range map[string]func([]string) reply{"LIST": s.list, "UIDL": s.uidl} {
		octets = 0
		allocs := testing.AllocsPerRun(1, func() {
			if err := s.write(run(nil)); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 50 {
			t.Errorf("%s of %d messages made %v allocations", name, n, allocs)
		}
		if octets < n*10 {
			t.Errorf("%s wrote %d octets", name, octets)
		}
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
