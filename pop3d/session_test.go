package pop3d

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
	h.config.IdleTimeout = 2 * time.Second
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
	var err error
	for err == nil {
		if _, err = c.Write([]byte("CAPA\r\n")); err == nil {
			_, err = c.ReadLine()
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it takes as long as it likes")
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
