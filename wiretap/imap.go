package wiretap

import (
	"bytes"
	"strconv"
	"strings"
)

// imap is the syntax of RFC 9051, and of literals in RFC 7888.
//
// A command is a line, or several with literals between them. A tag tells
// which reply is the last of AUTHENTICATE and of STARTTLS.
type imap struct {
	*dialogue
	tag, verb string // of the command being read, or the last
	more      bool   // a literal has been announced: the next line belongs to it
	sasl      string // the tag of an AUTHENTICATE under way
	startTLS  string // the tag of a STARTTLS under way
	size      int64  // of the literal that waits for the server's word
	srvMore   bool   // the server's next line is the rest of one with a literal
}

var imapVerbs = func() map[string]bool {
	verbs := make(map[string]bool)
	for v := range strings.FieldsSeq(`
		CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN UNAUTHENTICATE ENABLE ID
		SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB XLIST
		NAMESPACE STATUS APPEND IDLE CHECK CLOSE UNSELECT EXPUNGE SEARCH ESEARCH
		FETCH STORE COPY MOVE UID SORT THREAD REPLACE NOTIFY LANGUAGE COMPARATOR
		GETQUOTA GETQUOTAROOT SETQUOTA GETACL SETACL DELETEACL MYRIGHTS LISTRIGHTS
		GETMETADATA SETMETADATA`) {
		verbs[v] = true
	}
	return verbs
}()

func (p *imap) client(line []byte) {
	if p.sasl != "" {
		p.response(line)
		return
	}
	marker, size, sync, ok := announced(line)
	if p.more {
		p.more = false
		p.rest(line, marker)
	} else {
		p.next()
		p.begin(line, marker)
	}
	if !ok {
		return
	}
	p.more = true
	if sync {
		p.size = size
		p.stream(Client).hold = true
		return
	}
	p.literal(size, 0)
}

// begin takes the first line of a command.
func (p *imap) begin(line, marker []byte) {
	tag, rest := cutWord(line)
	word, args := cutWord(rest)
	p.tag, p.verb = string(tag), verb(word)
	switch {
	case p.verb == "LOGIN":
		p.login(tag, word, args, marker)
	case p.verb == "AUTHENTICATE":
		mechanism, initial := cutWord(args)
		shown := string(tag) + " " + string(word) + " " + string(mechanism)
		if len(initial) > 0 {
			shown += " "
		}
		p.masked(shown, initial)
		p.sasl = p.tag
	case imapVerbs[p.verb]:
		if p.verb == "STARTTLS" {
			p.startTLS = p.tag
		}
		p.say(Client, line)
	case len(line) == 0, len(rest) == 0 && verb(tag) == "DONE":
		p.say(Client, line)
	default:
		p.verb = "" // its literals are hidden too
		p.masked("", line)
	}
}

// login shows the user's name when it is a plain word or a quoted string,
// and there is something after it. Everything else is masked.
func (p *imap) login(tag, word, args, marker []byte) {
	shown := string(tag) + " " + string(word) + " "
	user, password, ok := cutUser(args)
	if ok && len(password) > 0 && len(user) < maxText/2 {
		shown += string(user) + " "
	} else {
		password = args
	}
	if len(marker) > 0 {
		// The marker is no secret, and tells that the rest comes as a literal.
		p.say(Client, []byte(shown+hidden(bytes.TrimSuffix(password, marker))+string(marker)))
		return
	}
	p.masked(shown, password)
}

// rest takes the line after a literal.
func (p *imap) rest(line, marker []byte) {
	if p.verb != "LOGIN" && p.verb != "" && !bearsSecret(line) {
		p.say(Client, line)
		return
	}
	secret := bytes.TrimSuffix(line, marker)
	p.remember(secret)
	p.say(Client, []byte(hidden(secret)+string(marker)))
}

// hidden is the mask, when there is something to hide.
func hidden(secret []byte) string {
	if len(bytes.TrimFunc(secret, isSpace)) == 0 {
		return ""
	}
	return Mask
}

// literal expects the octets of a literal, early of which have gone by.
func (p *imap) literal(size, early int64) {
	s := p.stream(Client)
	if size == early {
		return
	}
	s.raw = size - early
	p.beginBody(s, p.bodyLines)
	if p.verb == "LOGIN" || p.verb == "" {
		s.body.secret = true
	}
	if early > 0 {
		s.hide()
		s.body.octets = early
	}
}

func (p *imap) server(line []byte) {
	s, client := p.stream(Server), p.stream(Client)
	_, size, _, literal := announced(line)
	continued := p.srvMore
	p.srvMore = literal
	if literal && size > 0 {
		defer func() {
			s.raw = size
			p.beginBody(s, p.bodyLines)
		}()
	}
	if continued {
		p.say(Server, line)
		return
	}
	tag, rest := cutWord(line)
	if string(tag) == "+" {
		if p.sasl != "" {
			p.challenge(tag, rest)
			return
		}
		p.say(Server, line)
		if client.hold {
			early := client.held
			client.hold, client.held = false, 0
			if early > p.size {
				p.lost()
				return
			}
			p.literal(p.size, early)
		}
		return
	}
	p.say(Server, line)
	if string(tag) == "*" {
		return
	}
	switch string(tag) {
	case p.sasl:
		p.sasl = ""
	case p.startTLS:
		if word, _ := cutWord(rest); verb(word) == "OK" {
			p.stop("TLS from here")
			return
		}
		p.startTLS = ""
	}
	if p.more && string(tag) == p.tag {
		p.refused(client)
	}
}

// refused is for a reply to a command that we have not seen the end of.
func (p *imap) refused(client *stream) {
	if !client.hold || client.held > 0 {
		// Commands may have gone by as the octets of a literal.
		p.lost()
		return
	}
	client.hold, p.more = false, false
}

// announced finds a literal's announcement, {n} or {n+}, at the end of a line.
func announced(line []byte) (marker []byte, size int64, sync, ok bool) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return nil, 0, false, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return nil, 0, false, false
	}
	marker = line[open:]
	digits := marker[1 : len(marker)-1]
	sync = true
	if d, ok := bytes.CutSuffix(digits, []byte("+")); ok {
		digits, sync = d, false
	}
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || size < 0 || digits[0] == '+' {
		return nil, 0, false, false
	}
	return marker, size, sync, true
}

// cutUser splits the arguments of LOGIN after the first, which must be a word
// or a quoted string.
func cutUser(args []byte) (user, rest []byte, ok bool) {
	if len(args) == 0 || args[0] == '{' {
		return nil, nil, false
	}
	if args[0] != '"' {
		user, rest = cutWord(args)
		return user, rest, !bytes.ContainsAny(user, `"{}\`)
	}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case '\\':
			i++
		case '"':
			if i+1 < len(args) && args[i+1] == ' ' {
				return args[:i+1], bytes.TrimLeftFunc(args[i+1:], isSpace), true
			}
			return nil, nil, false
		}
	}
	return nil, nil, false
}
