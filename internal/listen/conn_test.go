package listen

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFacts(t *testing.T) {
	inner := newListener()
	l := Limit(inner, Limits{}, nil)
	conns := accepted(t, l)
	client := inner.dial("192.0.2.1:1000")
	server := <-conns
	c := Of(&wrapper{&wrapper{server}})
	if c == nil || Of(&wrapper{client}) != nil || Of(nil) != nil {
		t.Fatal("Of finds what is not there, or not what is")
	}
	go io.WriteString(client, "hello")
	if _, err := io.ReadFull(server, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, client)
	if _, err := io.WriteString(server, "hi"); err != nil {
		t.Fatal(err)
	}
	c.SetState(Selected)
	c.SetDevice("a phone")
	c.SetLogin(Login{7, "ada@example.test", 3})
	f := c.Facts()
	if f.In != 5 || f.Out != 2 || f.State.String() != "selected" || f.Device != "a phone" || f.Login != (Login{7, "ada@example.test", 3}) ||
		f.Remote.String() != "192.0.2.1:1000" || f.ID != c.ID() || f.Idle < 0 || f.Idle > time.Since(f.Since) {
		t.Errorf("%+v", f)
	}
	inner.dial("192.0.2.2:1000")
	if other := Of(<-conns); other.ID() == c.ID() || len(l.Conns()) != 2 || l.Conns()[0] != c {
		t.Errorf("connections %v", l.Conns())
	}
	if n := Number(&wrapper{server}); n != f.ID {
		t.Errorf("%d in the log and %d in the list", n, f.ID)
	}
	if n := Number(client); n == Number(client) {
		t.Errorf("two connections share %d", n)
	}
	server.Close()
	if len(l.Conns()) != 1 {
		t.Error("a closed connection is listed")
	}
	var none *Conn // a server on a listener without books
	none.SetState(Idling)
	none.SetLogin(Login{})
	none.SetDevice("")
	none.OnHangUp(nil)
}

func TestHangUp(t *testing.T) {
	inner := newListener()
	conns := accepted(t, Limit(inner, Limits{}, nil))
	client := inner.dial("192.0.2.1:1000")
	c := Of(<-conns)
	why := Reason(-1)
	c.OnHangUp(func(r Reason) { why = r })
	c.HangUp(Revoked)
	if why != Revoked {
		t.Errorf("the server was told %d", why)
	}
	if c.cut == nil {
		t.Error("nothing closes it when the server does not")
	}
	c.Close()
	if c.cut.Stop() {
		t.Error("the timer of a closed connection runs on")
	}
	c.HangUp(ByOperator) // too late, and harmless
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}

	client = inner.dial("192.0.2.1:1001")
	Of(<-conns).HangUp(ByOperator) // nobody speaks on it yet
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestRefusalsAreCountedAndTold(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	var log bytes.Buffer
	inner := newListener()
	l := Limit(inner, Limits{
		PerAddress: 1, Total: 2, Rate: 3, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	}, refuse)
	conns := accepted(t, l)
	inner.dial("192.0.2.1:1")
	<-conns
	for range 4 { // two by the number from there, then two by the rate
		refused(t, inner.dial("192.0.2.1:2"))
	}
	inner.dial("192.0.2.2:1")
	<-conns
	refused(t, inner.dial("192.0.2.3:1"))
	if got := l.Refused(); got != (Refused{Rate: 2, PerAddress: 2, Total: 1}) || got.All() != 5 {
		t.Errorf("%+v", got)
	}
	told := func(want ...string) {
		t.Helper()
		l.mu.Lock()
		defer l.mu.Unlock()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("the log has %q", lines)
		}
		for i, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("%q lacks %q", lines[i], w)
			}
		}
	}
	first := `count=1 limit="connections from one address" last=192.0.2.1:2`
	told(first)
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	refused(t, inner.dial("192.0.2.3:2"))
	told(first, "count=4 limit=connections last=192.0.2.3:1")
	l.Close()
	told(first, "count=4", "count=1 limit=connections last=192.0.2.3:2")
}

// BenchmarkConn is what the books cost each Read or Write, beside one that
// does nothing and beside one that is a system call. Both run in turns, so
// that a busy machine is busy for both.
func BenchmarkConn(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	go io.Copy(io.Discard, client)
	books := Limit(l, Limits{}, nil)
	buf := make([]byte, 1<<10)
	for name, c := range map[string]net.Conn{"nothing": idle{server}, "tcp": server} {
		b.Run(name, func(b *testing.B) {
			counted := &Conn{Conn: c, owner: books, since: time.Now()}
			var took [2]time.Duration
			for b.Loop() {
				for i, c := range []net.Conn{c, counted} {
					began := time.Now()
					for range 100 {
						if _, err := c.Write(buf); err != nil {
							b.Fatal(err)
						}
					}
					took[i] += time.Since(began)
				}
			}
			b.ReportMetric(float64((took[1]-took[0]).Nanoseconds())/float64(b.N)/100, "ns-more/write")
			b.ReportMetric(float64(took[1])/float64(took[0]), "counted/bare")
		})
	}
}

// idle takes everything and does nothing.
type idle struct{ net.Conn }

func (idle) Write(b []byte) (int, error) { return len(b), nil }
