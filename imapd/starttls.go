package imapd

import (
	"context"
	"crypto/tls"
	"errors"
)

// startTLS answers STARTTLS (RFC 9051 §6.2.1) and goes on under TLS.
func (c *conn) startTLS(cmd command) error {
	if c.authenticated() || c.secure() {
		c.answer(cmd, "BAD [CLIENTBUG] TLS is not needed, or too late")
		return nil
	}
	if len(c.in) > 0 { // sent in the clear, meant to be taken for encrypted
		return errors.New("octets between STARTTLS and TLS")
	}
	c.answer(cmd, "OK Begin TLS negotiation now")
	if err := c.flush(); err != nil {
		return err
	}
	plain := c.wire()
	secured := tls.Server(plain, c.server.config.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), tlsTime)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	c.peer.SetTLS(secured.ConnectionState())
	c.life.Lock()
	defer c.life.Unlock()
	c.life.wire = secured
	return secured.SetReadDeadline(c.since.Add(c.server.config.LoginTime))
}
