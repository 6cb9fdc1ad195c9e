package wiretap

import (
	"fmt"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/transcript"
)

// Session is one connection, as far as it is kept.
type Session struct {
	ID            uint64
	Proto         string // as given to Listen
	Security      string // as given to Listen
	Side          Side
	Local, Remote string
	Device        string    // what the client calls itself, if it does
	Start, End    time.Time // End is zero while the connection is open

	// User is who logged in. Recipients are the local users that mail in an
	// SMTP session was for, as far as they have opted in.
	User       string
	Recipients []string
	namings    []naming // by which names the client has called them

	// Senders are whose mail went over a connection of ours to another
	// server, as far as they have opted in; [Postmaster] is this server.
	Senders []string

	Lines   []Line
	Missing int // lines at the beginning that there was no room for

	// What passed, whether kept or not. Above TLS it is what was said, not
	// what TLS made of it.
	ClientOctets, ServerOctets int64
	Trips                      int64 // how often the server's words came after the client's
}

// naming is an address in RCPT, such as an alias, and the user behind it.
type naming struct{ named, user string }

// Dir is who said a line.
type Dir int

// The directions. A note is the tap's own.
const (
	Note Dir = iota
	Client
	Server
)

func (d Dir) String() string { return [...]string{"#", "C:", "S:"}[d] }

// Mask stands where a secret was.
const Mask = "••••"

// Line is one line of a session.
type Line struct {
	Time time.Time
	Dir  Dir
	Text string // without its end; secrets masked
	End  string // "\r\n", or "\n" or "" where it was that
	Cut  int    // octets of a long line that are not in Text
	Body bool   // part of a message or literal

	command int // SMTP: which command it is, or answers; see For
	owner   int // which of the Senders it belongs to, from 1; 0 is the connection
}

// String is the line as transcripts have it. A client's line that was cut has
// a second line, a comment that says so.
func (l Line) String() string {
	if l.Dir == Note {
		return "# (" + l.Text + ")"
	}
	text := transcript.Quote(l.Text)
	switch {
	case l.Cut > 0 && l.Dir == Server:
		text += "{…}"
	case l.Cut > 0:
		text += fmt.Sprintf("\n# (%d octets more)", l.Cut)
	case l.End == "\n":
		text = transcript.Quote(l.Text+l.End) + `\c`
	case l.End == "":
		text += `\c`
	}
	return strings.TrimRight(l.Dir.String()+" "+text, " ")
}

// Transcript writes the lines of a session in the format of conversation
// files.
func Transcript(s Session) string {
	var b strings.Builder
	if s.Missing > 0 {
		fmt.Fprintf(&b, "# (%d lines before)\n", s.Missing)
	}
	for _, line := range s.Lines {
		b.WriteString(line.String())
		b.WriteByte('\n')
	}
	return b.String()
}
