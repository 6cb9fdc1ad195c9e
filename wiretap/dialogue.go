package wiretap

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxText is how much of a line is kept.
	maxText = 1000
	// maxPart is how much of a line is looked at. Of a longer one the end is
	// looked at too, because that is where IMAP announces a literal.
	maxPart = 32 << 10
	tail    = 64
	// maxWaiting bounds the commands that have no reply yet.
	maxWaiting = 8192
	// maxEchoes bounds the secrets remembered until they cannot be echoed.
	maxEchoes = 8
)

// grammar is the syntax of one protocol. Its methods are called with whole
// lines, without their ends, and decide what of them is shown: nothing is
// that they do not pass on.
type grammar interface {
	client(line []byte)
	server(line []byte)
}

// dialogue makes lines of the bytes of both directions.
type dialogue struct {
	grammar
	family    string
	keep      func(Line)
	bodyLines int
	streams   [2]stream
	outgoing  bool     // we are the client
	auth      bool     // SMTP: a login has succeeded, or is under way
	stopped   bool     // nothing more can be told
	command   int      // SMTP: which command lines belong to
	echoes    [][]byte // secrets that the server might repeat in its reply
}

// stream is one direction.
type stream struct {
	dir  Dir
	part []byte // the line so far, at most maxPart of it
	cut  int    // octets left out of the middle of part
	end  string // what ended the line being handled
	raw  int64  // octets of a literal or chunk still to come
	body *body  // the message or literal going by
	hold bool   // what comes is hidden until the other side has spoken
	held int64  // how much that was
}

// body is a message or literal as it goes by.
type body struct {
	show   int   // lines still to be shown
	secret bool  // nothing of it may be
	octets int64 // left out
}

func newDialogue(family string, bodyLines int, keep func(Line)) *dialogue {
	d := &dialogue{family: family, keep: keep, bodyLines: max(0, bodyLines)}
	d.streams[0].dir, d.streams[1].dir = Client, Server
	switch family {
	case "smtp":
		d.grammar = &smtp{dialogue: d, waiting: []smtpCommand{{verb: greeting}}}
	case "pop3":
		d.grammar = &pop3{dialogue: d, waiting: []popCommand{{verb: greeting, body: -1}}}
	case "imap":
		d.grammar = &imap{dialogue: d}
	}
	return d
}

// greeting stands for the command that a greeting answers.
const greeting = ""

func (d *dialogue) stream(dir Dir) *stream { return &d.streams[dir-Client] }

// feed takes bytes in the order in which they passed.
func (d *dialogue) feed(dir Dir, b []byte) {
	s := d.stream(dir)
	for len(b) > 0 && !d.stopped {
		switch {
		case s.hold:
			s.held += int64(len(b))
			return
		case s.raw > 0:
			n := int(min(int64(len(b)), s.raw))
			s.raw -= int64(n)
			d.rawBytes(s, b[:n])
			b = b[n:]
			if s.raw == 0 {
				d.endRaw(s)
			}
			continue
		case b[0] == 0x16 && len(s.part) == 0 && s.body == nil:
			// No line starts with SYN, and every TLS connection does.
			d.stop("TLS from here")
			return
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			s.add(b)
			return
		}
		line := b[:i]
		if len(s.part) > 0 {
			s.add(line)
			line = s.part
		}
		b = b[i+1:]
		s.end = "\n"
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line, s.end = line[:n-1], "\r\n"
		}
		if dir == Client {
			d.client(line)
		} else {
			d.server(line)
		}
		s.reset()
	}
}

// add appends to the line so far, whose middle gives way when it is long.
func (s *stream) add(b []byte) {
	s.part = append(s.part, b...)
	if n := len(s.part); n > maxPart {
		copy(s.part[maxPart-tail:], s.part[n-tail:])
		s.part = s.part[:maxPart]
		s.cut += n - maxPart
	}
}

func (s *stream) reset() {
	s.part, s.cut = s.part[:0], 0
	if cap(s.part) > 4096 {
		s.part = nil
	}
}

