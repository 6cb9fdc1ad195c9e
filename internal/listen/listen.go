// Package listen is what every listener of mail needs before a protocol
// server sees a connection: limits per address, the TLS handshake of an
// implicit TLS port, and a guard against browsers sent to speak HTTP to us.
//
// The pieces are listeners around listeners, and each works without the
// others:
//
//	net.Listener → Limit → TLS → HTTPGuard → (the wiretap) → protocol server
//
// It knows no mail protocol; what a refused caller is told is written by a
// function of the caller's. It keeps no account of logins either: limits on
// those belong to whoever checks passwords.
//
// The protocol libraries look for a *tls.Conn to learn whether a connection
// is safe. Behind wrappers there is none, so whoever wants the facts asks
// [ConnectionState], which looks through every wrapper.
//
// Limit also keeps the books of what is open: each connection is a [Conn],
// on which a server notes who has logged in and how it says goodbye, and which
// those who run the system can see and end.
//
// Read limit.go first, then conn.go and tls.go.
package listen

import (
	"crypto/tls"
	"net"
)

// ConnectionState returns what TLS agreed on for c, looking through any
// number of wrappers. It is false when no layer of c speaks TLS.
//
// On a connection of [TLS] whose client has not spoken yet, it waits for the
// handshake, which is bounded.
func ConnectionState(c net.Conn) (tls.ConnectionState, bool) {
	if s, ok := Beneath[interface{ ConnectionState() tls.ConnectionState }](c); ok {
		return s.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}
