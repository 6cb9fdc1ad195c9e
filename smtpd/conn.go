package smtpd

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
)

const (
	// maxCommand is the longest command line, with its end. RFC 5321
	// §4.5.3.1.4 asks for 512, and each extension for some more.
	maxCommand = 4096
	// maxAuth is the same within AUTH, from RFC 4954 §4.
	maxAuth = 12288
)

// conn is what the library reads commands from, one line at a time. Messages
// go past the library, through [conn.message].
//
// All of it belongs to the goroutine of the connection, except drain and the
// fields it names.
type conn struct {
	net.Conn // the transport, with or without TLS
	server   *Server
	log      *slog.Logger
	peer     *listen.Conn // where whoever runs the server sees how we are

	in  *bufio.Reader // from transport, and so from Conn
	out []byte        // replies that the client has not been sent

	pending []byte       // of a line, what the library has not taken
	replay  []byte       // a line that has been read and is run next
	chunks  *chunkReader // of the message that BDAT has begun
	mute    bool         // the library's next reply is not for the client

	upgraded bool // Conn is what STARTTLS made
	lent     bool // Conn belongs to another conn now
	last     bool // nothing is read any more
	dead     bool // and nothing written

	answering  bool // the next line answers a SASL challenge
	extended   bool // the client said EHLO
	recipients int  // of the transaction
	refusals   int  // of commands, addresses and passwords, for patience
	failures   int  // of passwords

	budget *budget // while a message is being read

	draining atomic.Bool           // Shutdown has been called
	busy     atomic.Bool           // a mail transaction is open
	sentAway atomic.Pointer[reply] // the last word; what is under way may not end first
}

func newConn(s *Server, transport net.Conn) *conn {
	c := &conn{
		Conn:   transport,
		server: s,
		log:    s.config.Log.With("proto", "smtp", "conn", listen.Number(transport), "remote", transport.RemoteAddr().String()),
	}
	c.in = bufio.NewReaderSize(source{c}, maxAuth)
	c.peer = listen.Of(transport)
	c.peer.OnHangUp(c.sendAway)
	return c
}

// NetConn returns the connection beneath.
func (c *conn) NetConn() net.Conn { return c.Conn }

// isSecure reports whether nobody in between can read along.
func (c *conn) isSecure() bool { return c.upgraded || c.server.config.Secure }

// Read gives the library what it may see next.
func (c *conn) Read(b []byte) (int, error) {
	for {
		switch {
		case len(c.pending) > 0:
			n := copy(b, c.pending)
			c.pending = c.pending[n:]
			return n, nil
		case c.last || c.lent:
			c.flush()
			return 0, io.EOF
		default:
			if err := c.nextLine(); err != nil {
				return 0, err
			}
		}
	}
}

// nextLine waits for a line that the library may run.
func (c *conn) nextLine() error {
	if r := c.lastWord(); r != nil {
		return c.goodbye(r)
	}
	if c.chunks != nil {
		return c.abandon(errors.New("the library did not take the message"))
	}
	if line := c.replay; line != nil {
		c.replay = nil
		return c.screen(line)
	}
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return c.goodbye(errLongLine)
	case err != nil && isTimeout(err):
		return c.goodbye(cmp.Or(c.lastWord(), errIdle))
	case err != nil: // an unfinished line is no command
		c.last = true
		return io.EOF
	}
	return c.screen(line)
}

// abandon ends a connection on which a message broke off, so that nothing
// that comes late is taken for a command.
func (c *conn) abandon(err error) error {
	r := c.sentAway.Load()
	if r == nil && isTimeout(err) {
		r = errSlow
	}
	if r != nil {
		c.say(r)
	}
	c.flush()
	if c.sentAway.Load() != nil {
		c.hearOut()
	}
	c.log.Debug("message broke off", "err", err)
	c.budget, c.last, c.dead = nil, true, true
	c.Conn.Close()
	return errBrokenOff
}

// goodbye says why, and ends the connection.
func (c *conn) goodbye(r *reply) error {
	c.say(r)
	c.flush()
	c.last = true
	return io.EOF
}