// say keeps a line as it is, but for secrets the server repeats.
func (d *dialogue) say(dir Dir, text []byte) {
	s := d.stream(dir)
	cut := s.cut
	if dir == Server {
		text = d.maskEchoes(text)
	}
	if len(text) > maxText {
		cut += len(text) - maxText
		text = text[:maxText]
	}
	d.keep(Line{Dir: dir, Text: string(text), End: s.end, Cut: cut, Body: s.body != nil, command: d.command})
}

// masked keeps a client's line of which everything after shown is a secret.
func (d *dialogue) masked(shown string, secret []byte) {
	if len(shown) > maxText {
		shown = ""
	}
	secret = bytes.TrimFunc(secret, isSpace)
	if len(secret) > 0 {
		shown += Mask
		d.remember(secret)
	}
	d.keep(Line{Dir: Client, Text: shown, End: d.stream(Client).end, command: d.command})
}

// note keeps a remark of our own.
func (d *dialogue) note(format string, args ...any) {
	d.keep(Line{Dir: Note, Text: fmt.Sprintf(format, args...), command: d.command})
}

// stop ends the record with a remark.
func (d *dialogue) stop(why string) {
	if d.stopped {
		return
	}
	d.endBody(&d.streams[0])
	d.endBody(&d.streams[1])
	d.note("%s", why)
	d.stopped = true
	d.forget()
}

// resume goes on after a stop, where TLS that started has been uncovered. What
// waits for a reply still does.
func (d *dialogue) resume() {
	d.stopped, d.auth = false, false
	for i := range d.streams {
		d.streams[i] = stream{dir: d.streams[i].dir}
	}
}

// lost ends the record because what follows cannot be told apart from
// secrets any more.
func (d *dialogue) lost() { d.stop("the tap lost step here") }

// finish is for the end of the connection. Half a line is not shown: it may
// be half a secret.
func (d *dialogue) finish() {
	for i := range d.streams {
		s := &d.streams[i]
		d.endBody(s)
		if n := len(s.part) + s.cut; n > 0 && !d.stopped {
			d.note("%v %d octets of a line without end", s.dir, n)
		}
		s.reset()
	}
}

// forget lets go of everything that is not needed after the end.
func (d *dialogue) forget() {
	d.stopped = true
	d.echoes = nil
	for i := range d.streams {
		d.streams[i].part, d.streams[i].body = nil, nil
	}
}

// remember keeps a secret for as long as the reply may repeat it, with its
// quotes and without: in POP3 they are part of it, in IMAP they are not. Of a
// SASL message it keeps what is inside too.
func (d *dialogue) remember(secret []byte) {
	forms := [][]byte{secret}
	if inside, ok := bytes.CutPrefix(secret, []byte(`"`)); ok {
		forms = [][]byte{bytes.TrimSuffix(inside, []byte(`"`)), secret}
	}
	if inside, err := base64.StdEncoding.DecodeString(string(secret)); err == nil {
		forms = append(forms, bytes.Split(inside, []byte{0})...)
	}
	for _, form := range forms {
		if len(form) >= 4 && len(d.echoes) < maxEchoes && !slices.ContainsFunc(d.echoes, func(e []byte) bool { return bytes.Equal(e, form) }) {
			d.echoes = append(d.echoes, bytes.Clone(form))
		}
	}
}

// next is for a new command, whose reply has nothing to do with the secrets
// before. A stranger whose client we are is not trusted with that: what they
// have been told, they might say at any time.
func (d *dialogue) next() {
	if !d.outgoing {
		d.echoes = nil
	}
}

func (d *dialogue) maskEchoes(text []byte) []byte {
	for _, secret := range d.echoes {
		text = bytes.ReplaceAll(text, secret, []byte(Mask))
	}
	if !d.outgoing || len(d.echoes) == 0 {
		return text
	}
	return wordInBase64.ReplaceAllFunc(text, func(word []byte) []byte {
		inside, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(word, "=")))
		if err == nil && slices.ContainsFunc(d.echoes, func(secret []byte) bool { return bytes.Contains(inside, secret) }) {
			return []byte(Mask)
		}
		return word
	})
}

