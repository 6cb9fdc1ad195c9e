package wiretap

import (
	"bytes"
	"strconv"
	"strings"
)

// smtp is the syntax of RFC 5321, of AUTH in RFC 4954 and BDAT in RFC 3030.
//
// Every command has one reply, in order. So the commands that wait for a
// reply tell which is AUTH's last, and which recipient a reply is about.
type smtp struct {
	*dialogue
	commands int // counted
	waiting  []smtpCommand
	sasl     bool // an AUTH is among those that wait; what the client says is its
	asked    bool // a DATA is among those that wait
	data     bool // the lines of a message are going by
}

type smtpCommand struct {
	verb   string
	number int
}

// endOfData stands for the dot, which has a reply like a command.
const endOfData = "."

var smtpVerbs = map[string]bool{
	"HELO": true, "EHLO": true, "LHLO": true, "MAIL": true, "RCPT": true, "DATA": true,
	"BDAT": true, "RSET": true, "NOOP": true, "QUIT": true, "VRFY": true, "EXPN": true,
	"HELP": true, "AUTH": true, "STARTTLS": true, "ETRN": true,
}

func (p *smtp) client(line []byte) {
	s := p.stream(Client)
	switch {
	case p.data:
		p.dataLine(s, line)
		return
	case p.sasl:
		p.response(line)
		return
	case p.asked:
		// RFC 2920 §3.1: DATA must be the last of a group, so whether this
		// is message or command is decided by the reply.
		if s.body == nil {
			p.beginBody(s, 0)
		}
		p.bodyLine(s, line)
		return
	}
	p.next()
	p.commands++
	p.command = p.commands
	word, rest := cutWord(line)
	c := smtpCommand{verb: verb(word), number: p.commands}
	switch {
	case c.verb == "AUTH":
		p.auth, p.sasl = true, true
		mechanism, initial := cutWord(rest)
		shown := "AUTH " + string(mechanism)
		if len(initial) > 0 {
			shown += " "
		}
		p.masked(shown, initial)
	case len(line) == 0 || smtpVerbs[c.verb]:
		p.say(Client, line)
	default:
		p.masked("", line)
	}
	switch c.verb {
	case "BDAT":
		p.chunk(s, rest)
	case "DATA":
		p.asked = true
	}
	if len(p.waiting) >= maxWaiting {
		p.lost()
		return
	}
	p.waiting = append(p.waiting, c)
}

// dataLine takes a line of a message. A dot alone ends it; where a server
// would not let it end, as after a bare line feed, the tap does all the same,
// because then it masks what it does not know.
func (p *smtp) dataLine(s *stream, line []byte) {
	if string(line) != "." {
		p.bodyLine(s, line)
		return
	}
	p.endBody(s)
	p.say(Client, line)
	p.data = false
	p.waiting = append(p.waiting, smtpCommand{endOfData, p.command})
}

// chunk expects the octets that follow BDAT.
func (p *smtp) chunk(s *stream, args []byte) {
	size, last := cutWord(args)
	last, more := cutWord(last)
	if len(more) > 0 || len(last) > 0 && !strings.EqualFold(string(last), "LAST") {
		return
	}
	n, err := strconv.ParseUint(string(size), 10, 32)
	if err != nil || n == 0 {
		return
	}
	s.raw = int64(n)
	p.beginBody(s, p.bodyLines)
}

func (p *smtp) server(line []byte) {
	client := p.stream(Client)
	c := smtpCommand{number: unasked}
	switch {
	case p.data:
		c.number = p.commands
	case len(p.waiting) > 0:
		c = p.waiting[0]
	}
	defer func(command int) { p.command = command }(p.command)
	p.command = c.number

	code, rest, last := replyLine(line)
	if code == "334" && p.sasl {
		p.challenge([]byte(code), rest)
		return
	}
	p.say(Server, line)
	if !last {
		return
	}
	if p.data {
		// The server has seen the end where we have not.
		p.endBody(client)
		p.data = false
		return
	}
	if len(p.waiting) == 0 {
		return
	}
	p.waiting = p.waiting[1:]
	switch {
	case code == "220" && c.verb != greeting:
		p.stop("TLS from here")
	case c.verb == "AUTH":
		p.sasl, p.auth = false, code[0] == '2'
	case c.verb == "DATA":
		p.endBody(client) // what came too early
		p.asked, p.data = false, code == "354"
		if p.data {
			p.beginBody(client, p.bodyLines)
		}
	case c.verb == "BDAT" && code[0] != '2' && client.raw > 0:
		client.hide() // a server that does not read it will take it for commands
	}
}

// replyLine splits a line of a reply, and tells whether it is the last.
func replyLine(line []byte) (code string, text []byte, last bool) {
	if len(line) < 3 || bytes.ContainsFunc(line[:3], func(r rune) bool { return r < '0' || r > '9' }) {
		return "", nil, false
	}
	if len(line) == 3 {
		return string(line), nil, true
	}
	return string(line[:3]), line[4:], line[3] != '-'
}

// unasked is the command of a reply to nothing.
const unasked = -1

// mailCommand returns the address of MAIL FROM:<…> or RCPT TO:<…>.
func mailCommand(line string) (verb, address string) {
	word, rest := cutWord([]byte(line))
	switch v := strings.ToUpper(string(word)); v {
	case "MAIL", "RCPT":
		_, path, _ := bytes.Cut(rest, []byte(":"))
		path = bytes.TrimSpace(path)
		if inside, ok := bytes.CutPrefix(path, []byte("<")); ok {
			path, _, _ = bytes.Cut(inside, []byte(">"))
		} else {
			path, _ = cutWord(path)
		}
		if path, ok := bytes.CutPrefix(path, []byte("@")); ok { // RFC 5321 §C: a source route
			_, path, _ = bytes.Cut(path, []byte(":"))
			return v, string(path)
		}
		return v, string(path)
	default:
		return v, ""
	}
}
