package pop3d

import (
	"bufio"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
)

// A session is one connection. It belongs to one goroutine; the others may
// only interrupt it.
type session struct {
	*Config
	logins *logins
	ctx    context.Context // the server's, with our log in it
	log    *slog.Logger

	peer *listen.Conn // where whoever runs the server sees how we are
	raw  net.Conn     // as accepted
	conn net.Conn     // raw, or TLS over it after STLS
	tls  *tls.ConnectionState
	in   *bufio.Reader
	out  *bufio.Writer

	mu          sync.Mutex
	interrupted *reply // the last one, once the session is to end

	language *language
	utf8Mode bool      // RFC 6856 §2.1
	loginBy  time.Time // end of the AUTHORIZATION state
	name     string    // what USER said
	failures int       // failed logins
	nonsense int       // lines in a row that were no command
	verb     string    // being answered, for the log

	drop *maildrop // nil in the AUTHORIZATION state
	access
}

const (
	inBuffer  = maxResponse
	outBuffer = 32 << 10
	// A client that fails this often is guessing or broken.
	maxFailures = 5
	maxNonsense = 10
)

func newSession(srv *Server, conn net.Conn) *session {
	s := &session{Config: &srv.config, logins: &srv.logins, raw: conn, conn: conn, language: &initial}
	s.log = s.Log.With("proto", "pop3", "conn", listen.Number(conn), "remote", conn.RemoteAddr().String())
	s.ctx = auth.WithLog(srv.ctx, s.log)
	s.peer = listen.Of(conn)
	s.peer.OnHangUp(s.sendAway)
	s.in = bufio.NewReaderSize(conn, inBuffer)
	s.out = bufio.NewWriterSize(timedWriter{conn, s.WriteTimeout}, outBuffer)
	return s
}

// serve answers one line after the other until either side has had enough.
func (s *session) serve() {
	s.loginBy = time.Now().Add(s.LoginTimeout)
	// The greeting makes the handshake of an implicit TLS connection, and
	// that reads.
	if s.readBy(s.loginBy) != nil {
		return
	}
	if s.write(ok(greeting, s.Hostname)) != nil || s.out.Flush() != nil {
		return
	}
	if state, found := listen.ConnectionState(s.conn); found {
		s.tls = &state
	}
	for {
		r := s.next()
		if s.write(r) != nil {
			return
		}
		if r.hangup {
			s.out.Flush()
			return
		}
		if r.then != nil && (s.out.Flush() != nil || r.then() != nil) {
			return
		}
	}
}

// next waits for a command and answers it.
func (s *session) next() reply {
	line, err := s.readLine(maxCommand)
	if listen.IsHTTP([]byte(line)) { // too long or not
		// Somebody's browser was made to talk to us: not another word.
		s.log.Info("rejected", "reason", "http")
		return gone
	}
	if err != nil {
		return s.unread(err)
	}
	c, err := parse(line)
	if err != nil {
		return s.bad(fail(codeNone, notPrintable))
	}
	return s.answer(c)
}

// answer runs the method named for the verb.
func (s *session) answer(c command) reply {
	v, known := verbs[c.verb]
	if !known {
		return s.bad(fail(codeNone, unknownCommand))
	}
	args, fits := c.args(v)
	if !fits {
		return s.bad(fail(codeNone, wrongArguments))
	}
	s.nonsense = 0
	s.verb = c.verb
	switch {
	case v.in&s.state() == 0 && s.drop == nil:
		return fail(codeNone, loginFirst)
	case v.in&s.state() == 0:
		return fail(codeNone, alreadyIn)
	case s.drop != nil && s.revoked():
		return fail(codeAuth, accessEnded).hangingUp()
	}
	return v.run(s, args)
}

func (s *session) state() state {
	if s.drop == nil {
		return authorization
	}
	return transaction
}

// bad is r for a line that was no command. Too many of them in a row end the
// connection.
func (s *session) bad(r reply) reply {
	s.nonsense++
	if s.nonsense < maxNonsense {
		return r
	}
	s.log.Info("rejected", "reason", "too many bad commands")
	return fail(r.code, tooMuchOfThis).hangingUp()
}

// write puts a reply into the output buffer. The body runs even when the
// buffer has failed already: it may have something to close.
func (s *session) write(r reply) error {
	if r.mute {
		return nil
	}
	_, err := s.out.WriteString(r.status(s.language) + "\r\n")
	if r.body == nil {
		return err
	}
	if err := r.body(s.out); err != nil {
		// The status line has gone: only a missing end can say that the
		// rest is not all there.
		s.log.Info("failed", "verb", s.verb, "err", err)
		return err
	}
	_, err = s.out.WriteString(".\r\n")
	return err
}

// close frees the maildrop before the connection, so that who sees the
// connection end can log in again. It may be called more than once.
func (s *session) close() {
	if s.drop != nil {
		s.drop.Close()
	}
	s.conn.Close()
}

// secure reports whether the client's words cross the network encrypted.
func (s *session) secure() bool { return s.Secure || s.tls != nil }

// mayLogin reports whether a password may be sent to us now.
func (s *session) mayLogin() bool { return s.secure() || s.PlaintextOK }

// timedWriter gives the client a limited time for every write, so that one
// who stops reading cannot hold a session for ever.
type timedWriter struct {
	conn  net.Conn
	limit time.Duration
}

func (w timedWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}
