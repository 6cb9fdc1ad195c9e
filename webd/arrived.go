package webd

import (
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// journey is how a message came here, as far as it says itself and we have
// noted. Only the topmost Received field and our own Authentication-Results
// are ours; what is below anybody may have written.
type journey struct {
	ReturnPath string
	Hops       []hop // the first one is where the message began
	Results    []authResult
	Login      bool      // its sender has logged in here, so nothing was checked
	Written    time.Time // the Date field
	Stored     time.Time
	Total      time.Duration

	Talk   *arrivalTalk // the conversation that brought it, if it is kept
	Since  []happening  // what has been done to it
	Untold string       // the text that says why there may be more
	LifeOf string       // URL of its way through all conversations
}

// hop is one Received field (RFC 5321 §4.4).
type hop struct {
	From, FromInfo string // who gave it, by their own word, and what was seen
	By             string
	With           string
	TLS            string // what was agreed on, or ""
	Safe           bool   // with TLS
	Login          bool   // by somebody who had logged in
	ID, For        string
	Time           time.Time
	Delay          time.Duration
	Late           bool // longer than a minute
	Ours           bool
}

// authResult is one method of an Authentication-Results field (RFC 8601), and
// what its result means.
type authResult struct{ Method, Result, Meaning, Detail string }

// maxHops is how many hops a page shows.
const maxHops = 100

func (v *visit) journey(box folder, m *store.Message) *journey {
	a := &journey{Written: m.Envelope.Date, Stored: m.Received}
	if path := message.Field(m.Header, "Return-Path"); len(path) > 0 {
		a.ReturnPath = strings.TrimSpace(path[0])
	}
	fields := message.Field(m.Header, "Received")
	for i := min(len(fields), maxHops) - 1; i >= 0; i-- {
		h := parseReceived(fields[i])
		h.Ours = i == 0 && strings.EqualFold(h.By, v.s.Hostname)
		a.Login = a.Login || h.Ours && h.Login
		a.Hops = append(a.Hops, h)
	}
	last := a.Written
	for i := range a.Hops {
		h := &a.Hops[i]
		if !last.IsZero() && !h.Time.IsZero() {
			h.Delay = h.Time.Sub(last)
			h.Late = h.Delay > time.Minute
		}
		if !h.Time.IsZero() {
			last = h.Time
		}
	}
	if !a.Written.IsZero() {
		a.Total = a.Stored.Sub(a.Written)
	}
	for _, c := range v.s.ownResults(m.Header) {
		a.Results = append(a.Results, v.authResult(c))
	}
	v.since(a, box, m)
	return a
}

// parseReceived reads a Received field as liberally as they are written:
// words that introduce something, what they introduce, and comments.
func parseReceived(field string) hop {
	var h hop
	clauses := field
	if i := strings.LastIndexByte(field, ';'); i >= 0 {
		clauses = field[:i]
		h.Time = message.ParseDate(field[i+1:])
	}
	var at string
	values, comments := map[string]string{}, map[string]string{}
	for _, w := range words(clauses) {
		switch lower := strings.ToLower(w); {
		case strings.HasPrefix(w, "("):
			inner := strings.TrimSpace(strings.TrimSuffix(w[1:], ")"))
			comments[at] = strings.TrimSpace(comments[at] + " " + inner)
			if strings.Contains(strings.ToUpper(inner), "TLS") && h.TLS == "" {
				h.TLS = inner
			}
		case lower == "from" || lower == "by" || lower == "with" || lower == "id" || lower == "for" || lower == "via":
			at = lower
		case at != "" && values[at] == "":
			values[at] = w
		}
	}
	h.From, h.FromInfo, h.By = values["from"], comments["from"], values["by"]
	h.With, h.ID, h.For = values["with"], values["id"], strings.Trim(values["for"], "<>")
	// RFC 3848: ESMTP, and S for TLS, A for a login.
	kind := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(h.With), "UTF8"), "E"), "L")
	h.Safe = h.TLS != "" || strings.HasPrefix(kind, "SMTPS") || strings.HasPrefix(kind, "MTPS")
	h.Login = strings.HasPrefix(kind, "SMTP") && strings.HasSuffix(kind, "A")
	return h
}

// words cuts text at white space; a comment in brackets is one word.
func words(text string) []string {
	var all []string
	depth, start := 0, -1
	end := func(i int) {
		if start >= 0 {
			all = append(all, text[start:i])
			start = -1
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '(':
			if depth == 0 {
				end(i)
				start = i
			}
			depth++
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				end(i + 1)
			}
		case depth == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			end(i)
		case start < 0:
			start = i
		}
	}
	end(len(text))
	return all
}
