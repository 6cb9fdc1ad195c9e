package webd

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// The wire log: what mail programs and other servers say to this one. In a
// demonstration everybody who is logged in sees all of it; else a user sees
// their own conversations, once they have asked for them to be kept.
func (s *Server) wireRoutes(m *routes) {
	if s.Tap == nil {
		return
	}
	m.user("GET /wire", s.showWire)
	m.user("GET /wire/events", s.wireEvents)
	m.user("GET /wire/{file}", s.wireFile)
	m.write("POST /wire", smallForm, s.changeWire)
}

// wirePage is the wire log as a visitor sees it.
type wirePage struct {
	Filter   wireFilter
	Protos   []string
	Users    []string
	Devices  []string
	Sessions []wireSession
	Open     []wireOpen
	Life     *wireLife
	Off      bool // the visitor's conversations are not kept
	Opted    bool
	Admin    bool
	Kept     int
	Octets   int64
}

// wireFilter chooses conversations; it is the query of the URL.
type wireFilter struct{ Proto, User, Device string }

// wireSession is a row of the list.
type wireSession struct {
	ID                  uint64
	Proto, Class, User  string
	Device, Security    string
	Start               time.Time
	Took                string
	Live                bool
	Lines               int
	URL, Beside         string
	Here                bool
	Octets              int64
	Trips               int
	Missing             int
	Last, Remote, Local string
}

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

// wireLife is one mail's way through the conversations.
type wireLife struct {
	ID    string
	Lanes []wireLane
}

