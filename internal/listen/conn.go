package listen

import (
	"cmp"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// State is how far a conversation has come, in words of the protocols.
type State int32

// The states. Which of them a protocol knows is its own business.
const (
	Connected     State = iota // nobody has logged in
	Authenticated              // somebody has; nothing is open
	Transaction                // a mail transaction, or a maildrop (RFC 1939 §5)
	Selected                   // an IMAP mailbox (RFC 9051 §3.3)
	Idling                     // IDLE (RFC 9051 §6.3.13)
)

var stateNames = [...]string{"connected", "authenticated", "transaction", "selected", "idle"}

func (s State) String() string { return stateNames[s] }

// Reason is why a connection has to end.
type Reason int

// The reasons.
const (
	ByOperator Reason = iota // somebody who runs the server wants it to
	Revoked                  // the password has changed, or the user may not log in any more
)

// Login is who has logged in, and what tells when that is over. The zero
// Login is nobody.
type Login struct {
	User       int64
	Address    string
	Generation int64
}

// farewell is how long a server has to end a connection in its own words.
// Then it is closed, whatever is under way: a client that takes nothing, or
// sends without an end, cannot stay for that.
const farewell = 5 * time.Second

// ids numbers the connections of all listeners, whatever they speak.
var ids atomic.Uint64

// Conn is an open connection, as its listener knows it and as the server that
// speaks on it has described it. Finding out is for those who run the system;
// protocols do not depend on it, and a nil Conn takes everything and knows
// nothing, so that they need not ask whether there is one.
//
// Octets and times are counted without a lock. What a server tells is told a
// few times in a connection's life, under a lock of its own.
type Conn struct {
	net.Conn
	owner *Limited
	from  *caller // nil when the address is not one
	once  sync.Once

	id       uint64
	since    time.Time
	in, out  atomic.Int64 // octets on the network
	activity atomic.Int64 // nanoseconds from since to the last of them
	state    atomic.Int32

	mu     sync.Mutex
	login  Login
	device string
	secure string
	hangUp func(Reason)
	cut    *time.Timer // closes the connection when farewell is over
}

// Of returns the Conn beneath the wrappers of c, or nil.
func Of(c net.Conn) *Conn {
	found, _ := Beneath[*Conn](c)
	return found
}

// Beneath looks for something that c is, or wraps.
func Beneath[T any](c net.Conn) (found T, ok bool) {
	for c != nil {
		if found, ok = c.(T); ok {
			return found, true
		}
		inner, wraps := c.(interface{ NetConn() net.Conn })
		if !wraps {
			break
		}
		c = inner.NetConn()
	}
	return found, false
}

// Number is the number of the connection beneath c in this process: in the log
// and wherever connections are listed it is the same. One that no [Limited]
// knows gets a number of its own each time.
func Number(c net.Conn) uint64 {
	if found := Of(c); found != nil {
		return found.id
	}
	return ids.Add(1)
}

// NetConn returns the connection beneath.
func (c *Conn) NetConn() net.Conn { return c.Conn }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.in.Add(int64(n))
		c.activity.Store(int64(time.Since(c.since)))
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.out.Add(int64(n))
		c.activity.Store(int64(time.Since(c.since)))
	}
	return n, err
}

// Close closes the connection and gives its place back.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.mu.Lock()
		if c.cut != nil {
			c.cut.Stop()
		}
		c.hangUp = nil
		c.mu.Unlock()
		c.owner.closed(c)
	})
	return err
}

// SetLogin says who has logged in. The zero Login says that they have logged
// out.
func (c *Conn) SetLogin(l Login) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = l
}

// SetDevice says what the client calls itself.
func (c *Conn) SetDevice(name string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.device = name
}

// SetTLS says what a handshake has agreed on.
func (c *Conn) SetTLS(s tls.ConnectionState) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secure = tls.VersionName(s.Version) + " " + tls.CipherSuiteName(s.CipherSuite)
}

// SetState says how far the conversation has come.
func (c *Conn) SetState(s State) {
	if c != nil {
		c.state.Store(int32(s))
	}
}

// OnHangUp says how the server ends this connection in its protocol's words.
// The function must not wait for the client, and may be called from any
// goroutine. Without one the connection is just closed.
func (c *Conn) OnHangUp(end func(Reason)) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp = end
}

// HangUp ends the connection: by the server, in its words, or a few seconds
// later without any.
func (c *Conn) HangUp(why Reason) {
	c.mu.Lock()
	end := c.hangUp
	if end != nil && c.cut == nil {
		c.cut = time.AfterFunc(farewell, func() { c.Close() })
	}
	c.mu.Unlock()
	if end == nil {
		c.Close()
		return
	}
	end(why)
}

// Facts are what is known of a connection at one moment.
type Facts struct {
	ID            uint64
	Remote, Local net.Addr
	Since         time.Time
	Idle          time.Duration // since an octet was sent or received
	In, Out       int64         // octets on the network, from and to the client
	State         State
	Login         Login
	Device        string
	TLS           string // version and cipher suite; "" is none
}

// Facts returns what is known now.
func (c *Conn) Facts() Facts {
	f := Facts{
		ID: c.id, Remote: c.RemoteAddr(), Local: c.LocalAddr(), Since: c.since,
		Idle: time.Since(c.since) - time.Duration(c.activity.Load()),
		In:   c.in.Load(), Out: c.out.Load(), State: State(c.state.Load()),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.Login, f.Device, f.TLS = c.login, c.device, c.secure
	return f
}

// Conns returns the connections that are open, the oldest first.
func (l *Limited) Conns() []*Conn {
	l.mu.Lock()
	open := make([]*Conn, 0, len(l.open))
	for c := range l.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	slices.SortFunc(open, func(a, b *Conn) int { return cmp.Compare(a.id, b.id) })
	return open
}

// ID is the number of the connection, in this process.
func (c *Conn) ID() uint64 { return c.id }
