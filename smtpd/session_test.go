package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// scram logs in as RFC 5802 wants it and returns the server's last reply.
func (c *client) scram(mechanism string, conversation *scram.ClientConversation) string {
	c.house.Helper()
	message, err := conversation.Step("")
	if err != nil {
		c.house.Fatal(err)
	}
	c.send("AUTH " + mechanism + " " + base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
	for {
		r, err := c.reply()
		if err != nil {
			c.house.Fatal(err)
		}
		challenge, ok := strings.CutPrefix(strings.TrimSpace(r), "334 ")
		if !ok {
			return r
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			c.house.Fatal(err)
		}
		if message, err = conversation.Step(string(text)); err != nil {
			c.house.Fatalf("the client refuses %q: %v", text, err)
		}
		c.send(base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
	}
}

func TestScram(t *testing.T) {
	h := newHouse(t)
	h.config.Role = Submission
	config := h.giveTLS()
	h.user("ada@example.test", "secret")
	secure := func() (*client, *tls.ConnectionState) {
		c := h.client()
		c.do("STARTTLS", "220")
		conn := tls.Client(c.Conn, config)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		c = h.raw(conn)
		c.do("EHLO client.example.test", "250")
		state := conn.ConnectionState()
		return c, &state
	}
	person := func(name, password string) *scram.Client {
		p, err := scram.SHA256.NewClient(name, password, "")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ada, wrong, nobody := person("ada@example.test", "secret"), person("ada@example.test", "wrong"), person("nobody@example.test", "secret")

	conversation := ada.NewConversation()
	if r := h.client().scram("SCRAM-SHA-256", conversation); !strings.HasPrefix(r, "235") || !conversation.Valid() {
		t.Errorf("without TLS: %q", r)
	}
	for name, p := range map[string]*scram.Client{"wrong": wrong, "nobody": nobody} {
		if r := h.client().scram("SCRAM-SHA-256", p.NewConversation()); r != "535 5.7.8 Name or password is wrong\r\n" {
			t.Errorf("%s: %q", name, r)
		}
	}

	c, state := secure()
	bound, err := scram.NewTLSExporterBinding(state)
	if err != nil {
		t.Fatal(err)
	}
	conversation = ada.NewConversationWithChannelBinding(bound)
	if r := c.scram("SCRAM-SHA-256-PLUS", conversation); !strings.HasPrefix(r, "235") || !conversation.Valid() {
		t.Errorf("-PLUS: %q", r)
	}
	c.do("MAIL FROM:<ada@example.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	c.send("From: ada@example.test\r\n\r\n.\r\n")
	c.want("250")
	if got := h.inbox("ada@example.test"); !strings.Contains(got[0], "with ESMTPSA (TLS1.3 ") {
		t.Errorf("got %q", got)
	}

	// The binding of another connection: somebody sits in between.
	c, _ = secure()
	if r := c.scram("SCRAM-SHA-256-PLUS", ada.NewConversationWithChannelBinding(bound)); !strings.HasPrefix(r, "535") {
		t.Errorf("foreign binding: %q", r)
	}
	// A client that could, but was told that we cannot.
	c, _ = secure()
	if r := c.scram("SCRAM-SHA-256", ada.NewConversationAdvertisingChannelBinding()); !strings.HasPrefix(r, "501") {
		t.Errorf("downgrade: %q", r)
	}
	// One that cannot.
	c, _ = secure()
	if r := c.scram("SCRAM-SHA-256", ada.NewConversation()); !strings.HasPrefix(r, "235") {
		t.Errorf("without binding: %q", r)
	}
	c, _ = secure()
	if r := c.scram("SCRAM-SHA-256-PLUS", ada.NewConversation()); !strings.HasPrefix(r, "501") {
		t.Errorf("-PLUS without binding: %q", r)
	}
	if strings.Contains(h.log.String(), "secret") {
		t.Error("a password is in the log")
	}
}

func TestChangedPasswordEndsSession(t *testing.T) {
	h := newHouse(t)
	h.config.Role = Submission
	u := h.user("ada@example.test", "secret")
	c := h.client()
	c.do("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
	c.do("MAIL FROM:<ada@example.test>", "250")
	c.do("RSET", "250")
	changed := "another"
	if _, err := h.store.UpdateUser(t.Context(), u.ID, store.UserChange{Password: &changed}); err != nil {
		t.Fatal(err)
	}
	c.do("MAIL FROM:<ada@example.test>", "421 4.7.0")
	c.wantEnd()
}

func TestPatience(t *testing.T) {
	h := newHouse(t)
	h.limits.UnknownRecipients = -1
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("MAIL FROM:<bob@far.test>", "250")
	for i := range patience {
		c.do(fmt.Sprintf("RCPT TO:<user%d@example.test>", i), "550 5.1.1")
	}
	c.do("RCPT TO:<user@example.test>", "421 4.7.0")
	c.wantEnd()
}

func TestManyRecipients(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("MAIL FROM:<bob@far.test>", "250")
	for i := range 1000 {
		c.do(fmt.Sprintf("RCPT TO:<ada+%d@example.test>", i), "250")
	}
	c.do("RCPT TO:<ada@example.test>", "452 4.5.3")
	c.do("DATA", "354")
	c.send(".\r\n")
	c.want("250")
	if got := h.inbox("ada@example.test"); len(got) != 1 {
		t.Errorf("%d copies", len(got))
	}
}

func TestLongCommandLines(t *testing.T) {
	h := newHouse(t)
	h.config.Role = Submission
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("NOOP "+strings.Repeat("x", maxCommand-len("NOOP \r\n")), "250")
	c.do("NOOP "+strings.Repeat("x", maxCommand), "500 5.5.2")
	// RFC 4954 §4 wants long answers to be read, whatever they hold.
	c.do("AUTH PLAIN "+strings.Repeat("QUFB", 2500), "501 5.5.2")
	c.do("NOOP", "250")
	go func() { // the server may be gone before all of it has been written
		for range 100 {
			if _, err := c.Write([]byte(strings.Repeat("QUIT ", 1000))); err != nil {
				return
			}
		}
	}()
	c.want("500 5.5.2")
	c.wantEnd()
}

// What is taken as a path can be told in the trace fields whole, or else the
// notices about it would go to another address.
func TestLongPaths(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	long := strings.Repeat("x", message.MaxPath-len("@far.test")) + "@far.test"
	c := h.client()
	c.do("MAIL FROM:<x"+long+">", "501 5.5.4 Path too long")
	c.do("MAIL FROM:<"+long+">", "250")
	c.do("RCPT TO:<x"+long+">", "501 5.5.4 Path too long")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	c.do("Subject: x\r\n\r\n.", "250")
	if mail := h.inbox("ada@example.test")[0]; !strings.HasPrefix(mail, "Return-Path: <"+long+">\r\n") {
		t.Errorf("%.2000s", mail)
	}
}

// A pipelined group is answered with one write (RFC 2920 §3.2).
func TestRepliesAreCoalesced(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	client, server := net.Pipe()
	h.serveOne(server)
	defer client.Close()
	read := func() string { // a Pipe gives what one Write wrote
		b := make([]byte, 4096)
		client.SetDeadline(time.Now().Add(20 * time.Second))
		n, err := client.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	read()
	fmt.Fprint(client, "EHLO x\r\n")
	if r := read(); !strings.HasSuffix(r, "250 LIMITS RCPTMAX=1000\r\n") {
		t.Errorf("EHLO got %q", r)
	}
	fmt.Fprint(client, "MAIL FROM:<>\r\nRCPT TO:<ada@example.test>\r\nRCPT TO:<x@example.test>\r\nDATA\r\n")
	if r := read(); strings.Count(r, "\r\n") != 4 || !strings.Contains(r, "354") {
		t.Errorf("a group got %q", r)
	}
}

func TestTapLearnsTheUser(t *testing.T) {
	h := newHouse(t)
	h.config.Role = Submission
	agreed := true
	u := h.user("ada@example.test", "secret")
	if _, err := h.store.UpdateUser(t.Context(), u.ID, store.UserChange{Tap: &agreed}); err != nil {
		t.Fatal(err)
	}
	if err := h.store.AddAlias(t.Context(), "sales@example.test", "ada@example.test"); err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	tapped := &tapped{Conn: server, user: make(chan string, 1)}
	h.serveOne(tapped)
	defer client.Close()
	c := h.raw(client)
	c.want("220")
	c.do("EHLO x", "250")
	c.do("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAc2VjcmV0", "235")
	if got := <-tapped.user; got != "ada@example.test true" {
		t.Errorf("the tap heard %q", got)
	}
	c.do("MAIL FROM:<ada@example.test>", "250")
	c.do("RCPT TO:<sales@example.test>", "250")
	if got := <-tapped.user; got != "sales@example.test: ada@example.test true" {
		t.Errorf("the tap heard %q of a recipient", got)
	}
}

// serveOne serves one connection, which ends before the server does.
func (h *house) serveOne(c net.Conn) {
	l := newChannelListener()
	srv := New(h.config)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	h.Cleanup(func() {
		srv.Shutdown(context.Background())
		<-served
	})
	l.offer(c)
}

type tapped struct {
	net.Conn
	user chan string
}

func (c *tapped) TapUser(address string, optIn bool) { c.user <- fmt.Sprint(address, " ", optIn) }

func (c *tapped) TapRecipient(named string, user func() (string, bool)) {
	address, optIn := user()
	c.user <- fmt.Sprint(named, ": ", address, " ", optIn)
}

func TestShutdown(t *testing.T) {
	h := newHouse(t)
	h.giveTLS()
	h.user("ada@example.test", "secret")
	idle, working := h.client(), h.client()
	working.do("MAIL FROM:<bob@far.test>", "250")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- h.server.Shutdown(ctx)
	}()
	idle.want("421 4.3.2")
	idle.wantEnd()
	working.do("RCPT TO:<ada@example.test>", "250")
	working.do("DATA", "354")
	select {
	case err := <-done:
		t.Fatal("did not wait:", err)
	default:
	}
	working.send("Subject: last\r\n\r\n.\r\n")
	working.want("250")
	working.want("421 4.3.2")
	working.wantEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := h.inbox("ada@example.test"); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}

func TestShutdownLosesPatience(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("MAIL FROM:<bob@far.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	c.do("DATA", "354")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	c.wantEnd()
}

func TestShutdownBeforeServe(t *testing.T) {
	s := New(Config{})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Error(err)
	}
}

func TestFailedHandshake(t *testing.T) {
	h := newHouse(t)
	h.giveTLS()
	c := h.client()
	c.do("STARTTLS", "220")
	c.send("EHLO client.example.test\r\n")
	c.wantEnd()
}
