package imapd

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
)

func TestGuessersAreSentAway(t *testing.T) {
	c := newHouse(t, func(c *Config) { c.MaxFailures = 3 }).talk()
	for range 2 {
		c.refused("LOGIN "+alice+" guess", "NO [AUTHENTICATIONFAILED]")
	}
	c.refused("AUTHENTICATE PLAIN AGFsaWNlAGd1ZXNz", "NO [AUTHENTICATIONFAILED]")
	if rest := c.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
}

func TestLoginTakesTooLong(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.LoginTime = 2 * time.Second })
	in := h.login("INBOX")
	c := h.talk()
	c.ok("NOOP")
	if rest := c.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	in.ok("NOOP")
	in.ok("UNAUTHENTICATE")
	if rest := in.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
}

func TestScram(t *testing.T) {
	for _, secret := range []string{password, "wrong"} {
		c := newHouse(t).talk()
		client, err := scram.SHA256.NewClient(alice, secret, "")
		if err != nil {
			t.Fatal(err)
		}
		talk := client.NewConversation()
		c.send("a AUTHENTICATE SCRAM-SHA-256\r\n")
		challenge := ""
		for {
			line := c.line()
			rest, ok := strings.CutPrefix(line, "+ ")
			if !ok {
				if want := map[string]string{password: "a OK [CAPABILITY ", "wrong": "a NO [AUTHENTICATIONFAILED]"}[secret]; !strings.HasPrefix(line, want) {
					t.Errorf("got %q", line)
				}
				break
			}
			if text, err := base64.StdEncoding.DecodeString(rest); err == nil {
				challenge = string(text)
			}
			answer, err := talk.Step(challenge)
			if err != nil {
				t.Fatal(err)
			}
			c.send(base64.StdEncoding.EncodeToString([]byte(answer)) + "\r\n")
		}
		if talk.Valid() != (secret == password) {
			t.Errorf("the server has proved itself: %v", talk.Valid())
		}
	}
}

// Who could have used channel binding and says that we do not offer it has been
// lied to by somebody in between (RFC 5802 §6).
func TestScramDowngrade(t *testing.T) {
	server, client := selfSigned(t)
	for _, test := range []struct {
		secure            bool
		mechanism, header string
		goesOn            bool
	}{
		{true, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", true},
		{true, "SCRAM-SHA-256-PLUS", "p=tls-unique,,", false},
		{true, "SCRAM-SHA-256-PLUS", "n,,", false},
		{true, "SCRAM-SHA-256-PLUS", "y,,", false},
		{true, "SCRAM-SHA-256", "p=tls-exporter,,", false},
		{true, "SCRAM-SHA-256", "n,,", true},
		{true, "SCRAM-SHA-256", "y,,", false},
		{false, "SCRAM-SHA-256", "y,,", true},
		{false, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", false},
	} {
		c := newHouse(t, func(c *Config) { c.TLS = server }).talk()
		if test.secure {
			c.ok("STARTTLS")
			c.Conn = tls.Client(c.Conn, client)
			c.in = bufio.NewReader(c.Conn)
		}
		first := base64.StdEncoding.EncodeToString([]byte(test.header + "n=" + alice + ",r=abc"))
		c.send("a AUTHENTICATE " + test.mechanism + " " + first + "\r\n")
		if line := c.line(); strings.HasPrefix(line, "+ ") != test.goesOn {
			t.Errorf("%+v: got %q", test, line)
		}
	}
}

// tapped is a connection that wants to know who has logged in.
type tapped struct {
	net.Conn
	mu   sync.Mutex
	user []string
}

func (c *tapped) TapUser(address string, optIn bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = append(c.user, address)
}

type tap struct {
	net.Listener
	conn chan *tapped
}

func (l *tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tapped{Conn: c}
	l.conn <- t
	return t, nil
}

func TestTapHearsWhoItIs(t *testing.T) {
	server, client := selfSigned(t)
	h := newHouse(t, func(c *Config) { c.TLS = server })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := &tap{l, make(chan *tapped, 1)}
	var serving sync.WaitGroup
	serving.Go(func() { h.server.Serve(listener) })
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { l.Close() })
	h.addr = l.Addr().String()
	for _, secure := range []bool{false, true} {
		c := h.talk()
		conn := <-listener.conn
		if secure {
			c.ok("STARTTLS")
			c.Conn = tls.Client(c.Conn, client)
			c.in = bufio.NewReader(c.Conn)
		}
		c.ok("LOGIN " + alice + ` "` + password + `"`)
		conn.mu.Lock()
		if len(conn.user) != 1 || conn.user[0] != alice {
			t.Errorf("heard %q", conn.user)
		}
		conn.mu.Unlock()
	}
}

// A listener that is safe already needs no TLS of ours, and offers no
// STARTTLS.
func TestSecureListener(t *testing.T) {
	server, client := selfSigned(t)
	h := newHouse(t, func(c *Config) { c.Secure, c.PlaintextOK, c.TLS = true, false, server })
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.TLS(plain, server)
	var serving sync.WaitGroup
	serving.Go(func() { h.server.Serve(l) })
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { l.Close() })
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	greeting := make([]byte, 500)
	n, err := c.Read(greeting)
	if err != nil {
		t.Fatal(err)
	}
	text := string(greeting[:n])
	if strings.Contains(text, "STARTTLS") || strings.Contains(text, "LOGINDISABLED") || !strings.Contains(text, "AUTH=SCRAM-SHA-256-PLUS") {
		t.Error(text)
	}
}

// After STARTTLS everything beneath the library still works: gathering, IDLE,
// and BYE for a reader that has to be woken.
func TestIdleUnderStartTLS(t *testing.T) {
	server, client := selfSigned(t)
	h := newHouse(t, func(c *Config) { c.TLS, c.PlaintextOK = server, false })
	c := h.talk()
	c.ok("STARTTLS")
	c.Conn = tls.Client(c.Conn, client)
	c.in = bufio.NewReader(c.Conn)
	c.ok("LOGIN " + alice + ` "` + password + `"`)
	c.ok("SELECT INBOX")
	c.idle()
	h.putMany(1)
	c.hears("* 1 EXISTS")
	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(t.Context()) }()
	if rest := c.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReply(t *testing.T) {
	h := newHouse(t)
	s := &session{conn: &conn{server: h.server}, log: h.server.config.Log}
	secret := errors.New("the disk says 0xdeadbeef")
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{secret, "imap: NO [UNAVAILABLE]"},
		{errors.Join(errors.New("append"), store.ErrOverQuota), "imap: NO [OVERQUOTA]"},
		{store.ErrFull, "imap: NO [UNAVAILABLE]"},
		{bad("x"), "imap: BAD [CLIENTBUG] x"},
	} {
		err := s.reply("test", test.err)
		if test.err == nil {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "deadbeef") {
			t.Errorf("%v: %v", test.err, err)
		}
	}
	if !strings.Contains(h.log.String(), "deadbeef") {
		t.Error("the log does not say what happened")
	}
}

// An error while catching up is not the end: the library would drop the
// connection.
func TestPollFails(t *testing.T) {
	h := newHouse(t)
	h.putMany(1)
	c := h.login("INBOX")
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	c.ok("NOOP")
	if _, result := c.do("FETCH 1 FLAGS"); !strings.HasPrefix(result, "NO [UNAVAILABLE]") || strings.Contains(result, "sql") {
		t.Error(result)
	}
	c.ok("NOOP")
}
