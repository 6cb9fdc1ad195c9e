package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	limits auth.LimiterConfig
	log    *logBook

	start  sync.Once
	server *Server
	addr   string
	roots  *x509.CertPool
}

func newHouse(t testing.TB) *house {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Iterations: 4096, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &house{TB: t, store: s, limits: auth.LimiterConfig{Pause: -1}, log: &logBook{}}
	h.config = Config{
		Hostname:    "mx.example.test",
		Store:       s,
		PlaintextOK: true,
		Confirm:     h.confirm,
		Log:         slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:         func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
	}
	return h
}

// logBook is a log that a test can read.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (h *house) user(address, password string) store.User {
	h.Helper()
	u, err := h.store.CreateUser(h.Context(), store.NewUser{Address: address, Password: password})
	if err != nil {
		h.Fatal(err)
	}
	return u
}

// inbox is every message in somebody's INBOX, raw.
func (h *house) inbox(address string) []string {
	h.Helper()
	ctx := context.Background()
	u, err := h.store.UserByAddress(ctx, address)
	if err != nil {
		h.Fatal(err)
	}
	m, err := h.store.Mailbox(ctx, u.ID, "INBOX")
	if err != nil {
		h.Fatal(err)
	}
	return h.messages(m.ID)
}

// messages is every message in a mailbox, raw.
func (h *house) messages(id store.MailboxID) (raw []string) {
	h.Helper()
	ctx := context.Background()
	err := h.store.Each(ctx, id, nil, 0, func(m *store.Message) error {
		b, err := h.store.ReadBody(ctx, m.Blob, 64<<20)
		raw = append(raw, string(b))
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return raw
}

// giveTLS gives the server a certificate and returns a client's configuration
// that trusts it.
func (h *house) giveTLS() *tls.Config {
	h.Helper()
	dir := h.TempDir()
	keeper, err := pki.Open(pki.Config{Dir: dir, Names: []string{"mx.example.test"}})
	if err != nil {
		h.Fatal(err)
	}
	text, err := pki.Public(dir)
	if err != nil {
		h.Fatal(err)
	}
	h.roots = x509.NewCertPool()
	h.roots.AppendCertsFromPEM(text)
	h.config.TLS = keeper.TLS()
	return &tls.Config{RootCAs: h.roots, ServerName: "mx.example.test"}
}

// open starts the server, once, and connects to it.
func (h *house) open() net.Conn {
	h.Helper()
	h.start.Do(h.serve)
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { c.Close() })
	return c
}

func (h *house) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	h.addr = l.Addr().String()
	if h.config.Secure {
		l = listen.TLS(l, h.config.TLS)
	}
	h.config.Limiter = auth.NewLimiter(h.limits)
	h.config.Auth = auth.New(h.store, h.config.Limiter, h.config.Log)
	h.server = New(h.config)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(l) }()
	h.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.server.Shutdown(ctx)
		if err := <-served; err != nil {
			h.Errorf("Serve: %v", err)
		}
	})
}

// setup does what a line of a transcript's setup section says.
func (h *house) setup(line string) error {
	ctx := h.Context()
	words := append(strings.Fields(line), "", "", "")
	number, _ := strconv.Atoi(words[1])
	switch words[0] {
	case "user":
		_, err := h.store.CreateUser(ctx, store.NewUser{Address: words[1], Password: words[2]})
		return err
	case "quota":
		u, err := h.store.UserByAddress(ctx, words[1])
		if err != nil {
			return err
		}
		quota, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return err
		}
		_, err = h.store.UpdateUser(ctx, u.ID, store.UserChange{Quota: &quota})
		return err
	case "alias":
		return h.store.AddAlias(ctx, words[1], words[2])
	case "catch-all":
		return h.store.SetCatchAll(ctx, words[1], words[2])
	case "submission":
		h.config.Role = Submission
	case "login-on-mx":
		h.config.LoginOnMX = true
	case "relay":
		h.config.Relay = true
	case "plaintext":
		h.config.PlaintextOK = words[1] != "off"
	case "secure":
		h.config.Secure = true
	case "max-size":
		h.config.MaxSize = int64(number)
	case "max-recipients":
		h.config.MaxRecipients = number
	case "failures-per-address":
		h.limits.FailuresPerAddress = number
	case "unknown-recipients":
		h.limits.UnknownRecipients = number
	default:
		return fmt.Errorf("what is %q?", words[0])
	}
	return nil
}

// A client speaks to the server in lines.
type client struct {
	house *house
	net.Conn
	r *bufio.Reader
}

// client connects, reads the greeting and says EHLO.
func (h *house) client() *client {
	h.Helper()
	c := h.raw(h.open())
	c.want("220")
	c.do("EHLO client.example.test", "250")
	return c
}

func (h *house) raw(conn net.Conn) *client {
	return &client{house: h, Conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) send(s string) {
	c.house.Helper()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, s); err != nil {
		c.house.Fatalf("send: %v", err)
	}
}

// reply reads one reply, all its lines.
func (c *client) reply() (string, error) {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return all.String(), err
		}
	}
}

func (c *client) want(prefix string) string {
	c.house.Helper()
	r, err := c.reply()
	if err != nil || !strings.HasPrefix(r, prefix) {
		c.house.Fatalf("got %q, %v; want %s", r, err, prefix)
	}
	return r
}

func (c *client) do(line, prefix string) string {
	c.house.Helper()
	c.send(line + "\r\n")
	return c.want(prefix)
}

// wantEnd waits until the server has closed.
func (c *client) wantEnd() {
	c.house.Helper()
	r, err := c.reply()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.house.Fatalf("got %q, %v; want the end", r, err)
	}
}

// mail sends a message from outside to the recipients.
func (c *client) mail(message, result string, to ...string) string {
	c.house.Helper()
	c.do("MAIL FROM:<bob@far.test>", "250")
	for _, r := range to {
		c.do("RCPT TO:<"+r+">", "250")
	}
	c.do("DATA", "354")
	c.send(message + "\r\n.\r\n")
	return c.want(result)
}
