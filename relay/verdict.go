package relay

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// verdict is why a mail has not gone.
type verdict struct {
	final  bool   // trying again is of no use
	detail string // RFC 3463 §3, without the class, which final decides: "1.1"
	text   string // as the server said it, or in our words
	remote string // the server that said it; "" when these are our words
	code   int    // of the server's reply
	// lost: the connection ended before the mail had been handed over, so
	// that another server may be asked at once.
	lost bool
}

func (v *verdict) Error() string { return v.reply() }

// status is the RFC 3463 code.
func (v *verdict) status() string {
	if v.final {
		return "5." + v.detail
	}
	return "4." + v.detail
}

// reply is what the queue shows and the notice says.
func (v *verdict) reply() string {
	if v.remote == "" {
		return v.status() + " " + v.text
	}
	return fmt.Sprintf("%d %s", v.code, v.text)
}

// never and later are our own verdicts.
func never(detail, format string, args ...any) *verdict {
	return &verdict{final: true, detail: detail, text: fmt.Sprintf(format, args...)}
}

func later(detail, format string, args ...any) *verdict {
	return &verdict{detail: detail, text: fmt.Sprintf(format, args...)}
}

// reply is an answer of a server (RFC 5321 §4.2).
type reply struct {
	code  int
	lines []string // without code, without control characters
}

func (r reply) ok() bool { return r.code/100 == 2 }

// text is the reply on one line, and no longer than a person reads.
func (r reply) text() string {
	const enough = 500
	s := strings.Join(r.lines, " ")
	if len(s) > enough {
		s = s[:enough]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

// enhanced splits a line that begins with an RFC 3463 code.
func enhanced(line string) (detail string, ok bool) {
	code, _, _ := strings.Cut(line, " ")
	class, detail, _ := strings.Cut(code, ".")
	subject, number, found := strings.Cut(detail, ".")
	isNumber := func(s string) bool { return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == "" }
	return detail, found && len(class) == 1 && strings.Contains("245", class) && isNumber(subject) && isNumber(number)
}

// refused is the verdict of a reply that was not the wished one. fallback is
// the detail for servers that give none.
func (c *conn) refused(r reply, fallback string) *verdict {
	v := &verdict{final: r.code/100 == 5, detail: fallback, text: r.text(), remote: c.host.name, code: r.code}
	if len(r.lines) > 0 {
		if detail, ok := enhanced(r.lines[0]); ok {
			v.detail = detail
		}
	}
	// RFC 5321 §3.8: it is closing the connection.
	v.lost = r.code == 421
	return v
}
