package imapd

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/listen"
)

// Notes on reading commands.
//
// The library parses while it reads and gives up in the middle: at the first
// octet it does not understand it answers BAD and skips to the end of the
// line. Where that line announces a literal, the literal is then run as
// commands, and so is the tail of a command beyond the library's 50 KiB. The
// text of a mail that a client wants to keep here must never be run. So:
//
//   - A line is complete, and has been looked at, before the library sees it.
//   - A command that has been answered is over. What still belongs to it, its
//     literal and the lines after that, is read and dropped here.
//   - What the library would trip over is answered here and not handed on.
//
// RFC 9051 §2.2.1, §4.3; RFC 7888 §4

// Limits on what a client may send.
const (
	maxCommand      = 48 << 10 // octets of one command without its literals
	maxEarlyCommand = 8 << 10  // the same before login
	maxArgument     = 4096     // octets of a literal that is held in memory
	maxArguments    = 64 << 10 // octets of all such literals of a command
	maxEarlyLiteral = 1024     // octets of all literals of a command before login
	maxRaw          = 4000     // octets of a line of IDLE or AUTHENTICATE
	maxDropped      = 1 << 30  // octets of a refused literal that we read on for
	maxTag          = 64
	maxMistakes     = 10 // lines that are no commands
)

// A command is what its first line says of it.
type command struct {
	tag, name string
	arguments int   // where they begin in the line
	size      int   // octets of its lines so far
	literals  int64 // octets of its literals so far
	search    searchLine
	saveOnly  bool // SEARCH RETURN (SAVE)
}

// A literal is what the end of a line announces: left octets, and then another
// line of the same command.
type literal struct {
	open bool
	sync bool // the client waits until we ask for it
	left int64
}

// Read hands the library what it may see: a line, or some of a literal. An
// error is final, although the library may read again after one.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.failed == nil {
		n, c.failed = c.read(p)
	}
	return n, c.failed
}

func (c *conn) read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		cmd, answered := c.current()
		switch {
		case answered:
			if err := c.drop(p); err != nil {
				return 0, err
			}
			if err := c.begin(p); err != nil {
				return 0, err
			}
		case c.lit.left > 0:
			c.lit.sync = false // it has been asked for
			return c.readLiteral(p)
		case c.lit.open:
			if err := c.carryOn(cmd, p); err != nil {
				return 0, err
			}
		case cmd.name == "IDLE" || cmd.name == "AUTHENTICATE":
			line, err := c.line(p, maxRaw)
			if err != nil {
				return 0, err
			}
			if cmd.name == "IDLE" { // the library knows DONE in capitals only
				line = bytes.ToUpper(line)
			}
			c.ready = line
		default:
			// The library says nothing when something follows the literal
			// of APPEND; somebody has to.
			c.answer(cmd, "BAD [CLIENTBUG] Syntax error")
		}
	}
	n := copy(p, c.ready)
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return n, nil
}

func (c *conn) current() (command, bool) {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.cmd, c.out.answered
}

// readLiteral hands on octets of a literal as they come.
func (c *conn) readLiteral(p []byte) (n int, err error) {
	p = p[:min(int64(len(p)), c.lit.left)]
	if len(c.in) > 0 {
		n = copy(p, c.in)
		c.took(n)
	} else {
		n, err = c.receive(p)
	}
	c.lit.left -= int64(n)
	return n, err
}

// begin reads the first line of a command. It makes nothing ready when it has
// answered the command itself.
func (c *conn) begin(scratch []byte) error {
	limit := maxCommand
	if !c.authenticated() {
		limit = maxEarlyCommand
	}
	line, err := c.line(scratch, limit)
	if err != nil {
		return err
	}
	if !c.authenticated() && listen.IsHTTP(line) {
		c.log.Info("failed", "doing", "read command", "err", listen.ErrHTTP)
		c.wire().Close()
		return io.EOF
	}
	cmd, ok := parseCommand(line)
	if !ok {
		return c.mistake()
	}
	lit := announced(line)
	if refusal := c.inspect(&cmd, &line, lit, true); refusal != "" {
		c.answer(cmd, refusal)
		c.lit = lit
		return nil
	}
	switch {
	case cmd.name == "STARTTLS" && c.server.config.TLS != nil:
		return c.startTLS(cmd)
	case cmd.name == "ID":
		return c.identify(cmd, line, lit, scratch)
	}
	c.out.Lock()
	c.out.cmd, c.out.answered, c.out.begun = cmd, false, false
	c.out.Unlock()
	c.ready, c.lit = line, lit
	return nil
}

// carryOn reads the line after a literal. When it cannot be accepted, the
// library is given an octet that fits nowhere, so that it says BAD.
func (c *conn) carryOn(cmd command, scratch []byte) error {
	line, err := c.line(scratch, maxCommand)
	if err != nil {
		return err
	}
	lit := announced(line)
	if c.inspect(&cmd, &line, lit, false) != "" {
		line = []byte("\x01\r\n")
	}
	c.out.Lock()
	c.out.cmd = cmd
	c.out.Unlock()
	c.ready, c.lit = line, lit
	return nil
}

// parseCommand reads the tag and the name of a command. RFC 9051 §9: command
func parseCommand(line []byte) (command, bool) {
	tag, rest, found := strings.Cut(string(line), " ")
	if !found || tag == "" || len(tag) > maxTag || strings.ContainsAny(tag, "+(){%*\"\\") {
		return command{}, false
	}
	for _, b := range []byte(tag) {
		if b <= ' ' || b >= 0x7f {
			return command{}, false
		}
	}
	name, rest := word(rest)
	if name == "UID" {
		var what string
		what, rest = word(strings.TrimPrefix(rest, " "))
		name += " " + what
	}
	return command{tag: tag, name: name, arguments: len(line) - len(rest)}, name != ""
}

