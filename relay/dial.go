package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/wiretap"
)

// level is how much a mail itself asks of the connection.
type level int

const (
	ordinary level = iota
	strict         // RFC 8689 §4: REQUIRETLS
	relaxed        // RFC 8689 §3: "TLS-Required: No"
)

// protection is what a connection to one address must fulfil.
type protection struct {
	security Security
	dane     []resolve.TLSA
	names    []string // one of which a certificate below a DANE authority must have
}

// errHandshake is a TLS handshake that failed.
type errHandshake struct{ error }

// interrupted reports whether the network, or the other side, ended it.
func (e errHandshake) interrupted() bool {
	var network net.Error
	return errors.Is(e.error, io.EOF) || errors.As(e.error, &network)
}

// connect brings up a connection to h, at one of its addresses.
func (r *Relay) connect(ctx context.Context, h host, l level) (*conn, *verdict) {
	addrs, authentic, v := r.addresses(ctx, h)
	if v != nil {
		return nil, v
	}
	p := protection{security: h.security}
	if !(l == relaxed && h.mx) {
		required, records, v := r.dane(ctx, h, authentic)
		switch {
		case v != nil:
			return nil, v
		case required && len(records) > 0:
			p = protection{Verified, records, []string{h.name, h.domain}}
		case required:
			// RFC 7672 §2.2: records nobody can use still promise TLS.
			p.security = max(p.security, Encrypted)
		}
	} else {
		p.security = r.TLS
	}
	if l == strict {
		p.security = Verified
	}
	for _, addr := range addrs {
		c, why := r.dial(ctx, h, l, addr, p)
		if why == nil {
			if why = c.fit(l, p); why == nil {
				return c, nil
			}
			c.quit()
		}
		r.Log.Debug("no connection", "host", h.name, "addr", addr, "reason", why.reply())
		v = milder(v, why)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, v
}

// fit reports whether a mail of this level may go over c.
func (c *conn) fit(l level, p protection) *verdict {
	if l != strict {
		return nil
	}
	// RFC 8689 §4.2.1: the name of the server must be known safely too.
	known := !c.host.mx || c.host.authentic || c.host.sts || len(p.dane) > 0
	switch {
	case c.tls == nil, !c.proven, !c.offers("REQUIRETLS"):
		return never("7.30", "the mail must not travel without TLS (REQUIRETLS), which %s does not promise", c.host.name)
	case !known:
		return never("7.30", "the mail must not travel without TLS (REQUIRETLS), and nothing safe (DNSSEC, MTA-STS) says that %s is the server of %s", c.host.name, c.host.domain)
	}
	return nil
}

// dial connects to one address. Where TLS is only a chance, a handshake that
// fails is followed by one try without it.
func (r *Relay) dial(ctx context.Context, h host, l level, addr netip.Addr, p protection) (*conn, *verdict) {
	c, err := r.open(ctx, h, l, addr, p)
	var bad errHandshake
	if errors.As(err, &bad) && p.security == Opportunistic && ctx.Err() == nil {
		r.Log.Info("TLS failed, going on in clear", "host", h.name, "addr", addr, "err", bad.Error())
		p.security = Plain
		c, err = r.open(ctx, h, l, addr, p)
	}
	var v *verdict
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &v):
		return nil, v
	case errors.As(err, &bad) && l == strict && !bad.interrupted():
		return nil, never("7.10", "the mail must not travel without TLS (REQUIRETLS), and that of %s proves nothing: %s", h.name, reason(bad.error))
	case errors.As(err, &bad):
		return nil, later("7.5", "TLS with %s failed: %s", h.name, reason(bad.error))
	}
	return nil, later("4.1", "no connection to %s: %s", h.name, reason(err))
}

