package pop3d

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/internal/pki"
	"github.com/yubin-mail/yubin/store"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A house is a store, the people in it and a server for them.
type house struct {
	testing.TB
	store  *store.Store
	config Config // what tests change before the server is asked for
	server *Server

	start  sync.Once
	addr   string
	closed chan struct{} // one for every connection that the server has closed
}

func newHouse(t testing.TB) *house {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Iterations: 4096, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	limiter := auth.NewLimiter(auth.LimiterConfig{Pause: -1, FailuresPerAccount: 8})
	return &house{TB: t, store: s, closed: make(chan struct{}, 1000), config: Config{
		Hostname:       "pop.example.test",
		Store:          s,
		Auth:           auth.New(s, limiter, nil),
		PlaintextOK:    true,
		Implementation: "yubin",
	}}
}

func (h *house) user(address, password string, policy store.POP3Policy) store.User {
	h.Helper()
	u, err := h.store.CreateUser(h.Context(), store.NewUser{Address: address, Password: password, POP3: policy})
	if err != nil {
		h.Fatal(err)
	}
	return u
}

func (h *house) ada() store.User {
	h.Helper()
	return h.user("ada@example.test", "secret", store.POP3Policy{})
}

func (h *house) inbox(u store.User) store.MailboxID {
	h.Helper()
	m, err := h.store.Mailbox(h.Context(), u.ID, "INBOX")
	if err != nil {
		h.Fatal(err)
	}
	return m.ID
}

// mail puts messages into somebody's INBOX.
func (h *house) mail(u store.User, raw ...string) []store.UID {
	h.Helper()
	var all []store.Appended
	for _, r := range raw {
		all = append(all, store.Appended{Body: store.Bytes(r)})
	}
	uids, _, err := h.store.Append(h.Context(), h.inbox(u), all)
	if err != nil {
		h.Fatal(err)
	}
	return uids
}

// uids are the messages in somebody's INBOX.
func (h *house) uids(u store.User) []store.UID {
	h.Helper()
	s, err := h.store.Snapshot(h.Context(), h.inbox(u))
	if err != nil {
		h.Fatal(err)
	}
	return s.UIDs
}

// giveTLS gives the server a certificate and returns a client's configuration
// that trusts it.
func (h *house) giveTLS() *tls.Config {
	h.Helper()
	dir := h.TempDir()
	keeper, err := pki.Open(pki.Config{Dir: dir, Names: []string{"pop.example.test"}})
	if err != nil {
		h.Fatal(err)
	}
	text, err := pki.Public(dir)
	if err != nil {
		h.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	h.config.TLS = keeper.TLS()
	return &tls.Config{RootCAs: pool, ServerName: "pop.example.test"}
}

// open starts the server, once, and connects to it.
func (h *house) open() net.Conn {
	h.Helper()
	h.start.Do(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			h.Fatal(err)
		}
		h.addr = l.Addr().String()
		if h.config.Secure {
			l = listen.TLS(l, h.config.TLS)
		}
		h.serve(&watched{l, h.closed})
	})
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

func (h *house) serve(l net.Listener) {
	h.server = New(h.config)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(l) }()
	h.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			h.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			h.Errorf("serve: %v", err)
		}
	})
}

// watched tells of the end of every connection it has accepted. By then the
// session has let go of its maildrop.
type watched struct {
	net.Listener
	closed chan<- struct{}
}

func (w *watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: c, closed: w.closed}, nil
}

type watchedConn struct {
	net.Conn
	closed chan<- struct{}
	once   sync.Once
}

func (c *watchedConn) NetConn() net.Conn { return c.Conn }

func (c *watchedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.closed <- struct{}{} })
	return err
}

// waitClosed waits until the server has closed a connection.
func (h *house) waitClosed() {
	h.Helper()
	select {
	case <-h.closed:
	case <-time.After(10 * time.Second):
		h.Fatal("the server keeps the connection")
	}
}

// A client says lines and wants lines.
type client struct {
	testing.TB
	net.Conn
	*textproto.Reader
}

// connect opens a connection and reads the greeting.
func (h *house) connect() *client {
	h.Helper()
	c := talk(h, h.open())
	c.want("+OK pop.example.test POP3 server ready")
	return c
}

// login connects and logs in.
func (h *house) login(u store.User) *client {
	h.Helper()
	c := h.connect()
	c.say("USER "+u.Address, "PASS secret")
	c.want("+OK send the password")
	c.want("+OK *")
	return c
}

func talk(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, conn, textproto.NewReader(bufio.NewReader(conn))}
}

// say sends lines at once.
func (c *client) say(lines ...string) {
	c.Helper()
	if _, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		c.Fatalf("say %q: %v", lines, err)
	}
}

// want reads a line for each of lines; a star at the end stands for the rest.
func (c *client) want(lines ...string) string {
	c.Helper()
	var line string
	for _, want := range lines {
		var err error
		if line, err = c.ReadLine(); err != nil {
			c.Fatalf("want %q: %v", want, err)
		}
		start, open := strings.CutSuffix(want, "*")
		if line != want && !(open && strings.HasPrefix(line, start)) {
			c.Fatalf("want %q, got %q", want, line)
		}
	}
	return line
}

// ask says one line and wants lines.
func (c *client) ask(line string, want ...string) string {
	c.Helper()
	c.say(line)
	return c.want(want...)
}

// wantEnd waits until the other side has closed.
func (c *client) wantEnd() {
	c.Helper()
	if line, err := c.ReadLine(); err == nil {
		c.Fatalf("want the end, got %q", line)
	} else if netErr := net.Error(nil); errors.As(err, &netErr) && netErr.Timeout() {
		c.Fatal("the connection is still open")
	}
}

// setup does what a line of a transcript's setup section says.
func (h *house) setup(line string, people map[string]store.User) error {
	word, rest, _ := strings.Cut(line, " ")
	switch args := strings.Fields(rest); word {
	case "user": // user ADDRESS PASSWORD [POLICY [DAYS]]
		var p store.POP3Policy
		if len(args) > 2 {
			p.Kind = store.POP3Kind(args[2])
		}
		if len(args) > 3 {
			p.Days, _ = strconv.Atoi(args[3])
		}
		people[args[0]] = h.user(args[0], args[1], p)
	case "mail": // mail ADDRESS "TEXT"
		address, text, _ := strings.Cut(rest, " ")
		raw, err := strconv.Unquote(text)
		if err != nil {
			return err
		}
		h.mail(people[address], raw)
	case "plaintext": // passwords need TLS
		h.config.PlaintextOK = rest != "off"
	case "tls":
		h.config.Secure = rest == "implicit"
	case "login-delay":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		h.config.LoginDelay = d
	default:
		return fmt.Errorf("setup has no %q", word)
	}
	return nil
}
