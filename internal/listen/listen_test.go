package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// listener is a listener whose connections are made by hand, from any
// address.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return address("127.0.0.1:25") }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

type fromConn struct {
	net.Conn
	from address
}

func (c fromConn) RemoteAddr() net.Addr { return c.from }

// dial makes a connection from an address and returns the client's end.
func (l *listener) dial(from string) net.Conn {
	client, server := net.Pipe()
	l.conns <- fromConn{server, address(from)}
	return client
}

// accepted serves a limited listener: what it accepts arrives in the channel.
func accepted(t *testing.T, l net.Listener) <-chan net.Conn {
	t.Helper()
	conns := make(chan net.Conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return conns
}

func refuse(c net.Conn) { io.WriteString(c, "421 4.7.0 too many connections\r\n") }

// refused fails unless the server says no to the client.
func refused(t *testing.T, c net.Conn) {
	t.Helper()
	said, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(said), "421 ") {
		t.Fatalf("not refused: %q, %v", said, err)
	}
}

func TestLimitPerAddress(t *testing.T) {
	inner := newListener()
	l := Limit(inner, Limits{PerAddress: 2}, refuse)
	conns := accepted(t, l)
	open := func(from string) (client, server net.Conn) {
		client = inner.dial(from)
		return client, <-conns
	}
	_, one := open("192.0.2.1:1000")
	open("192.0.2.1:1001")
	refused(t, inner.dial("192.0.2.1:1002"))
	refused(t, inner.dial("[::ffff:192.0.2.1]:1002"))
	open("192.0.2.2:1000")
	one.Close()
	one.Close() // counts once
	open("192.0.2.1:1003")
	refused(t, inner.dial("192.0.2.1:1004"))

	open("[2001:db8:0:1::1]:1000")
	open("[2001:db8:0:1:ffff::2%eth0]:1000")
	refused(t, inner.dial("[2001:db8:0:1::3]:1000"))
	open("[2001:db8:0:2::1]:1000")
	if got := l.Open(); got != 6 {
		t.Errorf("%d are open, want 6", got)
	}
	open("pipe")
	open("pipe")
	open("pipe") // no address, no limit
}

func TestLimitTotal(t *testing.T) {
	inner := newListener()
	conns := accepted(t, Limit(inner, Limits{Total: 1}, refuse))
	inner.dial("192.0.2.1:1000")
	first := <-conns
	refused(t, inner.dial("192.0.2.2:1000"))
	first.Close()
	inner.dial("192.0.2.2:1001")
	<-conns
}

func TestLimitRate(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	inner := newListener()
	l := Limit(inner, Limits{Rate: 2, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}, refuse)
	conns := accepted(t, l)
	for range 2 {
		inner.dial("192.0.2.1:1000")
		(<-conns).Close()
	}
	refused(t, inner.dial("192.0.2.1:1000"))
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	inner.dial("192.0.2.1:1000")
	(<-conns).Close()
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	inner.dial("192.0.2.9:1000")
	(<-conns).Close()
	if l.mu.Lock(); len(l.callers) != 1 {
		t.Errorf("%d addresses are remembered, want 1", len(l.callers))
	}
	l.mu.Unlock()
}

func TestRefusalsAreBounded(t *testing.T) {
	inner := newListener()
	release := make(chan struct{})
	l := Limit(inner, Limits{Rate: 1}, func(net.Conn) { <-release })
	conns := accepted(t, l)
	inner.dial("192.0.2.1:1")
	<-conns
	for range refusals {
		inner.dial("192.0.2.1:1")
	}
	said, err := io.ReadAll(inner.dial("192.0.2.1:1"))
	if len(said) > 0 || err != nil {
		t.Errorf("the one too many heard %q, %v", said, err)
	}
	close(release)
}

