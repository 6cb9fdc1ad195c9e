package webd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/wiretap"
)

// wireOpen is a conversation that is being read.
type wireOpen struct {
	wireSession
	Side   string // "a" or "b"
	Close  string
	Try    string
	Lines  []labLine
	Before int
	Mails  []string // URLs of the lives of mails that came in it
}

// maxWireLines is how many lines of a conversation a page shows, the last.
const maxWireLines = 600

// wireTalks are those that the visitor may see, the oldest first.
func (v *visit) wireTalks() []wiretap.Session {
	all := v.s.Tap.Sessions()
	if v.s.Demo {
		return all
	}
	var own []wiretap.Session
	for _, session := range all {
		if shown, ok := ownPart(session, v.user.Address); ok {
			own = append(own, shown)
		}
	}
	return own
}

// ownPart is what a user may see of a session, and false when that is nothing.
func ownPart(s wiretap.Session, address string) (wiretap.Session, bool) {
	if strings.EqualFold(s.User, address) {
		return s, true
	}
	if slices.ContainsFunc(s.Recipients, func(r string) bool { return strings.EqualFold(r, address) }) {
		return s.For(address), true
	}
	return wiretap.Session{}, false
}

// wireTalk is one that the visitor may see.
func (v *visit) wireTalk(id string) (wiretap.Session, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return wiretap.Session{}, false
	}
	s, ok := v.s.Tap.Session(n)
	if ok && !v.s.Demo {
		s, ok = ownPart(s, v.user.Address)
	}
	return s, ok
}

func (v *visit) wireOpen(s wiretap.Session, side string) wireOpen {
	o := wireOpen{wireSession: v.wireSession(s), Side: side, Close: v.wireURL(side, ""), Try: tryLine(s.Proto, s.Local, s.Security == "tls")}
	lines := v.wireLines(s)
	if o.Before = len(lines) - maxWireLines; o.Before > 0 {
		lines = lines[o.Before:]
	}
	o.Before = max(o.Before, 0) + s.Missing
	o.Lines = lines
	for _, line := range s.Lines {
		if id := acceptedAs(line); id != "" && len(o.Mails) < 5 {
			o.Mails = append(o.Mails, "/wire?mail="+id)
		}
	}
	return o
}

// acceptedAs is the id under which the server took a mail, if the line says
// so; our Received field has the same.
func acceptedAs(line wiretap.Line) string {
	words := strings.Fields(line.Text)
	if line.Dir != wiretap.Server || line.Body || len(words) < 2 || words[0] != "250" || !mailID(words[len(words)-1]) {
		return ""
	}
	return words[len(words)-1]
}

func (v *visit) wireLines(s wiretap.Session) []labLine {
	var all []labLine
	for _, line := range lab.Explain(wireFamily(s.Proto), s.Lines) {
		line.After = line.Time.Sub(s.Start)
		all = append(all, v.labLine(line))
	}
	return all
}

// wireFile serves one conversation in the format of transcripts.
func (s *Server) wireFile(v *visit) error {
	id, ok := strings.CutSuffix(v.PathValue("file"), ".txt")
	if !ok {
		return errNotFound
	}
	c, ok := v.wireTalk(id)
	if !ok {
		return errNotFound
	}
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=\"%s-%s.txt\"", c.Proto, id))
	v.send("text/plain", []byte(wiretap.Transcript(c)))
	return nil
}
