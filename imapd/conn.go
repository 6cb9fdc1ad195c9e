package imapd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/listen"
)

// How long the network may take.
const (
	literalTime = 2 * time.Minute // without a single octet of a literal
	writeTime   = 2 * time.Minute // for one buffer full
	tlsTime     = 10 * time.Second
)

// A conn is the wire between a client and the library.
//
// The library reads and writes as if it were a plain connection. In between,
// conn does what the library does not:
//
//   - It hands on one line at a time, having looked at it (command.go), so
//     that it always knows which command is being answered.
//   - It gathers what is written until the library waits for the client
//     again, or until a buffer is full. The library would make one system
//     call of every line.
//   - It puts our own capabilities in the place of the library's (caps.go).
//   - It speaks STARTTLS, so that all of the above also holds under TLS.
//   - It says BYE when the server stops or the session must end.
//
// Notes:
//
//   - Read is called by one goroutine, that of the library. Write is called
//     by it too and, while it waits in Read during IDLE, by the one that
//     idles; out guards what both touch.
//   - An idle connection holds no buffer: lines are read into the library's.
type conn struct {
	server  *Server
	log     *slog.Logger
	peer    *listen.Conn // where whoever runs the server sees how we are
	session *session     // set by NewSession, which runs before the first Read

	in       []byte  // has come, is not handed on
	ready    []byte  // the rest of a line being handed on
	lit      literal // announced by the last line that was handed on
	mistakes int     // lines that were no commands
	failed   error   // what Read returns from now on
	since    time.Time

	out struct {
		sync.Mutex
		buf      *[]byte
		cmd      command // being answered
		answered bool    // its tagged response has been written
		begun    bool    // any response to it has been written
		dead     bool    // nothing may be written any more
	}

	life struct {
		sync.Mutex
		wire    net.Conn // replaced by STARTTLS
		cancel  context.CancelFunc
		patient time.Time // until when the library waits for the client
		bye     string    // set when the connection is to end
		hurry   bool      // not even the rest of a literal is waited for
		waiting bool      // for the client
		literal bool      // for the rest of a command with one
		killed  bool
		closed  bool
	}
}

var _ net.Conn = (*conn)(nil)

// attach gives the connection the session that is held over it.
func (c *conn) attach(s *session) {
	c.session = s
	c.life.Lock()
	defer c.life.Unlock()
	c.life.cancel = s.cancel
}

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

const bufferSize = 64 << 10

func (c *conn) wire() net.Conn {
	c.life.Lock()
	defer c.life.Unlock()
	return c.life.wire
}

// secure reports whether nobody can listen in.
func (c *conn) secure() bool {
	if c.server.config.Secure {
		return true
	}
	_, ok := listen.ConnectionState(c.wire())
	return ok
}

