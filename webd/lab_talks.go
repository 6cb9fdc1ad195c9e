package webd

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/wiretap"
)

// The conversations of a run, and the console in which a person has one.

func (v *visit) labTalks(b *lab.Board) []labTalk {
	l := v.labLang()
	var all []labTalk
	latest, at := -1, time.Time{}
	for _, t := range b.Talks {
		talk := labTalk{
			ID: t.ID, Class: protoClass(t.Proto), Proto: strings.ToUpper(t.Proto), Who: t.Who.In(l), Remote: t.Remote,
			Way: t.Column.In(l), Looking: t.Looking, Open: t.Open, Bytes: sizeText(t.Octets), Trips: int(t.Trips),
			Name: fmt.Sprintf("%s %s", strings.ToUpper(t.Proto), t.Who.In(l)),
		}
		if !t.Looking && t.Proto != "http" {
			talk.Try = tryLine(t.Proto, t.Remote, slices.Contains(v.s.Lab.TLS, t.Remote))
		}
		for _, line := range t.Lines {
			talk.Lines = append(talk.Lines, v.labLine(line))
		}
		if n := len(t.Lines); n > 0 && !t.Looking && !t.Lines[n-1].Time.Before(at) {
			latest, at = len(all), t.Lines[n-1].Time
		}
		all = append(all, talk)
	}
	if latest >= 0 {
		all[latest].Shown = true
	}
	return all
}

func (v *visit) labLine(line lab.Spoken) labLine {
	_, text, _ := strings.Cut(line.Text, " ")
	return labLine{
		N: line.N, At: fmt.Sprintf("+%.3f", line.After.Seconds()), Dir: [...]string{"n", "c", "s"}[line.Dir], Text: lab.Legible(text),
		Meaning: line.Meaning.In(v.labLang()), Body: line.Body, Pushed: line.Pushed, First: line.First && line.Dir == wiretap.Client,
	}
}

func (v *visit) labConsole(b *lab.Board) *labConsole {
	c := &labConsole{Protos: []string{"imap", "pop3", "smtp"}, Proto: "imap"}
	for _, lane := range b.Lanes {
		c.Values = append(c.Values, lane.Column)
		c.Columns = append(c.Columns, labColumn{lane.Address, string(lane.Column)})
	}
	for _, t := range b.Talks {
		if t.Console {
			c.Open, c.Proto, c.Column = t.Open, t.Proto, string(t.Column)
		}
	}
	words := lab.Commands(c.Proto)
	samples := map[string][]string{
		"imap": {"a1 LOGIN {user} {password}", "a2 SELECT INBOX", "a3 FETCH 1:* (FLAGS ENVELOPE)", "a4 STORE 1 +FLAGS (\\Seen)", "a5 LIST \"\" *", "a6 IDLE", "DONE", "a7 LOGOUT"},
		"pop3": {"USER {user}", "PASS {password}", "STAT", "UIDL", "TOP 1 0", "RETR 1", "DELE 1", "RSET", "QUIT"},
		"smtp": {"EHLO console.example", "MAIL FROM:<me@example.com>", "RCPT TO:<{user}>", "DATA", "Subject: hello", ".", "QUIT"},
	}
	for _, line := range samples[c.Proto] {
		meaning := ""
		for _, word := range strings.Fields(line) {
			if w, ok := words[strings.ToUpper(word)]; ok {
				meaning = w.In(v.labLang())
				break
			}
		}
		c.Commands = append(c.Commands, labCommand{line, meaning})
	}
	return c
}

// tryLine is how somebody can have the same conversation from a terminal.
func tryLine(proto, address string, secure bool) string {
	host, port, _ := net.SplitHostPort(address)
	if host == "0.0.0.0" || host == "::" || host == "127.0.0.1" || host == "" {
		host = "localhost"
	}
	if secure || strings.HasSuffix(proto, "s") {
		return fmt.Sprintf("openssl s_client -quiet -crlf -connect %s:%s", host, port)
	}
	return fmt.Sprintf("curl -v telnet://%s:%s", host, port)
}
