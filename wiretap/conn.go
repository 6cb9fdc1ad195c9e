package wiretap

import (
	"crypto/tls"
	"net"
	"sync/atomic"

	"github.com/yubin-mail/yubin/internal/listen"
)

// Side is which end of a connection we are.
type Side int

// The two sides.
const (
	ServerSide Side = iota
	ClientSide
)

type listener struct {
	net.Listener
	tap             *Tap
	proto, security string
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.tap.Enabled() {
		return c, nil
	}
	return l.tap.wrap(c, l.proto, l.security, ServerSide), nil
}

func (t *Tap) wrap(c net.Conn, proto, security string, side Side) net.Conn {
	tapped := &Conn{Conn: c, record: newRecord(t, addr(c.LocalAddr()), addr(c.RemoteAddr()), proto, security, side)}
	tapped.reads, tapped.writes = Client, Server
	if side == ClientSide {
		tapped.reads, tapped.writes = Server, Client
	}
	return tapped.withState()
}

// withState is the connection with the state of the TLS beneath, if there is.
func (c *Conn) withState() net.Conn {
	if s, ok := listen.Beneath[interface{ ConnectionState() tls.ConnectionState }](c.Conn); ok {
		return &tlsConn{c, s.ConnectionState}
	}
	return c
}

// Conn is a connection that is recorded.
type Conn struct {
	net.Conn
	record        *record
	reads, writes Dir         // whose words Read returns, and Write sends
	covered       atomic.Bool // TLS has started, and is recorded above
	closed        atomic.Bool
}

// tlsConn is a Conn above TLS. It is a type of its own because whoever looks
// for the method ConnectionState takes a connection that has it for safe.
type tlsConn struct {
	*Conn
	state func() tls.ConnectionState
}

func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.state() }

// NetConn returns the connection beneath.
func (c *Conn) NetConn() net.Conn { return c.Conn }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.covered.Load() {
		c.record.heard(c.reads, b[:n])
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	if len(b) > 0 && !c.covered.Load() {
		c.record.heard(c.writes, b)
	}
	return c.Conn.Write(b)
}

// Close closes the connection and ends its session.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.record.end()
	}
	return err
}

// TapUser says whose session this is: see [User].
func (c *Conn) TapUser(address string, optedIn bool) {
	c.record.setUser(address, optedIn)
}

// TapDevice says what the client of this session calls itself.
func (c *Conn) TapDevice(name string) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	c.record.session.Device = name
}

// TapRecipient says that mail of this SMTP session is for a user, and by which
// name the client has called them. The user is asked for only while the
// session is being kept.
func (c *Conn) TapRecipient(named string, user func() (address string, optedIn bool)) {
	if c.record.off.Load() {
		return
	}
	address, optedIn := user()
	c.record.addRecipient(named, address, optedIn)
}

// User tells the tap on conn, if there is one beneath any wrappers, whom the
// session belongs to and whether they have opted in to being recorded. POP3,
// IMAP and submission call it when a login has succeeded, before they say so;
// whom an SMTP session without login is about, TapRecipient says.
func User(conn net.Conn, address string, optedIn bool) {
	if c, ok := listen.Beneath[interface{ TapUser(string, bool) }](conn); ok {
		c.TapUser(address, optedIn)
	}
}
