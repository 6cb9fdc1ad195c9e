// Package pop3d is the POP3 server: it hands a user's INBOX to one client at
// a time, message by message, and removes what the client deleted when the
// client says QUIT, and only then.
//
// It speaks RFC 1939 with the extensions of RFC 2449 (CAPA, response codes,
// pipelining), RFC 2595 (STLS), RFC 5034 (SASL), RFC 3206 ([AUTH] and
// [SYS/TEMP]) and RFC 6856 (UTF8 and LANG).
//
// It is not a mail store: a maildrop, its lock and the policy that says what
// a deletion means are the store's (store.Maildrop). It does not check
// passwords either (internal/auth), it accepts no connection from an address
// that the listener turned away (internal/listen), and it does not know
// whether a conversation is recorded.
//
// Read session.go first: the loop that reads a line, runs the method named
// for its verb and writes the reply that the method returned. verbs.go is
// the table of contents; reply.go is where the store's errors become POP3.
//
// # Notes
//
//   - Nothing is removed before QUIT has committed. A connection that ends in
//     any other way, autologout and our own shutdown included, removes
//     nothing (RFC 1939 §3, §6).
//   - A message number is an index into the snapshot taken at login. It never
//     shifts, whatever arrives or is expunged meanwhile.
//   - Replies are collected while more commands are waiting in the input
//     buffer and sent before we wait for the client (RFC 2449 §6.6).
//   - There is no APOP (RFC 1939 §7): it needs the password itself, and the
//     store keeps only what SCRAM needs. So the greeting has no <timestamp>.
//   - Messages are sent as they are, UTF-8 headers included, whether or not
//     the client has said UTF8. RFC 6856 §4 lets a server refuse them with
//     [UTF8] (§5) instead, but hardly any client knows that code or the
//     command: to its user the mail would be lost, while nearly all of them
//     show the raw header well.
package pop3d