// hangUp ends the connection after the reply that is on its way.
func (c *conn) hangUp() { c.last = true }

// say puts a reply of ours among those of the library.
func (c *conn) say(r *reply) { c.out = append(c.out, line(r)...) }

// Write keeps the library's replies until the client is waited for.
func (c *conn) Write(b []byte) (int, error) {
	if c.mute || c.lent || c.dead {
		c.mute = false // each line is one write, and what we mute has one line
		return len(b), nil
	}
	c.out = append(c.out, c.rephrase(b)...)
	if len(c.out) > 16<<10 { // a pipeline of very many commands
		return len(b), c.flush()
	}
	return len(b), nil
}

func (c *conn) flush() error {
	if len(c.out) == 0 || c.lent || c.dead {
		return nil
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(c.server.config.WriteTimeout))
	_, err := c.Conn.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 4<<10 {
		c.out = nil
	}
	return err
}

// Close closes the transport, unless another conn has taken it over.
func (c *conn) Close() error {
	c.server.leave(c)
	c.flush()
	c.last = true
	if c.lent {
		return nil
	}
	return c.Conn.Close()
}

// SetReadDeadline is for the library, which sets one before each command.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.lent || c.last {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline does nothing: flush knows when it writes.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// drain makes the connection end as soon as no transaction is open. It may
// be called from any goroutine.
func (c *conn) drain() {
	c.draining.Store(true)
	if !c.busy.Load() {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes whoever waits for a command
	}
}

// sendAway ends the connection with 421: between two commands, or in the
// middle of a message, which then is not accepted. A message that is here
// whole is answered first. It may be called from any goroutine.
func (c *conn) sendAway(why listen.Reason) {
	r := errSentAway
	if why == listen.Revoked {
		r = errLoginGone
	}
	c.sentAway.CompareAndSwap(nil, r)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes whoever waits for the client
}

// lastWord is what ends the connection now, or nil.
func (c *conn) lastWord() *reply {
	if r := c.sentAway.Load(); r != nil {
		return r
	}
	if c.draining.Load() && !c.busy.Load() {
		return errShutdown
	}
	return nil
}

// hearOut reads and drops what a client is still sending. To close at once
// would reset the connection, and our last word would be lost.
func (c *conn) hearOut() {
	_ = c.Conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, c.Conn, 1<<20)
}

// source is where conn.in reads from: the only place that waits for a client.
type source struct{ c *conn }

func (s source) Read(b []byte) (int, error) {
	c := s.c
	if err := c.flush(); err != nil {
		return 0, err
	}
	if c.budget == nil {
		return c.Conn.Read(b)
	}
	if err := c.Conn.SetReadDeadline(c.budget.deadline()); err != nil {
		return 0, err
	}
	if c.sentAway.Load() != nil { // perhaps the deadline above has replaced that of sendAway
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Read(b)
	c.budget.octets += int64(n)
	return n, err
}

// budget is the time a client has for a message.
type budget struct {
	start   time.Time
	octets  int64
	silence time.Duration
	rate    int64
}

func (c *conn) newBudget() *budget {
	return &budget{start: time.Now(), silence: c.server.config.DataTimeout, rate: c.server.config.MinRate}
}

func (b *budget) deadline() time.Time {
	earned := b.start.Add(b.silence + time.Duration(b.octets/b.rate)*time.Second)
	if silent := time.Now().Add(b.silence); silent.Before(earned) {
		return silent
	}
	return earned
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// tapRecipient tells whoever records conversations who gets a mail, and by
// which name the client knows them. The user is looked up only when somebody
// listens.
func (s *session) tapRecipient(named string, id store.UserID) {
	t, ok := listen.Beneath[interface {
		TapRecipient(named string, user func() (address string, optIn bool))
	}](s.conn.Conn)
	if !ok {
		return
	}
	t.TapRecipient(named, func() (string, bool) {
		u, err := s.Store.User(s.ctx, id)
		return u.Address, err == nil && u.Tap
	})
}
