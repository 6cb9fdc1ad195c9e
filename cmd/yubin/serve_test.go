package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/leak"
)

// testConfig is a configuration on free loopback ports.
func testConfig(t *testing.T, args ...string) *config {
	t.Helper()
	for _, name := range []string{"smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "http", "https", "admin"} {
		args = append([]string{"--" + name + "-addr=127.0.0.1:0"}, args...)
	}
	c, err := configured(t, nil, append([]string{"--data-dir", t.TempDir(), "--users-file", usersFile(t)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func usersFile(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/users"
	if err := os.WriteFile(path, []byte("ada@example.test:countess,of lovelace\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func startNode(t *testing.T, c *config) (*node, runFile) {
	t.Helper()
	n, err := start(t.Context(), c, slog.NewTextHandler(t.Output(), nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRunFile(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	return n, r
}

func stopNode(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := n.stop(ctx); err != nil {
		t.Error(err)
	}
}

// talk is a client that reads and writes lines.
type talk struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dialTo(t *testing.T, address string) talk {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return talk{t, c, bufio.NewReader(c)}
}

// hears reads lines until one has the prefix.
func (k talk) hears(prefix string) string {
	k.t.Helper()
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			k.t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line)
		}
	}
}

func (k talk) says(format string, args ...any) {
	k.t.Helper()
	if _, err := fmt.Fprintf(k.c, format+"\r\n", args...); err != nil {
		k.t.Fatal(err)
	}
}

func TestShutdownSaysGoodbyeInEveryProtocol(t *testing.T) {
	defer leak.Check(t, goleak.IgnoreCurrent())
	n, r := startNode(t, testConfig(t))
	smtp, pop, imap := dialTo(t, r.reach("smtp")), dialTo(t, r.reach("pop3")), dialTo(t, r.reach("imap"))
	smtp.hears("220 ")
	pop.hears("+OK")
	pop.says("USER ada@example.test")
	pop.hears("+OK")
	pop.says("PASS countess,of lovelace")
	pop.hears("+OK")
	imap.hears("* OK")
	imap.says("1 LOGIN ada@example.test \"countess,of lovelace\"")
	imap.hears("1 OK")
	imap.says("2 SELECT INBOX")
	imap.hears("2 OK")
	imap.says("3 IDLE")
	imap.hears("+")

	began := time.Now()
	stopNode(t, n)
	if took := time.Since(began); took > grace/2 {
		t.Errorf("the shutdown took %s", took)
	}
	smtp.hears("421 ")
	imap.hears("* BYE")
	if _, err := io.ReadAll(pop.r); err != nil {
		t.Errorf("POP3 was cut off: %v", err)
	}
	if _, err := os.Stat(runPath(n.cfg.DataDir)); err == nil {
		t.Error("the run file is still there")
	}
	if _, err := net.Dial("tcp", r.reach("admin")); err == nil {
		t.Error("the admin listener still answers")
	}
}

// Who came before, and what a user has sent, is known after a restart.
func TestARestartForgetsNeitherNewcomersNorLimits(t *testing.T) {
	c := testConfig(t, "--auth-greylist", "--auth-greylist-delay=1h0m0.001s", "--auth-trusted-networks=", "--relay-enabled", "--relay-smarthosts=smtp://127.0.0.1:1", "--limits-send-per-user-hour=1")
	// What is left is told in whole seconds, and after a restart it is less.
	for i, want := range []struct{ newcomer, user string }{
		{"please come again in 1h0m1s", "250"},
		{"please come again in ", "452 4.7.28"},
	} {
		n, r := startNode(t, c)
		stranger := dialTo(t, r.reach("smtp"))
		stranger.says("EHLO far.test\r\nMAIL FROM:<kim@far.test>\r\nRCPT TO:<ada@example.test>")
		got := stranger.hears("451 4.7.1")
		if !strings.Contains(got, want.newcomer) || i > 0 && strings.Contains(got, "1h0m1s") {
			t.Errorf("run %d: %s", i, got)
		}
		user := dialTo(t, r.reach("submission"))
		user.says("EHLO here.test\r\nAUTH PLAIN %s\r\nMAIL FROM:<ada@example.test>", base64.StdEncoding.EncodeToString([]byte("\x00ada@example.test\x00countess,of lovelace")))
		user.hears("235")
		user.hears("250")
		user.says("RCPT TO:<kim@far.test>")
		user.hears(want.user)
		for _, k := range []talk{stranger, user} { // nobody waits for a transaction to end
			k.says("QUIT")
			k.hears("221")
		}
		stopNode(t, n)
	}
}

func TestAFolderHasOneServer(t *testing.T) {
	defer leak.Check(t, goleak.IgnoreCurrent())
	c := testConfig(t)
	n, _ := startNode(t, c)
	if _, err := start(t.Context(), c, slog.DiscardHandler); !errors.Is(err, errAlreadyServing) {
		t.Errorf("a second server: %v", err)
	}
	if _, err := readRunFile(c.DataDir); err != nil {
		t.Errorf("the second server took the first one's run file away: %v", err)
	}
	stopNode(t, n)
	n, _ = startNode(t, c)
	stopNode(t, n)
}

func TestAllTakenPortsAreNamedAtOnce(t *testing.T) {
	defer leak.Check(t, goleak.IgnoreCurrent())
	var taken []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken = append(taken, l.Addr().String())
	}
	_, err := start(t.Context(), testConfig(t, "--imap-addr", taken[0], "--pop3-addr", taken[1]), slog.DiscardHandler)
	if err == nil {
		t.Fatal("started on ports that others have")
	}
	var out bytes.Buffer
	p := &program{err: &out, tongue: english}
	p.complain(err)
	for _, want := range []string{
		"yubin: imap.addr: " + taken[0] + " is in use by another program",
		"yubin: pop3.addr: " + taken[1] + " is in use by another program",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
}

func TestAnEmptyAddressSwitchesAListenerOff(t *testing.T) {
	n, r := startNode(t, testConfig(t, "--pop3-addr=", "--admin-addr="))
	defer stopNode(t, n)
	if r.reach("pop3") != "" || r.reach("admin") != "" || r.reach("imap") == "" {
		t.Errorf("listeners: %v", r.Listeners)
	}
	if err := probe(t.Context(), r); err != nil {
		t.Errorf("the health check without an admin listener: %v", err)
	}
}

// wide makes a loopback listener look as if it were bound to all interfaces.
type wide struct{ net.Listener }

func (w wide) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4zero, Port: w.Listener.Addr().(*net.TCPAddr).Port}
}

func TestPlaintextLoginIsDecidedPerListener(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	open := func(allow bool) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		n.cfg.AllowPlaintext = allow
		// A name of its own for each: the metrics have one gauge a listener.
		p := &port{name: fmt.Sprint("imap-", l.Addr()), server: n.imap, listener: wide{l}}
		n.limit(p)
		n.open(p)
		return l.Addr().String()
	}
	offers := func(address string) string {
		k := dialTo(t, address)
		k.says("1 CAPABILITY")
		return k.hears("* CAPABILITY")
	}
	if offer := offers(r.reach("imap")); !strings.Contains(offer, "AUTH=PLAIN") {
		t.Errorf("on loopback: %s", offer)
	}
	if offer := offers(open(false)); !strings.Contains(offer, "LOGINDISABLED") || strings.Contains(offer, "AUTH=PLAIN") || !strings.Contains(offer, "STARTTLS") {
		t.Errorf("beyond loopback: %s", offer)
	}
	if offer := offers(open(true)); !strings.Contains(offer, "AUTH=PLAIN") {
		t.Errorf("allowed beyond loopback: %s", offer)
	}
}

func TestMetricsCountWhatTheLogSays(t *testing.T) {
	var out bytes.Buffer
	m := newMetrics()
	log := slog.New(m.handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})))
	log.With("proto", "pop3").Info("login", "user", "ada")
	log.With("proto", "pop3").Info("login", "user", "ada")
	log.WithGroup("x").With("proto", "imap").Info("login-failed")
	log.Info("accepted", "service", "smtp")
	log.Debug("accepted", "service", "smtp")
	log.Info("something else")
	got := map[string]float64{}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "yubin_events_total" {
			continue
		}
		for _, one := range f.GetMetric() {
			got[one.GetLabel()[0].GetValue()+" "+one.GetLabel()[1].GetValue()] = one.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"login pop3": 2, "login-failed imap": 1, "accepted smtp": 1}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if out.Len() > 0 {
		t.Errorf("logged below its level: %s", out.String())
	}
}

