// Package store keeps every byte of mail yubin holds, and what changed.
//
// It is the only meeting place of the protocols: smtpd puts mail in with
// [Store.Accept], pop3d takes it out through a [Maildrop], imapd and the
// browser read it with [Store.Each] and follow it with [Store.Changes].
// It is one SQLite file behind a struct; there is no interface and no mock.
//
// It is not a protocol: nothing here knows a reply code, and nothing here
// does network I/O.
//
// Read accept.go first (how a message becomes durable), then writer.go (one
// goroutine, one commit for many requests), then changes.go (how a reader
// learns what moved).
//
// # Invariants
//
// Code and tests cite these by number.
//
//   - I1: a (UIDVALIDITY, UID) pair is never reused; UIDs only grow, across
//     restarts too.
//   - I2: every change to a mailbox first updates its row, so that row is the
//     lock and modseq order is commit order: nobody who has read up to M can
//     later find a change at or below M.
//   - I3: raw bytes are immutable and CRLF-canonical (no bare CR or LF, no
//     NUL), and Size is their length.
//   - I4: accepting is all or nothing for all recipients of one message, and
//     for the notices that come with it.
//   - I5: an expunge leaves a tombstone (uid, modseq).
//   - I6: hints may be lost, doubled or early; changes may not.
//   - I7: no network I/O inside a transaction.
//   - I8: a transaction over several mailboxes takes them in ascending id.
//   - I9: what a 250, an APPEND OK or a POP3 QUIT +OK promised survives
//     kill -9 and power loss.
package store
