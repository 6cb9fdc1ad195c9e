package mailtest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// A value is a piece of an IMAP response as RFC 3501 §9 has it: a list, or a
// string, which may be an atom, a number or NIL.
type value struct {
	list []value
	text string
	kind byte // '(' list, '"' string, 'a' anything else
}

// nstring is a string or NIL.
func (v value) nstring() bool { return v.kind == '"' || v.kind == 'a' && v.text == "NIL" }

func (v value) number() bool {
	return v.kind == 'a' && v.text != "" && strings.Trim(v.text, "0123456789") == ""
}

// checkFetch is strict about a FETCH response: its syntax, and the shapes of
// ENVELOPE, BODY and BODYSTRUCTURE. After ENABLE IMAP4rev2 quoted strings may
// hold UTF-8.
func checkFetch(response string, rev2 bool) error {
	_, rest, ok := strings.Cut(response, " FETCH ")
	if !ok {
		return errors.New("no FETCH")
	}
	v, rest, err := parseValue(rest, rev2)
	if err != nil {
		return err
	}
	if rest != "\r\n" || v.kind != '(' || len(v.list)%2 != 0 {
		return fmt.Errorf("not a list of pairs, then %.40q", rest)
	}
	for i := 0; i < len(v.list); i += 2 {
		switch name, item := v.list[i].text, v.list[i+1]; name {
		case "ENVELOPE":
			err = checkEnvelope(item)
		case "BODY", "BODYSTRUCTURE":
			err = checkBody(item, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseValue(s string, rev2 bool) (v value, rest string, err error) {
	switch {
	case s == "":
		return v, s, errors.New("ends too early")
	case s[0] == '(':
		v.kind, s = '(', s[1:]
		for {
			if strings.HasPrefix(s, ")") {
				return v, s[1:], nil
			}
			var item value
			if item, s, err = parseValue(s, rev2); err != nil {
				return v, s, err
			}
			v.list = append(v.list, item)
			// body-type-mpart is 1*body without spaces between.
			if trimmed, ok := strings.CutPrefix(s, " "); ok && !strings.HasPrefix(trimmed, ")") {
				s = trimmed
			} else if !strings.HasPrefix(s, ")") && !(item.kind == '(' && strings.HasPrefix(s, "(")) {
				return v, s, fmt.Errorf("%.40q after a value", s)
			}
		}
	case s[0] == '"':
		v.kind = '"'
		for i := 1; i < len(s); i++ {
			switch c := s[i]; {
			case c == '"' && !utf8.ValidString(v.text):
				return v, s, fmt.Errorf("%q in a quoted string", v.text)
			case c == '"':
				return v, s[i+1:], nil
			case c == '\\':
				if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
					return v, s, errors.New("a wrong escape")
				}
				v.text += s[i : i+1]
			case c == 0 || c == '\r' || c == '\n' || c >= 0x80 && !rev2:
				return v, s, fmt.Errorf("%q in a quoted string", c)
			default:
				v.text += s[i : i+1]
			}
		}
		return v, s, errors.New("an open quote")
	case s[0] == '{':
		head, tail, _ := strings.Cut(s, "\r\n")
		n, ok := literal(head + "\r\n")
		if !ok || n > len(tail) {
			return v, s, errors.New("a wrong literal")
		}
		return value{text: tail[:n], kind: '"'}, tail[n:], nil
	}
	end := strings.IndexAny(s, " ()\"{\r\n")
	if end <= 0 {
		return v, s, fmt.Errorf("no value at %.40q", s)
	}
	return value{text: s[:end], kind: 'a'}, s[end:], nil
}

// checkEnvelope: RFC 3501 §7.4.2, ten fields, of which six are addresses.
func checkEnvelope(v value) error {
	if v.kind != '(' || len(v.list) != 10 {
		return errors.New("ENVELOPE has not ten fields")
	}
	for i, field := range v.list {
		if i < 2 || i > 7 {
			if !field.nstring() {
				return fmt.Errorf("field %d of ENVELOPE is no string", i)
			}
			continue
		}
		if field.kind == '(' && len(field.list) == 0 || field.kind != '(' && field.text != "NIL" {
			return fmt.Errorf("field %d of ENVELOPE has no addresses", i)
		}
		for _, address := range field.list {
			if len(address.list) != 4 || !all(address.list, value.nstring) {
				return fmt.Errorf("field %d of ENVELOPE has no address of four strings", i)
			}
		}
	}
	return nil
}

func all(list []value, ok func(value) bool) bool {
	for _, v := range list {
		if !ok(v) {
			return false
		}
	}
	return true
}

// checkBody: RFC 3501 §7.4.2, body structures, with their extension data or
// without.
func checkBody(v value, depth int) error {
	if v.kind != '(' || len(v.list) == 0 || depth > 110 {
		return errors.New("no body, or too deep a one")
	}
	if v.list[0].kind == '(' {
		n := 0
		for n < len(v.list) && v.list[n].kind == '(' {
			if err := checkBody(v.list[n], depth+1); err != nil {
				return err
			}
			n++
		}
		if n == len(v.list) || v.list[n].kind != '"' {
			return errors.New("a multipart without its subtype")
		}
		return nil
	}
	if len(v.list) < 7 || v.list[0].kind != '"' || v.list[1].kind != '"' || !checkParams(v.list[2]) ||
		!v.list[3].nstring() || !v.list[4].nstring() || v.list[5].kind != '"' || !v.list[6].number() {
		return fmt.Errorf("a wrong part: %.300v", v.list)
	}
	kind, subtype := strings.ToLower(v.list[0].text), strings.ToLower(v.list[1].text)
	switch {
	case kind == "text" && (len(v.list) < 8 || !v.list[7].number()):
		return errors.New("a text without its lines")
	case kind == "message" && subtype == "rfc822":
		if len(v.list) < 10 || !v.list[9].number() {
			return errors.New("a message without its lines")
		}
		if err := checkEnvelope(v.list[7]); err != nil {
			return err
		}
		return checkBody(v.list[8], depth+1)
	}
	return nil
}

func checkParams(v value) bool {
	if v.kind != '(' {
		return v.text == "NIL"
	}
	return len(v.list) > 0 && len(v.list)%2 == 0 && all(v.list, func(v value) bool { return v.kind == '"' })
}

func TestCheckFetchIsStrict(t *testing.T) {
	const envelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
	const text = `("text" "plain" NIL NIL NIL "7bit" 1 1)`
	for _, right := range []string{
		"(ENVELOPE " + envelope + " BODY " + text + ")",
		"(BODY (" + text + text + ` "mixed"))`,
		"(ENVELOPE (NIL {3}\r\na\"b ((NIL NIL \"a\" NIL)) NIL NIL NIL NIL NIL NIL NIL))",
	} {
		if err := checkFetch("* 1 FETCH "+right+"\r\n", false); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
	for _, wrong := range []string{
		"(ENVELOPE " + envelope,
		"(ENVELOPE " + envelope + "))",
		"(ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL))",
		"(ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL))",
		"(ENVELOPE (NIL \"\xe9\" NIL NIL NIL NIL NIL NIL NIL NIL))",
		"(ENVELOPE (NIL \"a\r\nb\" NIL NIL NIL NIL NIL NIL NIL NIL))",
		"(ENVELOPE (NIL {9}\r\nabc NIL NIL NIL NIL NIL NIL NIL NIL))",
		"(BODY (" + text + text + "))",
		`(BODY ("text" "plain" () NIL NIL "7bit" 1 1))`,
		`(BODY ("text" "plain" NIL NIL NIL "7bit" 1))`,
		`(BODY ("message" "rfc822" NIL NIL NIL "7bit" 1 ` + envelope + " " + text + "))",
	} {
		if checkFetch("* 1 FETCH "+wrong+"\r\n", false) == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}
