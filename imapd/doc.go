// Package imapd serves IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) from the
// store, on the server of github.com/emersion/go-imap.
//
// It keeps no mail and parses no message: FETCH is answered from what arrival
// has computed and from octets of the body, SEARCH by the store. It does not
// limit connections, wrap TLS around a port or record conversations; the
// listener it is given does that.
//
// Start reading at view.go, which owns sequence numbers, then poll.go, where a
// session asks the store what has changed. session.go is who is logged in;
// after that there is a file for each group of commands. conn.go, command.go
// and caps.go lie beneath the library and keep it from harm. Errors become
// words in reply.go.
package imapd
