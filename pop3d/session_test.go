package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

const letter = "Subject: a letter\r\n\r\nHello.\r\n"

// RFC 1939 §6: only QUIT removes.
func TestDroppedConnectionRemovesNothing(t *testing.T) {
	ends := map[string]func(*client){
		"closed": func(c *client) { c.Close() },
		"reset":  func(c *client) { c.Conn.(*net.TCPConn).SetLinger(0); c.Close() },
		"half":   func(c *client) { c.Write([]byte("QUIT")); c.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			u := h.ada()
			h.mail(u, letter, letter)
			c := h.login(u)
			c.ask("DELE 1", "+OK *")
			end(c)
			h.waitClosed()
			c = h.login(u) // and the maildrop is free at once
			c.ask("STAT", "+OK 2 *")
		})
	}
}

// RFC 1939 §3: autologout removes nothing and says nothing.
func TestAutologoutIsSilent(t *testing.T) {
	h := newHouse(t)
	h.config.IdleTimeout = 300 * time.Millisecond
	u := h.ada()
	h.mail(u, letter)
	c := talk(t, h.open())
	c.say("USER "+u.Address, "PASS secret", "DELE 1")
	c.want("+OK *", "+OK *", "+OK 1 message *", "+OK message 1 *")
	c.wantEnd()
	h.waitClosed()
	if got := h.uids(u); len(got) != 1 {
		t.Errorf("messages left: %v", got)
	}
}

func TestLoginTakesLimitedTime(t *testing.T) {
	h := newHouse(t)
	h.config.LoginTimeout = 50 * time.Millisecond
	c := h.connect()
	for {
		if _, err := c.Write([]byte("CAPA\r\n")); err != nil {
			return
		}
		if _, err := c.ReadLine(); err != nil {
			return // else the client's own deadline fails the test
		}
	}
}

func TestReaderWhoStopsLosesTheMaildrop(t *testing.T) {
	h := newHouse(t)
	h.config.WriteTimeout = 50 * time.Millisecond
	u := h.ada()
	h.mail(u, "Subject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	c := h.login(u)
	c.say("RETR 1", "RETR 1", "RETR 1", "RETR 1")
	h.waitClosed()
	d, err := h.store.OpenMaildrop(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// RFC 1939 §4, §5: the session sees the maildrop as it was at login.
func TestNumbersNeverShift(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	uids := h.mail(u, "Subject: 1\r\n\r\n", "Subject: 22\r\n\r\n", "Subject: 333\r\n\r\n")
	c := h.login(u)
	h.mail(u, "Subject: late\r\n\r\n")
	if _, err := h.store.Remove(t.Context(), h.inbox(u), uids[:1]); err != nil {
		t.Fatal(err)
	}
	c.ask("STAT", "+OK 3 45")
	c.ask("RETR 3", "+OK 16 octets", "Subject: 333", "", ".")
	c.ask("DELE 1", "+OK *")
	c.ask("DELE 2", "+OK *")
	c.ask("LIST", "+OK 1 message (16 octets)", "3 16", ".")
	c.ask("QUIT", "+OK goodbye")
	if got := h.uids(u); len(got) != 2 || got[0] != uids[2] {
		t.Errorf("left: %v", got)
	}
}

// RFC 1939 §6: the answer to QUIT follows the removal, and the maildrop is
// free again by then.
func TestQuitAnswersAfterTheRemoval(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	uids := h.mail(u, letter, letter, letter)
	watch := h.store.Watch(u.ID)
	defer watch.Close()
	c := h.login(u)
	c.ask("DELE 1", "+OK *")
	c.ask("DELE 3", "+OK *")
	if got := h.uids(u); len(got) != 3 {
		t.Fatalf("removed before QUIT: %v left", got)
	}
	c.ask("QUIT", "+OK goodbye")
	if got := h.uids(u); len(got) != 1 || got[0] != uids[1] {
		t.Errorf("left after QUIT: %v", got)
	}
	<-watch.C()
	h.login(u)
}

func TestQuitSaysWhenRemovalFailed(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, letter)
	c := h.login(u)
	c.ask("DELE 1", "+OK *")
	h.store.Close()
	c.ask("QUIT", "-ERR [SYS/TEMP] some deleted messages not removed")
	c.wantEnd()
}

func TestStoreFailureIsTemporary(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, letter)
	in, out := h.login(u), h.connect()
	h.store.Close()
	in.ask("RETR 1", "-ERR [SYS/TEMP] temporary failure, try again later")
	out.ask("USER ada@example.test", "+OK *")
	out.ask("PASS secret", "-ERR [SYS/TEMP] temporary failure, try again later")
}

// What DELE means is the user's policy.
func TestPolicies(t *testing.T) {
	for _, test := range []struct {
		policy       store.POP3Policy
		inbox, trash int
	}{
		{store.POP3Policy{Kind: store.POP3Delete}, 1, 0},
		{store.POP3Policy{Kind: store.POP3Keep}, 2, 0},
		{store.POP3Policy{Kind: store.POP3KeepDays, Days: 3}, 2, 0},
		{store.POP3Policy{Kind: store.POP3Trash}, 1, 1},
	} {
		t.Run(string(test.policy.Kind), func(t *testing.T) {
			h := newHouse(t)
			u := h.user("ada@example.test", "secret", test.policy)
			h.mail(u, letter, letter)
			c := h.login(u)
			c.ask("DELE 1", "+OK *")
			c.ask("QUIT", "+OK *")
			if got := len(h.uids(u)); got != test.inbox {
				t.Errorf("%d in INBOX, want %d", got, test.inbox)
			}
			m, err := h.store.Mailbox(t.Context(), u.ID, "Trash")
			if err != nil || int(m.Messages) != test.trash {
				t.Errorf("%d in Trash, want %d (%v)", m.Messages, test.trash, err)
			}
			c = h.login(u)
			c.ask("STAT", "+OK 1 *")
		})
	}
}

// A session ends when the password changes or the account is suspended.
func TestRevokedAccessEndsTheSession(t *testing.T) {
	yes, other := true, "another"
	for name, change := range map[string]store.UserChange{
		"password":  {Password: &other},
		"suspended": {Suspended: &yes},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			var clock atomic.Int64
			h.config.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
			u := h.ada()
			h.mail(u, letter)
			c := h.login(u)
			c.ask("DELE 1", "+OK *")
			if _, err := h.store.UpdateUser(t.Context(), u.ID, change); err != nil {
				t.Fatal(err)
			}
			if name == "password" {
				clock.Add(2)
				c.ask("NOOP", "-ERR [AUTH] password or account *")
			} else { // QUIT asks without waiting for the clock
				c.ask("QUIT", "-ERR [AUTH] password or account *")
			}
			c.wantEnd()
			if got := h.uids(u); len(got) != 1 {
				t.Errorf("left: %v", got)
			}
		})
	}
}

