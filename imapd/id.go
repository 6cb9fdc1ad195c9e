package imapd

import (
	"bytes"
	"strings"
	"unicode"

	"github.com/yubin-mail/yubin/internal/listen"
)

// What a client may say of itself. RFC 2971 §3.3
const (
	maxIDFields = 30
	maxIDField  = 30   // octets of a field's name
	maxIDValue  = 1024 // octets of a field's value
	maxDevice   = 80   // characters of it that are shown to people
)

// identify answers ID, which the library does not know, and notes for whoever
// runs the server what the client calls itself. Nothing else depends on it
// (RFC 2971 §1).
//
// line is the first of the command, and announces lit.
func (c *conn) identify(cmd command, line []byte, lit literal, scratch []byte) error {
	given := bytes.Clone(line[cmd.arguments:])
	for lit.open {
		if lit.sync {
			c.ask()
		}
		c.lit = literal{open: true, left: lit.left} // it has been asked for
		for c.lit.left > 0 {
			n, err := c.readLiteral(scratch)
			if err != nil && n == 0 {
				return err
			}
			given = append(given, scratch[:n]...)
		}
		line, err := c.line(scratch, maxCommand)
		if err != nil {
			return err
		}
		lit = announced(line)
		if refusal := c.inspect(&cmd, &line, lit, false); refusal != "" {
			c.answer(cmd, refusal)
			c.lit = lit
			return nil
		}
		given = append(given, line...)
	}
	c.lit = literal{}
	fields, ok := parseID(given)
	if !ok {
		c.answer(cmd, "BAD [CLIENTBUG] Syntax error")
		return nil
	}
	if name := deviceName(fields); name != "" {
		c.peer.SetDevice(name)
		if tap, ok := listen.Beneath[interface{ TapDevice(string) }](c.wire()); ok {
			tap.TapDevice(name)
		}
	}
	us := `"name" "yubin"`
	if v := c.server.config.Version; v != "" && c.authenticated() { // strangers need not know it
		us += ` "version" "` + v + `"`
	}
	c.out.Lock()
	c.write([]byte("* ID (" + us + ")\r\n")) // errors show at the next read
	c.out.Unlock()
	c.answer(cmd, "OK ID completed")
	return nil
}

// ask lets the client go on with a literal.
func (c *conn) ask() {
	c.out.Lock()
	defer c.out.Unlock()
	c.write([]byte("+ Ready for literal data\r\n"))
}

// parseID reads the arguments of ID: NIL, or a list of names and values, of
// which those that are NIL are left out. RFC 2971 §4
func parseID(b []byte) (fields map[string]string, ok bool) {
	p := idParser{b}
	fields = map[string]string{}
	if !p.skip(" ") {
		return nil, false
	}
	if p.skip("NIL") {
		return fields, p.skip("\r\n") || p.skip("\n")
	}
	if !p.skip("(") {
		return nil, false
	}
	for n := 0; !p.skip(")"); n++ {
		if n == maxIDFields || n > 0 && !p.skip(" ") {
			return nil, false
		}
		name, ok := p.text()
		if !ok || len(name) > maxIDField || !p.skip(" ") {
			return nil, false
		}
		if p.skip("NIL") {
			continue
		}
		value, ok := p.text()
		if !ok || len(value) > maxIDValue {
			return nil, false
		}
		fields[strings.ToLower(name)] = value
	}
	return fields, p.skip("\r\n") || p.skip("\n")
}

// idParser is what is left of the arguments.
type idParser struct{ rest []byte }

// skip takes a word that comes next, in any case of letters.
func (p *idParser) skip(word string) bool {
	if len(p.rest) < len(word) || !strings.EqualFold(string(p.rest[:len(word)]), word) {
		return false
	}
	p.rest = p.rest[len(word):]
	return true
}

// text takes a string. RFC 9051 §4.3
func (p *idParser) text() (string, bool) {
	if !p.skip(`"`) {
		end := bytes.IndexByte(p.rest, '\n')
		if end < 0 || p.rest[0] != '{' {
			return "", false
		}
		lit := announced(p.rest[:end+1])
		p.rest = p.rest[end+1:]
		if !lit.open || lit.left > int64(len(p.rest)) {
			return "", false
		}
		value := string(p.rest[:lit.left])
		p.rest = p.rest[lit.left:]
		return value, true
	}
	var value []byte
	for i := 0; i < len(p.rest); i++ {
		switch b := p.rest[i]; {
		case b == '"':
			p.rest = p.rest[i+1:]
			return string(value), true
		case b == '\\' && i+1 < len(p.rest):
			i++
			value = append(value, p.rest[i])
		default:
			value = append(value, b)
		}
	}
	return "", false
}

// deviceName is what people see of a client's ID: "Mail 3.1 (iOS 26)".
func deviceName(fields map[string]string) string {
	join := func(names ...string) string {
		var words []string
		for _, n := range names {
			words = append(words, strings.Fields(printable(fields[n]))...)
		}
		return strings.Join(words, " ")
	}
	name, on := join("name", "version"), join("device", "os", "os-version")
	switch {
	case name == "":
		name = on
	case on != "":
		name += " (" + on + ")"
	}
	if all := []rune(name); len(all) > maxDevice {
		name = string(all[:maxDevice-1]) + "…"
	}
	return name
}

// printable is a text without what would change how others are shown.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}
