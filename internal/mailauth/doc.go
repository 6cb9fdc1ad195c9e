// Package mailauth finds out whether a message comes from where it says, and
// lets our own messages prove it: iprev, SPF, DKIM, DMARC and ARC on the way
// in, DKIM signatures, ARC seals and rewritten senders on the way out. Block
// lists and greylisting, which judge a client rather than a message, are here
// too.
//
// It speaks no SMTP, keeps no mail and decides nothing by itself: a [Policy]
// says what a result means, and whoever receives mail says it to the client.
//
// Start with verifier.go (what is checked, in which order), then dkim.go and
// arc.go, which rest on signature.go, then policy.go (what becomes of it) and
// gate.go (all of it together, as a server asks for it).
//
// # Notes
//
//   - Messages are canonical: lines end in CRLF. The body is read once,
//     whatever the number of signatures, and never held in memory.
//   - All that a message can make us do is bounded: octets of header, number
//     of signatures, DNS queries, seconds.
//   - SPF is evaluated by blitiri.com.ar/go/spf. DKIM is our own: ARC needs
//     the same canonical forms and keys, one pass over the body serves both,
//     and a body of empty lines costs no more than any other. The tests hold
//     it against emersion/go-msgauth.
//   - Names are asked for as rooted, so that no search list of the machine
//     can answer for a stranger's domain.
package mailauth