func TestShutdownTellsIdleSessions(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, letter)
	in, out := h.login(u), h.connect()
	in.ask("DELE 1", "+OK *")
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{in, out} {
		c.want("-ERR [SYS/TEMP] server is shutting down, nothing was removed")
		c.wantEnd()
	}
	if got := h.uids(u); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
	if _, err := net.Dial("tcp", h.addr); err == nil {
		t.Error("still accepting")
	}
}

// The command under way is finished; what waits behind it is not begun.
func TestShutdownFinishesTheCommand(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, "Subject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	c := h.login(u)
	c.say("DELE 1", "RSET", "RETR 1", "DELE 1", "QUIT")
	c.want("+OK *", "+OK *", "+OK 7200018 octets") // more than the sockets hold
	down := make(chan error, 1)
	stopping := make(chan struct{})
	go func() {
		close(stopping)
		down <- h.server.Shutdown(context.Background())
	}()
	<-stopping
	for !h.server.isStopping() {
		runtime.Gosched()
	}
	body, err := io.ReadAll(c.Reader.DotReader())
	if err != nil || len(body) != 7200018-100_002 { // DotReader makes CRLF LF
		t.Errorf("read %d octets, %v", len(body), err)
	}
	c.want("-ERR [SYS/TEMP] *")
	c.wantEnd()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if got := h.uids(u); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestShutdownHasAnEnd(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, "Subject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	c := h.login(u)
	c.ask("RETR 1", "+OK *") // and then reads no more
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOneSessionHasTheMaildrop(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, letter)
	const n = 8
	var in, busy atomic.Int32
	var wg sync.WaitGroup
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = h.connect()
		wg.Go(func() {
			c := clients[i]
			c.Write([]byte("USER ada@example.test\r\nPASS secret\r\n"))
			c.ReadLine()
			switch line, _ := c.ReadLine(); {
			case strings.HasPrefix(line, "+OK"):
				in.Add(1)
			case strings.HasPrefix(line, "-ERR [IN-USE]"):
				busy.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || busy.Load() != n-1 {
		t.Errorf("%d sessions are in, %d found it busy", in.Load(), busy.Load())
	}
}

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

// A line without an end is not read for ever.
func TestFloodEndsTheConnection(t *testing.T) {
	h := newHouse(t)
	c := h.connect()
	go io.Copy(c, io.LimitReader(endless{}, 1<<20))
	c.wantEnd()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Whoever records a conversation is told whose it is, once it is known.
func TestTapLearnsTheUser(t *testing.T) {
	h := newHouse(t)
	u, err := h.store.CreateUser(t.Context(), store.NewUser{Address: "ada@example.test", Password: "secret", Tap: true})
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	tapped := &tappedConn{Conn: server}
	h.serve(&oneConn{conn: tapped, done: make(chan struct{})})
	c := talk(t, client)
	c.want("+OK *")
	c.ask("USER "+u.Address, "+OK *")
	c.ask("PASS wrong", "-ERR *")
	if tapped.user.Load() != nil {
		t.Error("told before the password was right")
	}
	c.ask("USER "+u.Address, "+OK *")
	c.ask("PASS secret", "+OK *")
	if got := tapped.user.Load(); got == nil || *got != "ada@example.test true" {
		t.Errorf("told %v", got)
	}
	c.ask("QUIT", "+OK *")
}

type tappedConn struct {
	net.Conn
	user atomic.Pointer[string]
}

func (c *tappedConn) TapUser(address string, optIn bool) {
	s := fmt.Sprint(address, " ", optIn)
	c.user.Store(&s)
}

// A bug in one session ends that session.
func TestPanicEndsOneSession(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	client, server := net.Pipe()
	h.serve(&oneConn{conn: &panicConn{server}, done: make(chan struct{})})
	c := talk(t, client)
	c.want("+OK *")
	c.say("USER " + u.Address)
	c.wantEnd()
}

type panicConn struct{ net.Conn }

func (c *panicConn) Read([]byte) (int, error) {
	c.Conn.Read(make([]byte, 100))
	panic("a bug")
}

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
