// Package transcript reads and plays conversations written as text files,
// the one format that the wiretap records, the tests play and the docs
// print.
//
// It knows no mail protocol: it sends lines, and compares what comes back.
// It does not start a server either; a [Stage] says how to connect.
//
// # The format
//
// A file is a txtar archive. Lines before the first section are comment.
//
//	# RFC 2177 §3: what one client appends, an idle one hears.
//	-- setup --
//	user ada@example.test secret
//	-- talk --
//	open a imap   open b imap
//	a S: * OK {…}
//	a C: 1 LOGIN ada@example.test secret
//	a S: 1 OK {…}
//	…
//	b C: 2 APPEND INBOX {<hello.eml+}
//	b C: <hello.eml
//	b C:
//	b S: 2 OK [APPENDUID {validity} {uid}] {…}
//	a S: * 1 EXISTS
//	-- hello.eml --
//	Subject: hello
//
//	Hello.
//
// Each line of setup goes to [Stage.Setup] as it is. The talk goes from top
// to bottom, one line at a time:
//
//   - open NAME PROTO connects, close NAME closes, drop NAME resets the
//     connection, tls NAME makes a TLS handshake as a client, eof NAME waits
//     until the other side has closed. Several may stand in one line. With
//     one connection, NAME and the prefixes are left out.
//   - C: sends a line, with CRLF at its end.
//   - S: waits for a line, which must be exactly this one.
//   - … means that any lines may come before the next expected one of the
//     connection. On a line with a prefix, of that connection; else of the
//     connection that is next to have an S: line.
//   - C: <file sends the file as it is, its line ends made CRLF. Nothing is
//     added, so dots are not stuffed, and an IMAP command that ends in a
//     literal needs an empty C: line after it. S: <file waits for just these
//     bytes.
//   - Lines that start with # are comment, and empty lines mean nothing.
//
// In an S: line, {…} or {...} matches anything, and {name} matches something
// and remembers it: a later {name}, in an S: line of any connection, must be
// the same, and in a C: line it is replaced. Names are lower-case letters
// and digits, so {48} and {48+} are just literals; {<file} and {<file+} are
// the literal of the file's length.
//
// In both, \r \n \t \0 \xNN and \\ are bytes; any other backslash is itself,
// so that \Seen needs no care. A line that ends in \c has no CRLF added, nor
// expected.
//
// Read parse.go for the grammar, play.go for what is done with it.
package transcript

import "fmt"

// File is a parsed conversation.
type File struct {
	Name    string   // for messages; the caller sets it
	Comment string   // what stands before the first section
	Setup   []string // the lines of the setup section
	Talk    []Step   // the steps of the talk section

	files map[string][]byte // the other sections, with CRLF line ends
	lines []string          // of the whole file, for Bytes
}

// Step is one thing to do in a conversation.
type Step struct {
	Line int    // its number in the file, from 1
	Verb Verb   // what to do
	Conn string // with which connection; "" for the only one
	Text string // Open: the protocol; Send and Expect: the text as written

	parts []part // of Text, for Send and Expect
}

// Verb is what a step does.
type Verb int

// The verbs, with the words they have in a file.
const (
	Open   Verb = iota + 1 // open
	Close                  // close
	Drop                   // drop
	TLS                    // tls
	EOF                    // eof
	Send                   // C:
	Expect                 // S:
	Skip                   // …
)

var verbs = map[string]Verb{"open": Open, "close": Close, "drop": Drop, "tls": TLS, "eof": EOF}

// Error is what is wrong at one line of a file.
type Error struct {
	File string
	Line int
	Text string
}

func (e *Error) Error() string {
	name := e.File
	if name == "" {
		name = "transcript"
	}
	return fmt.Sprintf("%s:%d: %s", name, e.Line, e.Text)
}

func (f *File) errorf(line int, format string, args ...any) error {
	return &Error{File: f.Name, Line: line, Text: fmt.Sprintf(format, args...)}
}
