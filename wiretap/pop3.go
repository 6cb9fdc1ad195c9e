package wiretap

import "bytes"

// pop3 is the syntax of RFC 1939, and of AUTH in RFC 5034.
//
// Every command has one status line in reply, in order, and some have lines
// after it up to a dot. So the commands that wait for a status tell which
// reply is AUTH's last, and which status bodies follow.
type pop3 struct {
	*dialogue
	waiting []popCommand
	sasl    bool // an AUTH is among those that wait; what the client says is its
	dotted  bool // the lines after a status are going by
}

type popCommand struct {
	verb string
	body int // lines shown of what follows +OK; negative: nothing follows
}

// listLines is how many lines of a listing are shown.
const listLines = 50

var popVerbs = map[string]bool{
	"USER": true, "PASS": true, "APOP": true, "AUTH": true, "STLS": true, "CAPA": true,
	"STAT": true, "LIST": true, "UIDL": true, "RETR": true, "TOP": true, "DELE": true,
	"NOOP": true, "RSET": true, "QUIT": true, "UTF8": true, "LANG": true, "LAST": true,
	"XTND": true, "IMPLEMENTATION": true,
}

func (p *pop3) client(line []byte) {
	if p.sasl {
		p.response(line)
		return
	}
	p.next()
	word, rest := cutWord(line)
	c := popCommand{verb: verb(word), body: -1}
	switch c.verb {
	case "USER":
		user, more := cutWord(rest) // some type the password here
		if len(more) == 0 {
			p.say(Client, line)
			break
		}
		p.masked("USER "+string(user)+" ", more)
	case "PASS":
		p.masked("PASS ", rest)
	case "APOP":
		user, digest := cutWord(rest)
		if len(digest) == 0 {
			user, digest = nil, user
		}
		p.masked("APOP "+string(user)+" ", digest)
	case "AUTH":
		mechanism, initial := cutWord(rest)
		if len(mechanism) == 0 {
			p.say(Client, line)
			c.verb, c.body = "", listLines // some servers list the mechanisms
			break
		}
		p.sasl = true
		shown := "AUTH " + string(mechanism)
		if len(initial) > 0 {
			shown += " "
		}
		p.masked(shown, initial)
	case "RETR", "TOP":
		c.body = p.bodyLines
		p.say(Client, line)
	case "LIST", "UIDL", "LANG":
		if len(rest) == 0 {
			c.body = listLines
		}
		p.say(Client, line)
	case "CAPA":
		c.body = listLines
		p.say(Client, line)
	default:
		if len(line) == 0 || popVerbs[c.verb] {
			p.say(Client, line)
		} else {
			p.masked("", line)
		}
	}
	if len(p.waiting) >= maxWaiting {
		p.lost()
		return
	}
	p.waiting = append(p.waiting, c)
}

func (p *pop3) server(line []byte) {
	s := p.stream(Server)
	if p.dotted {
		if string(line) == "." {
			p.endBody(s)
			p.say(Server, line)
			p.dotted = false
			return
		}
		p.bodyLine(s, line)
		return
	}
	status, rest := cutWord(line)
	switch {
	case string(status) == "+":
		if p.sasl {
			p.challenge(status, rest)
			return
		}
		p.say(Server, line)
	case bytes.EqualFold(status, []byte("+OK")), bytes.EqualFold(status, []byte("-ERR")):
		p.endBody(s)
		p.say(Server, line)
		if len(p.waiting) == 0 {
			return
		}
		c := p.waiting[0]
		p.waiting = p.waiting[1:]
		if c.verb == "AUTH" {
			p.sasl = false
		}
		if status[0] != '+' {
			return
		}
		if c.verb == "STLS" {
			p.stop("TLS from here")
		}
		if c.body >= 0 {
			p.dotted = true
			p.beginBody(s, c.body)
		}
	default:
		// Lines after a reply whose command we did not see, such as one
		// pipelined behind AUTH.
		if s.body == nil {
			p.beginBody(s, p.bodyLines)
		}
		p.bodyLine(s, line)
	}
}