func TestTheAdminListenerAnswersMachines(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	get := func(path string) (int, string) {
		answer, err := http.Get("http://" + r.reach("admin") + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	k := dialTo(t, r.reach("pop3"))
	k.hears("+OK")
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, _ := get(path); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	_, body := get("/metrics")
	for _, want := range []string{`yubin_connections_open{listener="pop3"} 1`, "yubin_store_commits_total ", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	n.stopping.Store(true)
	if code, _ := get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz while stopping: %d", code)
	}
	stopNode(t, n)
	http.DefaultClient.CloseIdleConnections()
}

// firstWord is a writer that tells of its first bytes.
type firstWord struct {
	once sync.Once
	c    chan struct{}
}

func (s *firstWord) Write(b []byte) (int, error) {
	s.once.Do(func() { close(s.c) })
	return len(b), nil
}

func TestTailShowsConversationsWithoutSecrets(t *testing.T) {
	n, r := startNode(t, testConfig(t, "--demo"))
	var out bytes.Buffer
	watching := &firstWord{c: make(chan struct{})}
	p := &program{out: &out, err: watching, tongue: english}
	ended := make(chan error, 1)
	go func() {
		ended <- p.follow(t.Context(), r, url.Values{"proto": {"pop3"}}, false, 7)
	}()
	<-watching.c
	dialTo(t, r.reach("imap")).hears("* OK")
	k := dialTo(t, r.reach("pop3"))
	k.hears("+OK")
	k.says("USER alice@yubin.test")
	k.hears("+OK")
	k.says("PASS alice")
	k.hears("+OK")
	k.says("STAT")
	k.hears("+OK")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"S: +OK", "C: USER alice@yubin.test", "C: PASS", "C: STAT"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("tail lacks %q:\n%s", want, out.String())
		}
	}
	for _, secret := range []string{"PASS alice", "* OK"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("tail shows %q:\n%s", secret, out.String())
		}
	}

	// A server that stops ends the stream.
	watching = &firstWord{c: make(chan struct{})}
	p = &program{out: io.Discard, err: watching, tongue: english}
	go func() { ended <- p.follow(t.Context(), r, nil, true, 0) }()
	<-watching.c
	stopNode(t, n)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the server has stopped") {
		t.Errorf("after the stop: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Setenv("YUBIN_DATA_DIR", t.TempDir())
	t.Setenv("LANG", "C")
	for args, want := range map[string]int{
		"version": exitOK, "": exitOK, "serv": exitUsage, "version x": exitUsage, "serve --nope": exitUsage,
		"user ad": exitUsage, "user set a@b.test --quota x": exitUsage, "user list": exitFailure, "healthcheck": exitFailure,
		"config check --imap-addr x": exitFailure, "doctor --config /nowhere.yaml": 2,
	} {
		if got := run(strings.Fields(args), strings.NewReader(""), io.Discard, io.Discard); got != want {
			t.Errorf("yubin %s: %d, want %d", args, got, want)
		}
	}
}
