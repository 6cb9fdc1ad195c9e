package webd

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// LiveSession is a connection of a mail program or another server. Its JSON
// is that of the API.
type LiveSession struct {
	ID       uint64    `json:"id"`
	Proto    string    `json:"proto"` // of the listener: "imap", "pop3s", "submission" and so on
	User     string    `json:"user,omitempty"`
	Device   string    `json:"device,omitempty"` // what the client calls itself
	Remote   string    `json:"remote"`
	TLS      string    `json:"tls,omitempty"` // version and cipher suite
	State    string    `json:"state"`         // connected, authenticated, transaction, selected or idle
	Since    time.Time `json:"since"`
	Idle     int64     `json:"idle"`           // seconds since an octet was sent or received
	Received int64     `json:"received"`       // octets on the network, from the client
	Sent     int64     `json:"sent"`           // and to it
	Wire     uint64    `json:"wire,omitempty"` // its number in the wire log
}

// Octets are those of both ways.
func (l LiveSession) Octets() int64 { return l.Received + l.Sent }

// sessionsPart is what the admin page shows of sessions.
type sessionsPart struct {
	Sessions []LiveSession
	Pages    []openPage
	Watched  bool // somebody tells us of sessions
	CanEnd   bool // and can end them
	Logins   int  // in browsers
}

func (s *Server) sessionsPart(ctx context.Context) (p sessionsPart, err error) {
	p = sessionsPart{Watched: s.Operation.Sessions != nil, CanEnd: s.Operation.Disconnect != nil, Sessions: s.liveSessions()}
	if p.Pages, err = s.openPages(ctx); err != nil {
		return p, err
	}
	p.Logins, err = s.Store.CountLogins(ctx)
	return p, err
}

// openPage is a login in a browser that hears of changes at this moment. Its
// connections come and go, so it is the login that can be ended.
type openPage struct {
	ID                   store.LoginID
	User, Device, Remote string
	Since                time.Time
	Idle                 int64 // seconds since the last request
}

func (s *Server) openPages(ctx context.Context) (all []openPage, err error) {
	for _, o := range s.sessions.open() {
		u, err := s.Store.User(ctx, o.login.User)
		if errors.Is(err, store.ErrNoSuchUser) {
			continue // gone this moment
		}
		if err != nil {
			return nil, err
		}
		idle := s.Now().Sub(o.lastSeen()) / time.Second
		all = append(all, openPage{o.login.ID, u.Address, browserName(o.login.Agent), o.login.Remote, o.login.Created, int64(idle)})
	}
	slices.SortFunc(all, func(a, b openPage) int { return a.Since.Compare(b.Since) })
	return all, nil
}

// endPage ends a login in a browser, on all its pages.
func (s *Server) endPage(ctx context.Context, id string) error {
	for _, o := range s.sessions.open() {
		if strconv.FormatInt(int64(o.login.ID), 10) == id {
			return s.sessions.end(ctx, o)
		}
	}
	return errSession
}

func (s *Server) liveSessions() []LiveSession {
	if s.Operation.Sessions == nil {
		return []LiveSession{}
	}
	return s.Operation.Sessions()
}

// showSessions answers with that part of the page alone, for the module that
// keeps it up to date.
func (s *Server) showSessions(v *visit) error {
	part, err := s.sessionsPart(v.Context())
	if err != nil {
		return err
	}
	return v.render("adminsessions", v.T("title.admin"), adminPage{sessionsPart: part})
}

// Family is the protocol of a listener without how it is wrapped.
func (p page) Family(proto string) string { return wiretap.Protocol(proto) }

// Transcript is where the visitor can read what is said in a session, or "".
func (p page) Transcript(l LiveSession) string {
	if l.Wire == 0 || p.s.Tap == nil || !p.s.Demo && l.User != p.user.Address {
		return ""
	}
	return "/wire?a=" + strconv.FormatUint(l.Wire, 10)
}

var errSession = &problem{http.StatusNotFound, "error.no-session"}

// end ends a session of a mail program.
func (s *Server) end(id string) error {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || s.Operation.Disconnect == nil || s.Operation.Disconnect(n) != nil {
		return errSession
	}
	return nil
}

func (s *Server) disconnect(v *visit) error {
	var err error
	if login := v.PostFormValue("login"); login != "" {
		err = s.endPage(v.Context(), login)
	} else {
		err = s.end(v.PostFormValue("id"))
	}
	if err != nil {
		return err
	}
	return v.backToAdmin("sessions", v.T("admin.disconnected"), "")
}

func listSessions(c *call) error {
	return c.json(map[string]any{"sessions": c.s.liveSessions()})
}

func endSession(c *call) error {
	if err := c.s.end(c.PathValue("id")); err != nil {
		return err
	}
	return c.done()
}
