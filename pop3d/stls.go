package pop3d

import (
	"crypto/tls"
	"net"
	"time"
)

const handshakeTimeout = 10 * time.Second

// stls begins TLS (RFC 2595 §4).
func (s *session) stls([]string) reply {
	switch {
	case s.secure():
		return fail(codeNone, stlsActive)
	case s.TLS == nil:
		return fail(codeNone, stlsNone)
	case s.utf8Mode:
		// RFC 6856 §2.1: a client must not.
		return fail(codeNone, stlsAfter)
	case s.in.Buffered() > 0:
		// Somebody on the way may have put these commands in, to run them
		// as if they had come through TLS.
		s.log.Info("rejected", "reason", "plaintext after STLS")
		return fail(codeNone, stlsPipeline).hangingUp()
	}
	r := ok(stlsBegin)
	r.then = s.startTLS
	return r
}

// startTLS forgets what the connection said before: only what is said under
// TLS counts.
func (s *session) startTLS() error {
	deadline := time.Now().Add(handshakeTimeout)
	if err := s.readBy(deadline); err != nil {
		return err
	}
	if err := s.raw.SetWriteDeadline(deadline); err != nil {
		return err
	}
	conn := tls.Server(s.raw, s.TLS)
	if err := conn.HandshakeContext(s.ctx); err != nil {
		s.log.Info("rejected", "reason", "tls", "err", err)
		return err
	}
	state := conn.ConnectionState()
	s.tls = &state
	s.peer.SetTLS(state)
	s.reset(conn)
	return nil
}

// reset drops whatever the connection said before TLS (RFC 2595 §4).
func (s *session) reset(conn net.Conn) {
	s.conn = conn
	s.in.Reset(conn)
	s.out.Reset(timedWriter{conn, s.WriteTimeout})
	s.language, s.name = &initial, ""
}
