package webd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
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
		if shown, ok := ownPart(session, v.user); ok {
			own = append(own, shown)
		}
	}
	return own
}

// ownPart is what a user may see of a session, and false when that is nothing.
// Administrators see what goes out, but not what others write.
func ownPart(s wiretap.Session, u store.User) (wiretap.Session, bool) {
	own := func(address string) bool { return strings.EqualFold(address, u.Address) }
	switch {
	case own(s.User):
		return s, true
	case u.Admin && wiretap.Protocol(s.Proto) == "relay":
		return s.ForAdmin(u.Address), true
	case slices.ContainsFunc(s.Recipients, own), slices.ContainsFunc(s.Senders, own):
		return s.For(u.Address), true
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
		s, ok = ownPart(s, v.user)
	}
	return s, ok
}

func (v *visit) wireOpen(s wiretap.Session, side string) wireOpen {
	o := wireOpen{wireSession: v.wireSession(s), Side: side, Close: v.wireURL(side, ""), Try: tryAgain(s)}
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

// spoken is the language of a conversation.
func spoken(proto string) string {
	if proto = wiretap.Protocol(proto); proto == "relay" {
		return "smtp"
	}
	return proto
}

// tryAgain is how somebody can have the same conversation from a terminal: at
// our own door, or where we have called.
func tryAgain(s wiretap.Session) string {
	switch {
	case wiretap.Protocol(s.Proto) == "http":
		return "curl -i " + map[bool]string{false: "http", true: "https"}[s.Security == "tls"] + "://" + s.Local + "/login"
	case s.Side == wiretap.ServerSide:
		return tryLine(s.Proto, s.Local, s.Security == "tls")
	case s.Security == "tls" && len(s.Lines) > 0 && s.Lines[0].Dir != wiretap.Note:
		return "openssl s_client -quiet -crlf -starttls smtp -connect " + s.Remote
	}
	return tryLine(s.Proto, s.Remote, s.Security == "tls")
}

func (v *visit) wireLines(s wiretap.Session) []labLine {
	var all []labLine
	for _, line := range lab.Explain(spoken(s.Proto), s.Lines) {
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
	v.send("text/plain", []byte(transcriptFile(c)))
	return nil
}

// transcriptFile is a conversation as a file that tests can play.
func transcriptFile(s wiretap.Session) string {
	head := fmt.Sprintf("# %s %s, %s", strings.ToUpper(s.Proto), strings.Join(whose(s), ", "), s.Start.UTC().Format(time.RFC3339))
	return head + "\n-- talk --\nopen " + spoken(s.Proto) + "\n" + wiretap.Transcript(s)
}
