// Package smtpd takes mail in: from other servers (RFC 5321), and from users
// who have logged in (RFC 6409).
//
// Commands are parsed by emersion/go-smtp; a session here answers them from
// the store. It sends no mail on, and it decides nothing about mailboxes:
// what is for whom is store.Resolve's business, and a message that got 250 is
// in the store, durably, before the client reads it.
//
// Start with session.go (what a client may do, in the order it does it), then
// data.go (how a message becomes one), then conn.go, which lies beneath the
// library and is the only place that sees raw bytes.
//
// # Notes
//
//   - The library reads commands through a conn, one line at a time, so it has
//     never read ahead into a message, into a TLS handshake, or past a line
//     that is not fit to be run.
//   - A message ends at CRLF "." CRLF and nowhere else. A command line that
//     ends in a bare LF is run all the same: people type those, and since no
//     message can end early, none of its lines can become one.
//   - After a failed read inside a message the connection is closed. Nothing
//     of a message is ever run as a command.
//   - STARTTLS begins a new conn and a new session on the same socket: nothing
//     that was said in clear text is remembered (RFC 3207 §4.2).
//   - Replies are held until the client has to be waited for, so a pipelined
//     group of commands gets its answers in one segment (RFC 2920 §3.2).
//   - The Received field of a submitted message names the client's address, as
//     RFC 5321 §4.4 wants it for every message.
package smtpd
