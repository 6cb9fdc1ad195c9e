package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"

	"github.com/yubin-mail/yubin/lab"
)

// labServer is this server as the compare lab calls at it: on its own ports,
// without TLS where they take passwords so, else over TLS. Without a port of
// a mail protocol that it can use there is no lab; without one for browsers
// there is no column for them.
func (n *node) labServer() *lab.Server {
	s := &lab.Server{
		Submission: n.labPort("submission", "submissions"),
		POP3:       n.labPort("pop3", "pop3s"),
		IMAP:       n.labPort("imap", "imaps"),
		Web:        n.labPort("http", "https"),
	}
	for _, p := range n.ports {
		if p.name == "smtp" { // whoever delivers there needs no password
			s.SMTP = reachable(p.listener.Addr())
		}
		if p.secure {
			s.TLS = append(s.TLS, reachable(p.listener.Addr()))
		}
	}
	if s.SMTP == "" || s.POP3 == "" || s.IMAP == "" {
		return nil
	}
	s.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || !slices.Contains(s.TLS, address) {
			return conn, err
		}
		over := tls.Client(conn, n.toOurselves())
		if err := over.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return over, nil
	}
	return s
}

// labPort is the address of the first of the ports that takes passwords.
func (n *node) labPort(names ...string) string {
	for _, name := range names {
		for _, p := range n.ports {
			if p.name == name && (p.secure || n.plaintextOK(p)) {
				return reachable(p.listener.Addr())
			}
		}
	}
	return ""
}

// toOurselves is for connections to our own TLS ports. They are called by
// address, for which the certificate need not be, so they have to show the
// very certificate that we have.
func (n *node) toOurselves() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection asks for more
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !state.PeerCertificates[0].Equal(n.certs.Leaf()) {
				return errors.New("another server answers at our port")
			}
			return nil
		},
	}
}

// reachable is where this machine finds a listener.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(t.Port))
}
