package listen

import (
	"context"
	"errors"
	"io"
	"net"
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