// Write takes what the library, or the session, has to say.
func (c *conn) Write(b []byte) (int, error) {
	c.out.Lock()
	defer c.out.Unlock()
	if err := c.write(c.revise(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// write gathers; out is locked.
func (c *conn) write(b []byte) error {
	if c.out.dead {
		return net.ErrClosed
	}
	if c.out.buf == nil {
		c.out.buf = buffers.Get().(*[]byte)
	}
	if len(*c.out.buf)+len(b) > bufferSize {
		if err := c.send(); err != nil {
			return err
		}
		if len(b) >= bufferSize {
			return c.push(b)
		}
		c.out.buf = buffers.Get().(*[]byte)
	}
	*c.out.buf = append(*c.out.buf, b...)
	return nil
}

// flush sends what has been gathered.
func (c *conn) flush() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.send()
}

// send is flush with out locked. It gives the buffer back.
func (c *conn) send() error {
	buf := c.out.buf
	if buf == nil {
		return nil
	}
	c.out.buf = nil
	err := c.push(*buf)
	*buf = (*buf)[:0]
	buffers.Put(buf)
	return err
}

func (c *conn) push(b []byte) error {
	if c.out.dead {
		return net.ErrClosed
	}
	c.life.Lock()
	w := c.life.wire
	if !c.life.killed {
		w.SetWriteDeadline(time.Now().Add(writeTime))
	}
	c.life.Unlock()
	_, err := w.Write(b)
	if err != nil {
		c.out.dead = true
	}
	return err
}

// fill waits for the client and reads what comes, by way of scratch.
func (c *conn) fill(scratch []byte) error {
	n, err := c.receive(scratch)
	c.in = append(c.in, scratch[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// receive flushes and reads. Here, and nowhere else, the connection waits for
// its client, so here it ends when it is to end.
func (c *conn) receive(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	w, err := c.await()
	if err != nil {
		return 0, c.farewell(err)
	}
	n, err := w.Read(p)
	c.life.Lock()
	c.life.waiting = false
	c.life.Unlock()
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.leave("Nothing was heard for too long") // unless it is leaving already
		return 0, c.farewell(errLeaving)
	}
	return n, err
}

var errLeaving = errors.New("the connection is to end")

// await announces that a read follows. A connection that is to end waits for
// nothing but the rest of a command with a literal, and not for that in a hurry.
func (c *conn) await() (net.Conn, error) {
	c.life.Lock()
	defer c.life.Unlock()
	if c.life.bye != "" && (!c.lit.open || c.life.hurry) {
		return nil, errLeaving
	}
	c.life.waiting = true
	c.life.literal = c.lit.open
	if !c.life.killed {
		until := c.life.patient
		if c.lit.left > 0 { // for which the library allows five minutes, whatever its size
			until = c.beforeLogin(time.Now().Add(literalTime))
		}
		c.life.wire.SetReadDeadline(until)
	}
	return c.life.wire, nil
}

// farewell says BYE, once, and lets the library see the end of the stream.
func (c *conn) farewell(err error) error {
	if !errors.Is(err, errLeaving) {
		return err
	}
	c.life.Lock()
	text := c.life.bye
	c.life.Unlock()
	c.out.Lock()
	defer c.out.Unlock()
	if c.write([]byte("* BYE "+text+"\r\n")) == nil {
		c.send()
	}
	c.out.dead = true
	return io.EOF
}

// leave ends the connection with a BYE, as soon as the command that is being
// carried out has been answered. Any goroutine may call it.
func (c *conn) leave(text string) {
	c.life.Lock()
	defer c.life.Unlock()
	c.end(text)
}

// end is leave with life locked.
func (c *conn) end(text string) {
	if c.life.bye == "" {
		c.life.bye = text
	}
	if c.life.waiting && (!c.life.literal || c.life.hurry) {
		c.life.wire.SetReadDeadline(time.Unix(1, 0))
	}
}

// sendAway is leave that does not wait for a literal that is on its way: a
// message that is not here whole is not kept.
func (c *conn) sendAway(why listen.Reason) {
	text := "An administrator has closed this connection"
	if why == listen.Revoked {
		text = textRevoked
	}
	c.life.Lock()
	defer c.life.Unlock()
	c.life.hurry = true
	c.end(text)
}

const textRevoked = "Please log in again"

// kill ends the connection now. Any goroutine may call it.
func (c *conn) kill() {
	c.life.Lock()
	defer c.life.Unlock()
	c.life.killed = true
	c.life.wire.SetDeadline(time.Unix(1, 0))
	if c.life.cancel != nil {
		c.life.cancel()
	}
}

// SetReadDeadline is how the library limits its waiting. Before a login the
// limit is that of the login.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.life.bye != "" || c.life.killed {
		return nil // leave or kill has set its own
	}
	c.life.patient = c.beforeLogin(t)
	return c.life.wire.SetReadDeadline(c.life.patient)
}

// beforeLogin is t, or the end of the time for logging in when that is sooner.
func (c *conn) beforeLogin(t time.Time) time.Time {
	if limit := c.since.Add(c.server.config.LoginTime); !c.authenticated() && (t.IsZero() || t.After(limit)) {
		return limit
	}
	return t
}

// SetWriteDeadline does nothing: what the library writes is sent later, under
// a deadline of its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is part of [net.Conn]; the library does not use it.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// LocalAddr is our end.
func (c *conn) LocalAddr() net.Addr { return c.wire().LocalAddr() }

// RemoteAddr is the client's end.
func (c *conn) RemoteAddr() net.Addr { return c.wire().RemoteAddr() }

// NetConn is the connection beneath, for whoever looks for TLS.
func (c *conn) NetConn() net.Conn { return c.wire() }

// authenticated reports whether somebody has logged in. Only the library's
// goroutine asks.
func (c *conn) authenticated() bool { return c.session != nil && c.session.user.ID != 0 }

// Close sends what can be sent without waiting for another goroutine, and
// closes.
func (c *conn) Close() error {
	c.life.Lock()
	closed := c.life.closed
	c.life.closed = true
	c.life.Unlock()
	if closed {
		return nil
	}
	if c.out.TryLock() { // else somebody is stuck in a write, which this ends
		c.send()
		c.out.dead = true
		c.out.Unlock()
	}
	err := c.wire().Close()
	c.server.forget(c)
	return err
}
