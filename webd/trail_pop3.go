package webd

import (
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/wiretap"
)

// popDeed is a command that was granted, about the message with a number.
type popDeed struct {
	deed
	n int
}

// inPOP3 finds what a POP3 session has done. Which number the mail has there
// is told by UIDL, or by the mail itself when it is fetched.
func (t *trail) inPOP3(s wiretap.Session) []deed {
	var waiting []popDeed // commands without reply; Kind is the verb
	if s.Missing == 0 {
		waiting = append(waiting, popDeed{}) // the greeting answers nobody
	}
	var now popDeed
	var granted []popDeed
	var mark postmark
	mine, called := 0, map[int]string{}
	call := func(n, name string) {
		number, _ := strconv.Atoi(n)
		called[number] = name
		if t.names[name] {
			mine = number
		}
	}
	for i, line := range s.Lines {
		words := strings.Fields(line.Text)
		switch {
		case line.Dir == wiretap.Client:
			if n := len(waiting); n > 0 && waiting[n-1].Kind == "AUTH" || len(words) == 0 {
				continue // its secrets are no commands
			}
			c := popDeed{deed: deed{Kind: strings.ToUpper(words[0]), Line: i}}
			if len(words) > 1 {
				c.n, _ = strconv.Atoi(words[1])
			}
			waiting = append(waiting, c)
		case line.Dir != wiretap.Server:
		case line.Body && now.Kind == "UIDL" && len(words) == 2:
			call(words[0], words[1])
		case line.Body:
			if (now.Kind == "RETR" || now.Kind == "TOP") && mark.has(line.Text, t.id) {
				mine = now.n
			}
		case len(words) > 0 && strings.HasPrefix(words[0], "+OK"), len(words) > 0 && words[0] == "-ERR":
			now = popDeed{}
			if len(waiting) == 0 {
				continue
			}
			now, waiting = waiting[0], waiting[1:]
			if words[0] == "-ERR" {
				continue
			}
			mark = postmark{}
			now.Reply = i
			granted = append(granted, now)
			if now.Kind == "UIDL" && now.n > 0 && len(words) > 2 {
				call(words[1], words[2])
			}
		}
	}
	if mine == 0 {
		return nil
	}
	if name := called[mine]; name != "" {
		t.names[name] = true
	}
	return popDeeds(granted, mine, !s.End.IsZero())
}

// popDeeds are those that are about one message. A mark comes true at QUIT
// only (RFC 1939 §6).
func popDeeds(granted []popDeed, mine int, ended bool) (found []deed) {
	var marked *deed
	for _, g := range granted {
		kind := ""
		switch {
		case g.Kind == "RETR" && g.n == mine:
			kind = "retrieved"
		case g.Kind == "TOP" && g.n == mine:
			kind = "top"
		case g.Kind == "DELE" && g.n == mine:
			kind, marked = "marked", &g.deed
		case g.Kind == "RSET" && marked != nil:
			kind, marked = "unmarked", nil
		case g.Kind == "QUIT" && marked != nil:
			kind, marked = "deleted", nil
		}
		if kind != "" {
			found = append(found, deed{Kind: kind, Line: g.Line, Reply: g.Reply})
		}
	}
	if marked != nil && ended {
		found = append(found, deed{Kind: "kept", Line: marked.Line, Reply: marked.Reply})
	}
	return found
}