// wordInBase64 is where a secret that was not sent in base64 may come back.
var wordInBase64 = regexp.MustCompile(`[A-Za-z0-9+/]{6,}={0,2}`)

// beginBody makes what comes on a stream part of a body, of which show lines
// are shown.
func (d *dialogue) beginBody(s *stream, show int) {
	s.body = &body{show: show}
}

// bodyLine takes a line of the body.
func (d *dialogue) bodyLine(s *stream, line []byte) {
	if s.body.secret || s.body.show == 0 || s.dir == Client && bearsSecret(line) {
		s.body.octets += int64(len(line) + s.cut + len(s.end))
		return
	}
	s.body.show--
	d.say(s.dir, line)
}

// endBody says what was left out of the body, if there is one.
func (d *dialogue) endBody(s *stream) {
	b := s.body
	s.body = nil
	switch {
	case b == nil || b.octets == 0:
	case b.secret:
		d.keep(Line{Dir: s.dir, Text: Mask, command: d.command})
	default:
		d.note("%d octets left out", b.octets)
	}
}

// hide lets the rest of the body go by unseen.
func (s *stream) hide() { s.body.show = 0 }

// rawBytes takes octets of a literal or chunk.
func (d *dialogue) rawBytes(s *stream, b []byte) {
	for len(b) > 0 && s.body.show > 0 && !s.body.secret {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			s.add(b)
			return
		}
		s.add(b[:i])
		b = b[i+1:]
		line, crlf := bytes.CutSuffix(s.part, []byte("\r"))
		s.end = "\n"
		if crlf {
			s.end = "\r\n"
		}
		d.bodyLine(s, line)
		s.reset()
	}
	s.body.octets += int64(len(b))
}

// endRaw is for the last octet of a literal or chunk, which need not be the
// end of a line.
func (d *dialogue) endRaw(s *stream) {
	if len(s.part) > 0 {
		s.end = ""
		d.bodyLine(s, s.part)
		s.reset()
	}
	d.endBody(s)
}

// cutWord splits a line after its first word. Any space or control byte ends
// a word: what a strict server would call one, a lenient one might not.
func cutWord(line []byte) (word, rest []byte) {
	line = bytes.TrimLeftFunc(line, isSpace)
	i := bytes.IndexFunc(line, isSpace)
	if i < 0 {
		return line, nil
	}
	return line[:i], bytes.TrimLeftFunc(line[i:], isSpace)
}

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }

// verb is a word in upper case, or "" when it is too long for a command.
func verb(word []byte) string {
	if len(word) > 16 {
		return ""
	}
	return strings.ToUpper(string(word))
}

// bearsSecret reports whether a line would be a login if it were a command.
// It guards the bodies: when a server has taken for commands what the tap
// takes for a body, no login may show.
func bearsSecret(line []byte) bool {
	first, rest := cutWord(line)
	second, _ := cutWord(rest)
	switch verb(first) {
	case "AUTH", "PASS", "APOP":
		return true
	}
	switch verb(second) {
	case "LOGIN", "AUTHENTICATE":
		return true
	}
	return false
}

// challenge keeps a server's line that asks for the next message of a SASL
// exchange. The prompts of LOGIN are no secret.
func (d *dialogue) challenge(code, text []byte) {
	switch string(text) {
	case "", "VXNlcm5hbWU6", "UGFzc3dvcmQ6":
		d.say(Server, append(append(bytes.Clone(code), ' '), text...))
	default:
		d.say(Server, append(append(bytes.Clone(code), ' '), Mask...))
	}
}

// response keeps a client's line within a SASL exchange.
func (d *dialogue) response(line []byte) {
	if string(line) == "*" { // RFC 4954 §4: the client cancels
		d.say(Client, line)
		return
	}
	d.masked("", line)
}