// open is one TCP connection up to the point where mail can be sent. Its
// error is a verdict, an errHandshake, or one of the network.
func (r *Relay) open(ctx context.Context, h host, l level, addr netip.Addr, p protection) (_ *conn, err error) {
	connecting, cancel := context.WithTimeout(ctx, r.Timeouts.Connect)
	nc, err := r.Dial(connecting, "tcp", net.JoinHostPort(addr.String(), strconv.Itoa(h.port)))
	cancel()
	if err != nil {
		return nil, err
	}
	id := "out-" + strconv.FormatInt(r.conns.Add(1), 10)
	c := &conn{host: h, level: l, id: id, log: r.Log.With("proto", "smtp", "conn", id, "host", h.name, "addr", addr.String()),
		timeouts: r.Timeouts, hostname: r.Hostname}
	nc = r.Tap.Wrap(nc, "relay", wiretap.ClientSide)
	c.use(nc)
	c.release = context.AfterFunc(ctx, func() { nc.Close() })
	defer func() {
		if err != nil {
			c.broken = c.broken || !errors.As(err, new(*verdict))
			c.quit()
		}
	}()
	if h.implicit {
		if err := c.handshake(ctx, r, p); err != nil {
			return nil, err
		}
	}
	_ = c.nc.SetDeadline(time.Now().Add(r.Timeouts.Greeting)) // a closed connection fails below
	greeting, err := c.readReply()
	switch {
	case err != nil:
		return nil, c.gone(err, "waiting for its greeting")
	case greeting.code != 220:
		return nil, c.refused(greeting, "3.2")
	}
	if v := c.hello(); v != nil {
		return nil, v
	}
	if err := c.secure(ctx, r, p); err != nil {
		return nil, err
	}
	if v := c.login(); v != nil {
		return nil, v
	}
	return c, nil
}

// secure does STARTTLS where it is wanted (RFC 3207).
func (c *conn) secure(ctx context.Context, r *Relay, p protection) error {
	must := p.security >= Encrypted
	if c.tls != nil || p.security == Plain || !must && !c.offers("STARTTLS") {
		return nil
	}
	if !c.offers("STARTTLS") {
		if c.level == strict {
			return never("7.10", "the mail must not travel without TLS (REQUIRETLS), which %s does not offer", c.host.name) // RFC 8689 §4.2.1
		}
		return later("7.5", "%s offers no TLS, and it is required", c.host.name)
	}
	answer, err := c.ask(c.timeouts.Command, "STARTTLS")
	switch {
	case err != nil:
		return c.gone(err, "saying STARTTLS")
	case answer.code != 220 && must:
		v := c.refused(answer, "7.5")
		v.final = false // it may recover, and we must not go on without
		return v
	case answer.code != 220:
		return nil
	case c.in.Buffered() > 0:
		// What follows in clear could have been put there by anybody, to be
		// taken for words of the server once TLS is on.
		return c.gone(errUnsolicited, "starting TLS")
	}
	if err := c.handshake(ctx, r, p); err != nil {
		return err
	}
	if v := c.hello(); v != nil { // RFC 3207 §4.2: forget what was said before
		return v
	}
	return nil
}

// handshake turns the connection to TLS.
func (c *conn) handshake(ctx context.Context, r *Relay, p protection) error {
	roots := r.Roots
	config := &tls.Config{
		ServerName:         c.host.name,
		InsecureSkipVerify: true, // VerifyConnection decides
		MinVersion:         tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			err := c.verify(state, p, roots)
			c.proven = err == nil
			if p.security == Verified {
				return err
			}
			return nil
		},
	}
	if c.host.addr.IsValid() {
		config.ServerName = c.host.addr.String()
	}
	if p.security == Opportunistic {
		config.MinVersion = tls.VersionTLS10 //nolint:gosec // old TLS is better than none (RFC 7435 §1.2)
	}
	secure := tls.Client(c.nc, config)
	limited, cancel := context.WithTimeout(ctx, c.timeouts.Connect)
	defer cancel()
	if err := secure.HandshakeContext(limited); err != nil {
		c.broken = true
		return errHandshake{err}
	}
	state := secure.ConnectionState()
	c.tls = &state
	c.use(wiretap.Secured(c.nc, secure))
	return nil
}

// verify proves who the server is.
func (c *conn) verify(state tls.ConnectionState, p protection, roots *x509.CertPool) error {
	if len(p.dane) > 0 {
		return verifyDANE(state, p.dane, p.names, time.Now())
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has shown no certificate")
	}
	above := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		above.AddCert(cert)
	}
	name := c.host.name
	if c.host.addr.IsValid() {
		name = c.host.addr.String()
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: above})
	return err
}