type wireLane struct {
	wireSession
	Lines []labLine
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

func (s *Server) showWire(v *visit) error {
	q := v.URL.Query()
	p := wirePage{
		Filter: wireFilter{q.Get("proto"), q.Get("user"), q.Get("device")}, Protos: []string{"smtp", "pop3", "imap"},
		Off: !s.Demo && !v.user.Tap, Opted: !s.Demo && v.user.Tap, Admin: v.user.Admin,
	}
	p.Kept, p.Octets = s.Tap.Kept()
	all := v.wireTalks()
	for _, c := range all {
		p.Users = append(p.Users, whose(c)...)
		p.Devices = append(p.Devices, device(c))
	}
	p.Users, p.Devices = distinct(p.Users), distinct(p.Devices)
	for _, c := range slices.Backward(all) {
		if p.Filter.takes(c) {
			p.Sessions = append(p.Sessions, v.wireSession(c))
		}
	}
	for _, side := range []string{"a", "b"} {
		if c, ok := v.wireTalk(q.Get(side)); ok {
			p.Open = append(p.Open, v.wireOpen(c, side))
		}
	}
	if id := q.Get("mail"); mailID(id) {
		p.Life = v.life(id, all)
	}
	name := "wire"
	if v.Header.Get("X-Pane") == "wire" {
		name = "wirepane"
	}
	v.w.Header().Set("Vary", "X-Pane")
	return v.render(name, v.T("title.wire"), p)
}

func (f wireFilter) takes(s wiretap.Session) bool {
	return (f.Proto == "" || wireFamily(s.Proto) == f.Proto) &&
		(f.User == "" || slices.Contains(whose(s), f.User)) &&
		(f.Device == "" || device(s) == f.Device)
}

// wireFamily is the protocol without how it is wrapped.
func wireFamily(proto string) string {
	switch proto = strings.TrimSuffix(proto, "s"); proto {
	case "submission":
		return "smtp"
	}
	return proto
}

// whose are the users that a session is about.
func whose(s wiretap.Session) []string {
	if s.User != "" {
		return []string{s.User}
	}
	return s.Recipients
}

// device is what tells one client from another: the address that it comes
// from.
func device(s wiretap.Session) string { return hostOf(s.Remote) }

// hostOf is an address without its port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

func (v *visit) wireSession(s wiretap.Session) wireSession {
	w := wireSession{
		ID: s.ID, Proto: strings.ToUpper(s.Proto), Class: protoClass(wireFamily(s.Proto)), User: strings.Join(whose(s), ", "),
		Device: device(s), Remote: s.Remote, Local: s.Local, Security: s.Security, Start: s.Start, Live: s.End.IsZero(), Lines: len(s.Lines),
		Octets: s.ClientOctets + s.ServerOctets, Trips: int(s.Trips), Missing: s.Missing,
	}
	if !w.Live {
		w.Took = fmt.Sprintf("%d ms", s.End.Sub(s.Start).Milliseconds())
	}
	for _, line := range slices.Backward(s.Lines) {
		if line.Dir == wiretap.Client && !line.Body {
			w.Last = clipText(line.Text, 40)
			break
		}
	}
	id := strconv.FormatUint(s.ID, 10)
	q := v.URL.Query()
	w.Here = q.Get("a") == id || q.Get("b") == id
	w.URL = v.wireURL("a", id)
	if a := q.Get("a"); a != "" && a != id {
		w.Beside = v.wireURL("b", id)
	}
	return w
}

// wireURL is this page with another conversation open.
func (v *visit) wireURL(side, id string) string {
	q := v.URL.Query()
	q.Set(side, id)
	if id == "" {
		q.Del(side)
	}
	q.Del("mail")
	if len(q) == 0 {
		return "/wire"
	}
	return "/wire?" + q.Encode()
}

func (v *visit) wireOpen(s wiretap.Session, side string) wireOpen {
	o := wireOpen{wireSession: v.wireSession(s), Side: side, Close: v.wireURL(side, ""), Try: tryLine(s.Proto, s.Local, s.Security)}
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

// mailID reports whether a text can be the id of a Received field of ours.
func mailID(id string) bool {
	return len(id) >= 8 && len(id) <= 40 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// life finds every conversation in which a mail was named: by the server when
// it took the mail, and in the Received field wherever the mail was read.
func (v *visit) life(id string, all []wiretap.Session) *wireLife {
	life := &wireLife{ID: id}
	for _, s := range all {
		lines := v.wireLines(s)
		var chosen []labLine
		from := 0 // of the exchange
		for i, line := range lines {
			if line.First {
				from = i
			}
			if !strings.Contains(line.Text, id) {
				continue
			}
			start := max(from, i-1)
			if start > from {
				chosen = append(chosen, lines[from])
			}
			chosen = append(chosen, lines[start:min(i+2, len(lines))]...)
		}
		if chosen != nil {
			chosen = slices.CompactFunc(chosen, func(a, b labLine) bool { return a.N == b.N })
			life.Lanes = append(life.Lanes, wireLane{v.wireSession(s), chosen[:min(len(chosen), 40)]})
		}
	}
	slices.SortStableFunc(life.Lanes, func(a, b wireLane) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
	return life
}

// arrivalTranscript is the SMTP session that brought a mail, as far as the
// user may see it: found by the id that our Received field has, which the
// server said when it took the mail.
func (s *Server) arrivalTranscript(u store.User, received string) (wiretap.Session, bool) {
	if s.Tap == nil || !mailID(received) {
		return wiretap.Session{}, false
	}
	for _, session := range slices.Backward(s.Tap.Sessions()) {
		if wireFamily(session.Proto) != "smtp" || !slices.ContainsFunc(session.Lines, func(l wiretap.Line) bool {
			return acceptedAs(l) == received
		}) {
			continue
		}
		return ownPart(session, u.Address)
	}
	return wiretap.Session{}, false
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

// changeWire turns recording on and off, and lets an admin forget all.
func (s *Server) changeWire(v *visit) error {
	switch v.PostFormValue("do") {
	case "on", "off":
		on := v.PostFormValue("do") == "on"
		if _, err := s.Store.UpdateUser(v.Context(), v.user.ID, store.UserChange{Tap: &on}); err != nil {
			return err
		}
	case "clear":
		if !v.user.Admin {
			return errNotFound
		}
		s.Tap.Clear()
		v.session.say(notice{Text: v.T("wire.cleared")})
	default:
		return errForm
	}
	return v.redirect("/wire")
}

// wireEvents tells a page when there is something new to see. What it is, the
// page asks for.
func (s *Server) wireEvents(v *visit) error {
	q := v.URL.Query()
	f := wiretap.Filter{Proto: q.Get("proto")}
	if !s.Demo {
		f.User = v.user.Address
	}
	events, cancel := s.Tap.Subscribe(f) // before the stream flows, so that nothing is missed
	defer cancel()
	return v.stream(func(send func(id, event, data string) error) error {
		alive := time.NewTicker(keepAlive)
		defer alive.Stop()
		var soon <-chan time.Time
		fresh := url.Values{}
		for {
			select {
			case e := <-events:
				fresh.Set(strconv.FormatUint(e.Session.ID, 10), "")
				if soon == nil {
					soon = time.After(wirePause)
				}
			case <-soon:
				soon = nil
				var ids []string
				for id := range fresh {
					ids = append(ids, id)
				}
				clear(fresh)
				if err := send("", "wire", "["+strings.Join(ids, ",")+"]"); err != nil {
					return err
				}
			case <-alive.C:
				if err := v.stillValid(v.session); err != nil {
					return nil
				}
				if err := send("", "", ""); err != nil {
					return err
				}
			case <-v.session.ended:
				return nil
			case <-v.Context().Done():
				return nil
			case <-s.ctx.Done():
				return nil
			}
		}
	})
}

// wirePause is how long lines are gathered before a page is told of them.
const wirePause = 120 * time.Millisecond
