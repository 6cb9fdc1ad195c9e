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
	On       bool // conversations are being recorded
	Own      bool // only of those who have agreed, and each sees their own
	Opted    bool // the visitor has
	Admin    bool
	Kept     int
	Octets   int64
}

// wireFilter chooses conversations; it is the query of the URL.
type wireFilter struct{ Proto, User, Device string }

// wireSession is a row of the list.
type wireSession struct {
	ID                 uint64
	Proto, Class, User string
	Device, Security   string
	Start              time.Time
	Took               string
	Live               bool
	Lines              int
	URL, Beside        string
	Here               bool
	Octets             int64
	Trips              int
	Missing            int
	Last, From, To     string
}

func (s *Server) showWire(v *visit) error {
	q := v.URL.Query()
	p := wirePage{
		Filter: wireFilter{q.Get("proto"), q.Get("user"), q.Get("device")}, Protos: []string{"smtp", "pop3", "imap", "relay", "http"},
		On: s.Tap.Enabled(), Own: !s.Demo, Opted: v.user.Tap, Admin: v.user.Admin,
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
		p.Life = v.life(newTrail(id, q["at"]...), all)
	}
	name := "wire"
	if v.Header.Get("X-Pane") == "wire" {
		name = "wirepane"
	}
	v.w.Header().Set("Vary", "X-Pane")
	return v.render(name, v.T("title.wire"), p)
}

func (f wireFilter) takes(s wiretap.Session) bool {
	return (f.Proto == "" || wiretap.Protocol(s.Proto) == f.Proto) &&
		(f.User == "" || slices.Contains(whose(s), f.User)) &&
		(f.Device == "" || device(s) == f.Device)
}

// whose are the users that a session is about.
func whose(s wiretap.Session) []string {
	if s.User != "" {
		return []string{s.User}
	}
	return slices.Concat(s.Recipients, s.Senders)
}

// device is what tells one client from another: what it calls itself, or the
// address that it comes from.
func device(s wiretap.Session) string { return cmp.Or(s.Device, hostOf(s.Remote)) }

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
		ID: s.ID, Proto: strings.ToUpper(s.Proto), Class: protoClass(wiretap.Protocol(s.Proto)), User: strings.Join(whose(s), ", "),
		Device: device(s), From: s.Remote, To: s.Local, Security: s.Security, Start: s.Start, Live: s.End.IsZero(), Lines: len(s.Lines),
		Octets: s.ClientOctets + s.ServerOctets, Trips: int(s.Trips), Missing: s.Missing,
	}
	if s.Side == wiretap.ClientSide {
		w.From, w.To = w.To, w.From
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

// changeWire turns recording on and off, and lets an admin forget all.
func (s *Server) changeWire(v *visit) error {
	switch v.PostFormValue("do") {
	case "on", "off":
		on := v.PostFormValue("do") == "on"
		if _, err := s.Store.UpdateUser(v.Context(), v.user.ID, store.UserChange{Tap: &on}); err != nil {
			return err
		}
	case "start", "stop":
		if !v.user.Admin {
			return errNotFound
		}
		s.Tap.Enable(v.PostFormValue("do") == "start")
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
		f.User, f.Outgoing = v.user.Address, v.user.Admin
	}
	events, cancel := s.Tap.Subscribe(f) // before the stream flows, so that nothing is missed
	defer cancel()
	return v.stream(func(send sender) error {
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
