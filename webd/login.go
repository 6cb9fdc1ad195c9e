package webd

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) loginRoutes(m *routes) {
	m.open("GET /login", s.showLogin)
	m.open("POST /login", s.login)
	m.write("POST /logout", smallForm, s.logout)
	m.user("GET /settings", s.showSettings)
	m.write("POST /sessions/end", smallForm, s.endSessions)
}

// loginCookie carries the proof that a login form is ours: there is no session
// yet whose token it could have.
const loginCookie = "login"

// loginForm is what the page of the login shows.
type loginForm struct {
	Proof, Next, Address, Error string
	Accounts                    []DemoAccount
}

// askLogin sends a stranger to log in, and then back here.
func (v *visit) askLogin() error {
	if v.wantsJSON() || v.Header.Get("Accept") == "text/event-stream" {
		return errLoggedOut
	}
	if v.keepSettings() {
		return nil
	}
	next := "/m/inbox"
	if v.Method == http.MethodGet {
		next = v.URL.RequestURI()
	}
	return v.redirect("/login?" + url.Values{"next": {next}}.Encode())
}

func (s *Server) showLogin(v *visit) error {
	next := ours(v.URL.Query().Get("next"))
	if v.session != nil {
		return v.redirect(next)
	}
	return v.showLogin(loginForm{Next: next})
}

func (v *visit) showLogin(f loginForm) error {
	v.at = "/login?" + url.Values{"next": {f.Next}}.Encode()
	f.Proof = rand.Text()
	c := v.cookie(loginCookie, f.Proof, time.Hour)
	c.HttpOnly, c.SameSite = true, http.SameSiteStrictMode
	http.SetCookie(v.w, c)
	if v.s.Demo {
		f.Accounts = v.s.DemoAccounts
	}
	return v.render("login", v.T("title.login"), f)
}

func (s *Server) login(v *visit) error {
	if err := v.readForm(smallForm); err != nil {
		return err
	}
	f := loginForm{Next: ours(v.PostFormValue("next")), Address: v.PostFormValue("address")}
	proof, err := v.Cookie(loginCookie)
	if err != nil || subtle.ConstantTimeCompare([]byte(proof.Value), []byte(v.PostFormValue("proof"))) != 1 || proof.Value == "" {
		v.status, f.Error = http.StatusForbidden, v.T("error.cookie")
		return v.showLogin(f)
	}
	user, err := s.Auth.Login(v.Context(), v.remote(), "web", f.Address, v.PostFormValue("password"))
	var generation int64
	if err == nil {
		generation, err = s.Store.Generation(v.Context(), user.ID)
	}
	if err != nil {
		p, known := replyTo(err)
		if !known {
			v.log().Error("failed", "doing", "login", "err", err)
		}
		v.status, f.Error = p.status, v.T(p.key)
		return v.showLogin(f)
	}
	// A new secret at each login: one that was planted before is worth nothing.
	secret, err := s.sessions.begin(user.ID, generation, v.Request)
	if err != nil {
		return err
	}
	v.endSession()
	v.setSession(secret)
	return v.redirect(f.Next)
}

func (s *Server) logout(v *visit) error {
	if err := s.sessions.end(v.Context(), v.session); err != nil {
		return err
	}
	v.setSession("")
	v.w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return v.redirect("/login")
}

func (v *visit) endSession() {
	if v.session != nil {
		v.end(v.session)
	}
}

// sessionRow is a login as the settings show it.
type sessionRow struct {
	ID            store.LoginID
	Agent, Remote string
	Created, Seen time.Time
	Current       bool
}

// Browser is what the session is called.
func (r sessionRow) Browser() string { return browserName(r.Agent) }

// settingsPage is what the settings show.
type settingsPage struct {
	Sessions []sessionRow
	Senders  []string // whose images are always shown
}

func (s *Server) showSettings(v *visit) error {
	var p settingsPage
	logins, err := s.sessions.of(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	for _, l := range logins {
		p.Sessions = append(p.Sessions, sessionRow{l.ID, l.Agent, hostOf(l.Remote), l.Created, l.Seen, l.ID == v.session.login.ID})
	}
	if p.Senders, err = s.Store.Preferences(v.Context(), v.user.ID, imagesPreference); err != nil {
		return err
	}
	return v.render("settings", v.T("title.settings"), p)
}

// endSessions ends one login, or all others.
func (s *Server) endSessions(v *visit) error {
	if which := v.PostFormValue("session"); which == "others" {
		if err := s.sessions.endOthers(v.Context(), v.session); err != nil {
			return err
		}
	} else if id, err := strconv.ParseInt(which, 10, 64); err != nil {
		return errForm
	} else if err := s.sessions.endOf(v.Context(), v.user.ID, store.LoginID(id)); err != nil {
		return err
	}
	return v.redirect("/settings")
}
