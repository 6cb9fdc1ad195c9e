package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"time"
)

// handshakeTime is how long a client may take for the whole TLS handshake.
const handshakeTime = 10 * time.Second

// startTLS makes the handshake and gives the transport to a conn of the
// server for safe transports, which begins from nothing (RFC 3207 §4.2). For
// the library, this conn has come to its end.
func (c *conn) startTLS(wellFormed bool) error {
	config := c.server.config.TLS
	switch {
	case c.isSecure():
		return c.refuse(errSecureAlready)
	case config == nil:
		return c.refuse(errNoTLS)
	case !wellFormed:
		return c.refuse(errParameters)
	case c.in.Buffered() > 0:
		// Sent in clear text, to be run as if it had been sent under TLS.
		c.log.Info("rejected", "reason", "commands after STARTTLS")
		return c.goodbye(errInjected)
	}
	c.say(readyForTLS)
	if err := c.flush(); err != nil {
		return err
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
	safe := tls.Server(c.Conn, config)
	ctx, cancel := context.WithTimeout(c.server.ctx, handshakeTime)
	defer cancel()
	if err := safe.HandshakeContext(ctx); err != nil {
		c.log.Info("rejected", "reason", "TLS handshake", "err", err)
		c.last, c.dead = true, true
		return io.EOF
	}
	c.peer.SetTLS(safe.ConnectionState())
	next := newConn(c.server, safe)
	next.log = c.log
	next.sentAway.CompareAndSwap(nil, c.sentAway.Load()) // in case that has come while TLS began
	next.upgraded, next.mute = true, true                // it has been greeted
	if !c.server.enter(next) {
		c.last = true
		return io.EOF
	}
	c.lent = true
	if !c.server.upgraded.offer(next) {
		next.Close()
	}
	return io.EOF
}
