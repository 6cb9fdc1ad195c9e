package wiretap_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/wiretap"
)

func TestMain(m *testing.M) { leak.Main(m) }

// call is a connection through a tap, with its client's end.
type call struct {
	t      *testing.T
	server net.Conn // ours, tapped
	client net.Conn
}

func newCall(t *testing.T, tap *wiretap.Tap, proto string) *call {
	t.Helper()
	client, server := net.Pipe()
	c := &call{t: t, server: tap.Wrap(server, proto, wiretap.ServerSide), client: client}
	t.Cleanup(c.hangUp)
	return c
}

// talk plays both sides: lines of the client are read by the server, lines
// of the server are written by it.
func (c *call) talk(lines string) {
	c.t.Helper()
	for line := range strings.Lines(strings.TrimPrefix(lines, "\n")) {
		from, to := c.server, c.client
		if line[0] == 'C' {
			from, to = c.client, c.server
		}
		text := strings.TrimSuffix(line[3:], "\n") + "\r\n"
		done := make(chan error)
		go func() {
			_, err := io.ReadFull(to, make([]byte, len(text)))
			done <- err
		}()
		if _, err := io.WriteString(from, text); err != nil {
			c.t.Fatal(err)
		}
		if err := <-done; err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *call) hangUp() {
	c.server.Close()
	c.client.Close()
}

// only returns the transcript of the one session that is kept.
func only(t *testing.T, tap *wiretap.Tap) string {
	t.Helper()
	sessions := tap.Sessions()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions are kept, want 1", len(sessions))
	}
	return wiretap.Transcript(sessions[0])
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDisabledTapChangesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	off := wiretap.New(wiretap.Config{})
	on := wiretap.New(wiretap.Config{Enabled: true})
	var none *wiretap.Tap
	if none.Listen(l, "imap", "") != l || on.Listen(l, "gopher", "") != l {
		t.Error("the listener was changed")
	}
	// It listens, so that it can be enabled, but leaves connections alone.
	for _, tap := range []*wiretap.Tap{off, on} {
		go func() {
			if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
				c.Close()
			}
		}()
		c, err := tap.Listen(l, "imaps", "tls").Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, tapped := c.(*wiretap.Conn); tapped != (tap == on) {
			t.Errorf("the connection is a %T", c)
		}
		c.Close()
	}
	events, cancel := none.Subscribe(wiretap.Filter{})
	cancel()
	if _, open := <-events; open || none.Sessions() != nil {
		t.Error("no tap has something to show")
	}
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	wiretap.User(server, "ada@x", true) // no tap, no effect
}

const login = `
S: +OK ready
C: USER ada
S: +OK
C: PASS geheim
`

func TestSessionIsSeenOnceItsUserIsKnown(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	c := newCall(t, tap, "pop3")
	c.talk(login)
	if n := len(tap.Sessions()); n != 0 {
		t.Fatalf("%d sessions are seen before the login", n)
	}
	wiretap.User(c.server, "ada@x", true)
	c.talk("S: +OK welcome\nC: QUIT\nS: +OK bye\n")
	c.hangUp()
	same(t, only(t, tap), `
S: +OK ready
C: USER ada
S: +OK
C: PASS ••••
S: +OK welcome
C: QUIT
S: +OK bye
`)
	s := tap.Sessions()[0]
	if s.User != "ada@x" || s.Proto != "pop3" || s.End.IsZero() || s.Trips != 3 || s.ClientOctets != 29 {
		t.Errorf("got %+v", s)
	}
	if _, ok := tap.Session(s.ID); !ok {
		t.Error("it is not found by its ID")
	}
}

func TestAPasswordInPlaceOfTheNameIsMasked(t *testing.T) {
	for _, test := range []struct{ proto, talk, want string }{
		{"pop3", "C: USER geheim\nS: +OK\nC: PASS ada@x\nS: -ERR no\nC: user Ada\nS: +OK\nC: PASS geheim\n",
			"C: USER ••••\nS: +OK\nC: PASS ••••\nS: -ERR no\nC: user Ada\nS: +OK\nC: PASS ••••\n"},
		{"imap", "C: 1 LOGIN \"geheim\" ada@x\nS: 1 NO no\nC: 2 LOGIN \"ada@x\" geheim\n",
			"C: 1 LOGIN ••••\nS: 1 NO no\nC: 2 LOGIN \"ada@x\" ••••\n"},
	} {
		tap := wiretap.New(wiretap.Config{Enabled: true})
		c := newCall(t, tap, test.proto)
		c.talk(test.talk)
		wiretap.User(c.server, "ada@x", true)
		same(t, only(t, tap), test.want)
	}
}

func TestWhoHasNotOptedInIsNotKept(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	events, cancel := tap.Subscribe(wiretap.Filter{})
	out := newCall(t, tap, "pop3")
	out.talk(login)
	wiretap.User(out.server, "bob@x", false)
	out.talk("S: +OK welcome\nC: RETR 1\n")
	out.hangUp()
	unknown := newCall(t, tap, "pop3")
	unknown.talk(login)
	unknown.talk("S: -ERR no\n")
	unknown.hangUp()
	cancel()
	for e := range events {
		t.Errorf("a viewer saw %+v", e)
	}
	if n := len(tap.Sessions()); n != 0 {
		t.Errorf("%d sessions are kept", n)
	}
}

func TestEveryone(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	c := newCall(t, tap, "pop3")
	c.talk("S: +OK ready\nC: QUIT\n")
	wiretap.User(c.server, "bob@x", false)
	same(t, only(t, tap), "S: +OK ready\nC: QUIT\n")
}