func TestDrain(t *testing.T) {
	inner := newListener()
	l := Limit(inner, Limits{}, nil)
	conns := accepted(t, l)
	if err := l.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	inner.dial("192.0.2.1:1000")
	one := <-conns
	inner.dial("192.0.2.1:1001")
	two := <-conns
	l.Close()
	drained := make(chan error)
	go func() { drained <- l.Drain(t.Context()) }()
	one.Close()
	two.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestDrainClosesWhatRemains(t *testing.T) {
	inner := newListener()
	l := Limit(inner, Limits{}, nil)
	conns := accepted(t, l)
	client := inner.dial("192.0.2.1:1000")
	<-conns
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// certificate makes a self-signed one for a test.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "mail.example.test"}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialTCP(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := TLS(Limit(listenTCP(t), Limits{}, nil), serverTLS)
	conns := accepted(t, l)

	dialTCP(t, l) // a silent one, which must not keep the next from being served
	(<-conns).Close()

	raw := dialTCP(t, l)
	server := <-conns
	defer server.Close()
	greeted := make(chan error)
	go func() {
		_, err := io.WriteString(server, "hello\r\n") // makes the handshake
		greeted <- err
	}()
	client := tls.Client(raw, clientTLS)
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil || line != "hello\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}

	state, ok := ConnectionState(struct{ net.Conn }{server})
	if ok {
		t.Error("a wrapper that shows nothing was seen through")
	}
	state, ok = ConnectionState(&wrapper{server})
	if !ok || state.Version != tls.VersionTLS13 {
		t.Fatalf("got %v, %v", state.Version, ok)
	}
}

type wrapper struct{ net.Conn }

func (w *wrapper) NetConn() net.Conn { return w.Conn }

func TestNoTLS(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if _, ok := ConnectionState(&wrapper{server}); ok {
		t.Error("a pipe speaks TLS")
	}
}

func TestSilentClientIsDropped(t *testing.T) {
	serverTLS, _ := certificate(t)
	l := TLS(listenTCP(t), serverTLS)
	l.(*tlsListener).limit = 50 * time.Millisecond
	conns := accepted(t, l)
	client := dialTCP(t, l)
	server := <-conns
	defer server.Close()
	server.SetReadDeadline(time.Now().Add(time.Hour))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client got %v", err)
	}
	if state, _ := ConnectionState(server); state.HandshakeComplete {
		t.Error("the handshake is complete")
	}
}

func TestDeadlineSetBeforeTheHandshakeHolds(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := TLS(listenTCP(t), serverTLS)
	conns := accepted(t, l)
	client := tls.Client(dialTCP(t, l), clientTLS)
	server := <-conns
	defer server.Close()
	server.SetReadDeadline(time.Now().Add(2 * time.Second))
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := <-shaken; err != nil {
		t.Error(err)
	}
}

func TestHTTPGuard(t *testing.T) {
	for _, test := range []struct {
		said string
		http bool
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n", true},
		{"POST http://x/ HTTP/1.1\r\n", true},
		{"PUT /x", true},
		{"CONNECT mail:25 HTTP/1.1\r\n", true},
		{"OPTIONS * HTTP/1.1\r\n", true},
		{"PRI * HTTP/2.0\r\n", true},
		{"DELETE /1\r\n", true},
		{"GET NOOP\r\n", false},
		{"HEAD LOGIN a b\r\n", false},
		{"DELE 1\r\n", false},
		{"EHLO GET / HTTP/1.1\r\n", false},
		{"NOOP\r\nGET / HTTP/1.1\r\n", false}, // not the first line
		{"\r\n", false},
		{strings.Repeat("x", 2*maxFirstLine) + "\r\n", false},
	} {
		for _, size := range []int{1, 3, len(test.said)} {
			inner := newListener()
			conns := accepted(t, HTTPGuard(inner))
			client := inner.dial("192.0.2.1:1000")
			server := <-conns
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				defer client.Close()
				for rest := test.said; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(client, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			got, err := io.ReadAll(server)
			<-sent
			server.Close()
			if test.http {
				if !errors.Is(err, ErrHTTP) || bytes.Contains(got, []byte("\n")) {
					t.Errorf("%.30q by %d: got %q, %v", test.said, size, got, err)
				}
			} else if err != nil || string(got) != test.said {
				t.Errorf("%.30q by %d: got %.30q, %v", test.said, size, got, err)
			}
		}
	}
}

func TestHTTPGuardKnowsTLS(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	l := HTTPGuard(TLS(listenTCP(t), serverTLS))
	conns := accepted(t, l)
	client := tls.Client(dialTCP(t, l), clientTLS)
	server := <-conns
	defer server.Close()
	go io.WriteString(client, "GET / HTTP/1.1\r\n")
	if _, err := server.Read(make([]byte, 100)); !errors.Is(err, ErrHTTP) {
		t.Errorf("got %v", err)
	}
	if _, ok := server.(interface{ ConnectionState() tls.ConnectionState }); !ok {
		t.Error("the guard hides TLS")
	}
}
