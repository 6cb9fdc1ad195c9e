// Package message knows what a mail message is: its canonical bytes, its
// header fields, its MIME parts and its charsets.
//
// It does not store, send or fetch anything, and it never rewrites a message
// that has been accepted: a [Summary] only describes where things lie in the
// raw octets. Nothing here fails because a sender wrote bad MIME; every
// function takes time linear in its input and memory bounded by the constants
// beside [Summary]. The only errors are those of the reader that was passed
// in, and those of [CanonicalReader] and [Verifier], which decide what bytes
// may enter at all.
//
// Start reading at canonical.go (what may enter), then summarize.go (what
// arrival computes), then part.go and decode.go (what readers do with it).
package message