func word(s string) (first, rest string) {
	i := strings.IndexAny(s, " \r\n(")
	if i < 0 {
		i = len(s)
	}
	return strings.ToUpper(s[:i]), s[i:]
}

// inspect looks at a line of cmd and returns how it is refused, or "". It may
// change the line.
func (c *conn) inspect(cmd *command, line *[]byte, lit literal, first bool) string {
	cmd.size += len(*line)
	cmd.literals += lit.left
	if cmd.size > maxCommand {
		return "BAD [CLIENTBUG] The command is too long"
	}
	if !wellFormed(*line) {
		return "BAD [CLIENTBUG] A line may hold no NUL, no bare CR and no open quote"
	}
	if strings.HasSuffix(cmd.name, "SEARCH") {
		cmd.saveOnly = cmd.saveOnly || first && savesOnly.Match(*line)
		from := 0
		if first {
			from = cmd.arguments
		}
		if !cmd.search.rewrite(line, from, lit.open) {
			return "BAD [CLIENTBUG] The search is too deep"
		}
	}
	switch {
	case !lit.open:
	case !c.authenticated():
		if lit.left > maxEarlyLiteral || cmd.literals > maxEarlyLiteral {
			return "NO [TOOBIG] The literal is too long"
		}
	case !isMessage(*cmd, *line, first):
		if lit.left > maxArgument || cmd.literals > maxArguments {
			return "NO [TOOBIG] The literal is too long"
		}
	case first:
		return c.session.admit(lit.left)
	}
	return ""
}

// isMessage reports whether the literal that line announces is the message of
// an APPEND, and not the name of the mailbox.
func isMessage(cmd command, line []byte, first bool) bool {
	return cmd.name == "APPEND" && !(first && bytes.HasPrefix(line[cmd.arguments:], []byte(" {")))
}

// wellFormed reports whether a line has its quotes closed and no octet that
// RFC 9051 §9 leaves out of CHAR where it matters: the library lets quoted
// strings run on over line ends.
func wellFormed(line []byte) bool {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	quoted := false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case 0, '\r', '\n':
			return false
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		}
	}
	return !quoted
}

// announced reads the literal at the end of a line, as the library does.
func announced(line []byte) literal {
	s := strings.TrimSuffix(strings.TrimSuffix(string(line[max(0, len(line)-64):]), "\n"), "\r")
	s, ok := strings.CutSuffix(strings.TrimSuffix(s, " "), "}")
	i := strings.LastIndexByte(s, '{')
	if !ok || i < 0 {
		return literal{}
	}
	digits, nonSync := strings.CutSuffix(s[i+1:], "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return literal{}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return literal{open: true, sync: !nonSync, left: n}
}

// drop reads what is left of a command that has been answered. A client that
// waits to be asked for its literal has taken the answer for a no.
func (c *conn) drop(scratch []byte) error {
	for c.lit.open && !c.lit.sync {
		if c.lit.left > maxDropped || !c.authenticated() && c.lit.left > maxEarlyCommand {
			c.leave("The literal is too long")
			c.lit = literal{}
			return c.farewell(errLeaving)
		}
		for c.lit.left > 0 {
			n, err := c.readLiteral(scratch)
			if err != nil && n == 0 {
				return err
			}
		}
		line, err := c.line(scratch, maxCommand)
		if err != nil {
			return err
		}
		c.lit = announced(line)
	}
	c.lit = literal{}
	return nil
}

// line reads up to a line's end. A longer line than max ends the connection.
func (c *conn) line(scratch []byte, max int) ([]byte, error) {
	for searched := 0; ; {
		if i := bytes.IndexByte(c.in[searched:], '\n'); i >= 0 && searched+i < max {
			line := bytes.Clone(c.in[:searched+i+1])
			c.took(len(line))
			return line, nil
		}
		if searched = len(c.in); searched >= max {
			c.answerNobody("BAD [CLIENTBUG] The line is too long")
			c.leave("The line is too long")
			err := c.farewell(errLeaving)
			c.hearOut(scratch)
			return nil, err
		}
		if err := c.fill(scratch); err != nil {
			return nil, err
		}
	}
}

// hearOut reads and drops what a client is still sending. To close at once
// would reset the connection, and our last words would be lost.
func (c *conn) hearOut(scratch []byte) {
	w := c.wire()
	w.SetReadDeadline(time.Now().Add(time.Second))
	for dropped := 0; dropped < 1<<20; {
		n, err := w.Read(scratch)
		if dropped += n; err != nil {
			return
		}
	}
}

// took drops n octets of what has come, and the buffer with the last of them.
func (c *conn) took(n int) {
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
}

// mistake answers a line that is no command at all.
func (c *conn) mistake() error {
	c.answerNobody("BAD [CLIENTBUG] Expected a tag and a command")
	if c.mistakes++; c.mistakes < maxMistakes {
		return nil
	}
	c.leave("Too many mistakes")
	return c.farewell(errLeaving)
}

// answer says how cmd ends. Errors show at the next read.
func (c *conn) answer(cmd command, text string) {
	c.out.Lock()
	defer c.out.Unlock()
	c.out.answered = true
	c.write([]byte(cmd.tag + " " + text + "\r\n"))
}

func (c *conn) answerNobody(text string) { c.answer(command{tag: "*"}, text) }
