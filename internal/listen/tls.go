package listen

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// handshakeTime is how long a client may take for the whole handshake.
const handshakeTime = 10 * time.Second

// TLS returns a listener for an implicit TLS port. Accept does not wait for
// clients: the first Read or Write of a connection makes the handshake, and
// a client that has not finished it within ten seconds is dropped.
//
// The limit on the handshake is a timer of its own, so the deadlines that a
// protocol server sets, before or after, are kept as they are.
func TLS(l net.Listener, config *tls.Config) net.Listener {
	return &tlsListener{Listener: l, config: config, limit: handshakeTime}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
	limit  time.Duration
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsConn{Conn: tls.Server(c, l.config), limit: l.limit}, nil
}

type tlsConn struct {
	*tls.Conn
	limit time.Duration
	ready atomic.Bool
}

func (c *tlsConn) Read(b []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *tlsConn) Write(b []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Handshake makes the handshake, once. Read and Write call it; calling it
// earlier is allowed.
func (c *tlsConn) Handshake() error {
	if c.ready.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.limit)
	defer cancel()
	// Closes the connection when the context ends first; concurrent callers
	// wait for each other in there.
	if err := c.Conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if c.ready.CompareAndSwap(false, true) {
		Of(c.NetConn()).SetTLS(c.Conn.ConnectionState())
	}
	return nil
}

// ConnectionState makes the handshake first, because a server wants to know
// before it greets. After a failed one, HandshakeComplete is false.
func (c *tlsConn) ConnectionState() tls.ConnectionState {
	_ = c.Handshake() // the next Read or Write reports the error again
	return c.Conn.ConnectionState()
}