func TestAnotherUserEndsTheSession(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	c := newCall(t, tap, "imap")
	c.talk("C: 1 LOGIN ada geheim\n")
	wiretap.User(c.server, "ada@x", true)
	c.talk("S: 1 OK\nC: 2 UNAUTHENTICATE\nS: 2 OK\nC: 3 LOGIN bob geheim\n")
	wiretap.User(c.server, "bob@x", false)
	c.talk("S: 3 OK\nC: 4 SELECT Secrets\n")
	same(t, only(t, tap), `
C: 1 LOGIN ada ••••
S: 1 OK
C: 2 UNAUTHENTICATE
S: 2 OK
C: 3 LOGIN bob ••••
# (another user from here)
`)
}

func TestViewerSeesTheSessionFromItsStart(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	mine, cancel := tap.Subscribe(wiretap.Filter{Proto: "pop3s", User: "ada@x"})
	other, cancelOther := tap.Subscribe(wiretap.Filter{Proto: "imap"})
	c := newCall(t, tap, "pop3")
	c.talk(login)
	wiretap.User(c.server, "ada@x", true)
	c.talk("S: +OK welcome\n")
	c.hangUp()
	cancel()
	cancelOther()
	var got []string
	for e := range mine {
		if e.Session.User != "ada@x" {
			t.Errorf("an event of %+v", e.Session)
		}
		if e.Ended {
			got = append(got, "end")
		} else {
			got = append(got, e.Line.String())
		}
	}
	want := "S: +OK ready|C: USER ada|S: +OK|C: PASS ••••|S: +OK welcome|end"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %s", s)
	}
	for e := range other {
		t.Errorf("the viewer of IMAP saw %+v", e)
	}
}

func TestSlowViewerLosesLines(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	events, cancel := tap.Subscribe(wiretap.Filter{})
	c := newCall(t, tap, "pop3")
	const said = 3000
	c.talk("S: +OK ready\n" + strings.Repeat("C: NOOP\n", said))
	seen := 0
	for range 10 {
		<-events
		seen++
	}
	c.talk("C: QUIT\n")
	cancel()
	lost := 0
	for e := range events {
		seen++
		lost += e.Lost
	}
	if seen+lost != said+2 || lost == 0 {
		t.Errorf("seen %d, lost %d of %d", seen, lost, said+2)
	}
}

type secure struct{ net.Conn }

func (secure) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{ServerName: "mail.example.test"}
}

func TestTLSFactsComeThrough(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	client, server := net.Pipe()
	defer client.Close()
	tapped := tap.Wrap(secure{server}, "imap", wiretap.ServerSide)
	defer tapped.Close()
	s, ok := tapped.(interface{ ConnectionState() tls.ConnectionState })
	if !ok || s.ConnectionState().ServerName != "mail.example.test" {
		t.Error("TLS is hidden")
	}
	plain := tap.Wrap(client, "imap", wiretap.ClientSide)
	if _, ok := plain.(interface{ ConnectionState() tls.ConnectionState }); ok {
		t.Error("a connection without TLS looks safe")
	}
	// After STARTTLS, the tap is beneath a *tls.Conn.
	wiretap.User(tls.Server(tapped, nil), "ada@x", true)
	if s := tap.Sessions()[0]; s.User != "ada@x" {
		t.Error("the user was not passed on through TLS")
	}
}

// TestListen records real connections, both sides at once.
func TestListen(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true, Now: func() time.Time { return time.Unix(7, 0) }})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tap.Listen(inner, "pop3", "none")
	conns := map[net.Listener]bool{l: true} // a listener must do as a key
	var serving sync.WaitGroup
	serving.Go(func() {
		for range 4 {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			serving.Go(func() {
				defer c.Close()
				io.WriteString(c, "+OK ready\r\n")
				for s := bufio.NewScanner(c); s.Scan() && s.Text() != "QUIT"; {
					io.WriteString(c, "+OK\r\n")
				}
			})
		}
	})
	for range 4 {
		serving.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c = tap.Wrap(c, "pop3", wiretap.ClientSide)
			io.WriteString(c, strings.Repeat("NOOP\r\n", 100)+"QUIT\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		})
	}
	for range 100 {
		for _, s := range tap.Sessions() {
			s.For("x")
		}
	}
	serving.Wait()
	l.Close()
	delete(conns, l)
	sessions := tap.Sessions()
	if len(sessions) != 8 || len(conns) != 0 {
		t.Fatalf("%d sessions", len(sessions))
	}
	for _, s := range sessions {
		if s.End.Unix() != 7 || len(s.Lines) != 202 || s.ServerOctets != int64(len("+OK ready\r\n")+500) {
			t.Errorf("a session of %d lines, %d octets", len(s.Lines), s.ServerOctets)
		}
	}
}

func BenchmarkTap(b *testing.B) {
	for name, config := range map[string]wiretap.Config{
		"none":     {},
		"unknown":  {Enabled: true},
		"everyone": {Enabled: true, Everyone: true},
	} {
		b.Run(name, func(b *testing.B) {
			tap := wiretap.New(config)
			c := tap.Wrap(discard{}, "pop3", wiretap.ServerSide)
			defer c.Close()
			reply := []byte("+OK\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 60) + ".\r\n")
			io.WriteString(c, "+OK\r\n")
			b.SetBytes(int64(len(reply)))
			b.ReportAllocs()
			for b.Loop() {
				c.Read(make([]byte, 8))
				c.Write(reply)
			}
		})
	}
}

// discard reads RETR for ever, and forgets what is written.
type discard struct{ net.Conn }

func (discard) Read(b []byte) (int, error)  { return copy(b, "RETR 1\r\n"), nil }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Close() error                { return nil }
func (discard) LocalAddr() net.Addr         { return nil }
func (discard) RemoteAddr() net.Addr        { return nil }
