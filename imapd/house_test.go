package imapd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/store"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	alice    = "alice@example.test"
	password = "correct horse"
)

// A house is a server on loopback with alice in it.
type house struct {
	testing.TB
	server *Server
	store  *store.Store
	alice  store.User
	inbox  store.Mailbox
	addr   string
	log    *logged
}

func newHouse(tb testing.TB, change ...func(*Config)) *house {
	tb.Helper()
	log := &logged{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := store.Open(tb.Context(), store.Options{Dir: tb.TempDir(), Iterations: 4096, Server: true})
	if err != nil {
		tb.Fatal(err)
	}
	limiter := auth.NewLimiter(auth.LimiterConfig{FailuresPerAddress: -1, FailuresPerAccount: -1, Pause: -1})
	config := Config{Hostname: "mail.example.test", Version: "1.2", Store: st, Auth: auth.New(st, limiter, logger), PlaintextOK: true, Log: logger}
	for _, f := range change {
		f(&config)
	}
	h := &house{TB: tb, server: New(config), store: st, log: log}
	h.alice = h.addUser(alice)
	if h.inbox, err = st.Mailbox(tb.Context(), h.alice.ID, "INBOX"); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	h.addr = l.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := h.server.Serve(l); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(h.server.Shutdown(ctx), st.Close()); err != nil {
			tb.Error(err)
		}
		serving.Wait()
	})
	return h
}

// as is the same house within another test.
func (h *house) as(tb testing.TB) *house {
	other := *h
	other.TB = tb
	return &other
}

func (h *house) addUser(address string) store.User {
	h.Helper()
	u, err := h.store.CreateUser(h.Context(), store.NewUser{Address: address, Password: password})
	if err != nil {
		h.Fatal(err)
	}
	return u
}

// put appends messages to a mailbox of alice's.
func (h *house) put(mailbox store.MailboxID, raw ...string) []store.UID {
	h.Helper()
	var all []store.Appended
	for _, r := range raw {
		all = append(all, store.Appended{Body: store.Bytes(crlf(r))})
	}
	uids, _, err := h.store.Append(h.Context(), mailbox, all)
	if err != nil {
		h.Fatal(err)
	}
	return uids
}

func (h *house) putMany(n int) []store.UID {
	raw := make([]string, n)
	for i := range raw {
		raw[i] = fmt.Sprintf("From: Bob <bob@example.test>\nTo: alice@example.test\nSubject: message %d\nDate: Mon, 7 Sep 2026 10:00:00 +0000\nMessage-ID: <m%d@example.test>\n\nText %d.\n", i+1, i+1, i+1)
	}
	return h.put(h.inbox.ID, raw...)
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func (h *house) dial() net.Conn {
	h.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { c.Close() })
	return c
}

// client is a logged-in client of the library's.
func (h *house) client(o *imapclient.Options) *imapclient.Client {
	h.Helper()
	c := imapclient.New(h.dial(), o)
	h.Cleanup(func() { c.Close() })
	if err := c.Login(alice, password).Wait(); err != nil {
		h.Fatal(err)
	}
	return c
}

// A talker sends lines as they are.
type talker struct {
	*house
	net.Conn
	in  *bufio.Reader
	tag int
}

func (h *house) talk() *talker {
	h.Helper()
	return h.talkOver(h.dial())
}

func (h *house) talkOver(c net.Conn) *talker {
	h.Helper()
	t := &talker{house: h, Conn: c}
	t.in = bufio.NewReader(t.Conn)
	if greeting := t.line(); !strings.HasPrefix(greeting, "* OK") {
		h.Fatalf("greeted with %q", greeting)
	}
	return t
}

// login is talk for alice, with a mailbox selected.
func (h *house) login(mailbox string) *talker {
	h.Helper()
	t := h.talk()
	t.enter(mailbox)
	return t
}

func (t *talker) enter(mailbox string) {
	t.Helper()
	t.ok("LOGIN " + alice + " \"" + password + "\"")
	t.ok("SELECT " + mailbox)
}

func (t *talker) line() string {
	t.Helper()
	t.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := t.in.ReadString('\n')
	if err != nil {
		t.Fatalf("read %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (t *talker) send(s string) {
	t.Helper()
	if _, err := io.WriteString(t.Conn, s); err != nil {
		t.Fatal(err)
	}
}

// do sends a command and returns its untagged lines and its result.
func (t *talker) do(command string) (untagged []string, result string) {
	t.Helper()
	t.tag++
	tag := fmt.Sprintf("t%d ", t.tag)
	t.send(tag + command + "\r\n")
	for {
		line := t.line()
		if rest, ok := strings.CutPrefix(line, tag); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

func (t *talker) ok(command string) []string {
	t.Helper()
	untagged, result := t.do(command)
	if !strings.HasPrefix(result, "OK") {
		t.Fatalf("%s: %s", command, result)
	}
	return untagged
}

// refused wants the command's result to begin with prefix.
func (t *talker) refused(command, prefix string) {
	t.Helper()
	if _, result := t.do(command); !strings.HasPrefix(result, prefix) {
		t.Errorf("%.60q: got %q, want %q", command, result, prefix)
	}
}

// over waits for BYE and the end of the connection.
func (t *talker) over() string {
	t.Helper()
	t.SetReadDeadline(time.Now().Add(20 * time.Second))
	rest, err := io.ReadAll(t.in)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest)
}

// logged keeps what the server logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
