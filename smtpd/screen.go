package smtpd

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/listen"
)

// patience is how many refused commands, addresses and passwords a connection
// may have, and how many passwords of these.
const (
	patience         = 20
	passwordPatience = 10
)

// screen looks at a command line before the library does. It answers what the
// library would get wrong, notes what follows the line, and leaves the line
// in c.pending when the library may run it. An error ends the connection.
func (c *conn) screen(line []byte) error {
	if c.answering {
		c.answering = false
		c.pending = saslAnswer(line)
		return nil
	}
	if listen.IsHTTP(line) {
		// A browser has been sent here; its body must not be run.
		c.log.Info("rejected", "reason", "HTTP request")
		c.last = true
		return io.EOF
	}
	verb, args := splitCommand(line)
	switch {
	case len(line) > maxCommand && verb != "AUTH":
		return c.refuse(errLongLine)
	case strings.ContainsFunc(verb+args, isControl):
		return c.refuse(errControl)
	}
	switch {
	case strings.HasPrefix(verb, "STARTTLS"):
		return c.startTLS(verb == "STARTTLS" && args == "")
	case strings.HasPrefix(verb, "BDAT"):
		return c.bdat(verb, args)
	}
	var r *reply
	switch verb {
	case "EHLO", "HELO":
		c.extended = verb == "EHLO"
	case "AUTH":
		r = screenAuth(args)
	case "MAIL":
		r = screenParameters(args)
	case "RCPT":
		r = screenParameters(args)
		if params, ok := cutPostmaster(args); ok {
			line = fmt.Appendf(nil, "RCPT TO:<postmaster@%s>%s\r\n", c.server.config.Hostname, params)
		}
	}
	if r != nil {
		return c.refuse(r)
	}
	c.pending = line
	return nil
}

// splitCommand gives the verb in upper case, and what follows it.
func splitCommand(line []byte) (verb, args string) {
	verb, args, _ = strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
	return strings.ToUpper(verb), strings.TrimSpace(args)
}

// refuse answers a command in the library's place.
func (c *conn) refuse(r *reply) error {
	if c.refusals++; c.refusals > patience {
		return c.goodbye(errPatience)
	}
	c.say(r)
	return nil
}

// saslAnswer is a line that answers a SASL challenge, or what cancels the
// exchange with 501 when it is not base64 (RFC 4954 §4).
func saslAnswer(line []byte) []byte {
	text := bytes.TrimRight(line, "\r\n")
	if string(text) == "*" || isBase64(string(text)) {
		return line
	}
	return []byte("*\r\n")
}

func screenAuth(args string) *reply {
	fields := strings.Fields(args)
	switch {
	case len(fields) == 0, len(fields) > 2:
		return errParameters
	case len(fields) == 2 && fields[1] != "=" && !isBase64(fields[1]):
		return errBase64
	}
	return nil
}

// isBase64 is strict: a decoder that forgives lets two spellings be one.
func isBase64(s string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && !strings.ContainsAny(s, "\r\n")
}

// screenParameters refuses a parameter that is given twice, and gives a size
// beyond the library's numbers the answer of RFC 1870 §6.1.
func screenParameters(args string) *reply {
	seen := make(map[string]bool)
	for _, parameter := range strings.Fields(args[strings.LastIndexByte(args, '>')+1:]) {
		keyword, value, _ := strings.Cut(parameter, "=")
		keyword = strings.ToUpper(keyword)
		if seen[keyword] {
			return errTwice
		}
		seen[keyword] = true
		// RFC 8689 §2, RFC 6531 §3.4: these have no value.
		if (keyword == "REQUIRETLS" || keyword == "SMTPUTF8") && keyword != strings.ToUpper(parameter) {
			return errParameters
		}
		if keyword != "SIZE" {
			continue
		}
		isNumber := value != "" && strings.Trim(value, "0123456789") == ""
		if n, err := strconv.ParseUint(value, 10, 64); isNumber && (err != nil || n > math.MaxUint32) {
			return errTooLarge
		}
	}
	return nil
}

// cutPostmaster finds the one address that needs no domain (RFC 5321
// §4.1.1.3), which the library does not know, and the parameters after it.
func cutPostmaster(args string) (parameters string, ok bool) {
	const path = "TO:<postmaster>"
	if len(args) < len(path) || !strings.EqualFold(args[:len(path)], path) {
		return "", false
	}
	return args[len(path):], true
}

// isControl is true of what no command holds. A tab is taken for a space by
// enough clients.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
