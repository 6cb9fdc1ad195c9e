package webd

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) setupRoutes(m *routes) {
	m.open("GET /setup", s.showSetup)
	m.open("POST /setup", s.setUp)
	m.open("GET /setup/clients", s.showClients)
	m.user("GET /setup/apple.mobileconfig", s.appleProfile)
	m.open("GET /.well-known/autoconfig/mail/config-v1.1.xml", s.autoconfig)
	m.open("GET /mail/config-v1.1.xml", s.autoconfig)
	m.open("POST /autodiscover/autodiscover.xml", s.autodiscover)
	m.open("POST /Autodiscover/Autodiscover.xml", s.autodiscover)
}

// setup is the one-time link with which the first administrator is made. It
// is new at each start, so that an old log is worth nothing.
type setup struct {
	mu     sync.Mutex // makes one administrator, not two
	secret string
}

// SetupLink is the path of the page where the first administrator is made,
// or "" when there is one already.
func (s *Server) SetupLink(ctx context.Context) (string, error) {
	some, err := s.hasAdmin(ctx)
	if some || err != nil {
		return "", err
	}
	return setupPath(s.setup.secret), nil
}

func setupPath(secret string) string {
	return "/setup?" + url.Values{"token": {secret}}.Encode()
}

func (s *Server) hasAdmin(ctx context.Context) (bool, error) {
	users, err := s.Store.Users(ctx)
	for _, u := range users {
		if u.Admin {
			return true, err
		}
	}
	return false, err
}

// setupForm is what the page of the set-up shows.
type setupForm struct{ Token, Address, Name, Error string }

// maySetUp answers errSetupLink to whoever has not the link of this start, and
// to everybody once there is an administrator.
func (v *visit) maySetUp(secret string) error {
	if subtle.ConstantTimeCompare([]byte(secret), []byte(v.s.setup.secret)) != 1 {
		return errSetupLink
	}
	some, err := v.s.hasAdmin(v.Context())
	if err == nil && some {
		err = errSetupLink
	}
	return err
}

func (s *Server) showSetup(v *visit) error {
	secret := v.URL.Query().Get("token")
	if err := v.maySetUp(secret); err != nil {
		return err
	}
	return v.showSetup(setupForm{Token: secret})
}

func (v *visit) showSetup(f setupForm) error {
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the link is a secret
	v.at = setupPath(f.Token)
	return v.render("setup", v.T("title.setup"), f)
}

// setUp makes the first administrator and logs them in.
func (s *Server) setUp(v *visit) error {
	if err := v.readForm(smallForm); err != nil {
		return err
	}
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	f := setupForm{Token: v.PostFormValue("setup"), Address: strings.TrimSpace(v.PostFormValue("address")), Name: strings.TrimSpace(v.PostFormValue("name"))}
	if err := v.maySetUp(f.Token); err != nil {
		return err
	}
	again := func(err error) error {
		p, known := replyTo(err)
		if !known {
			return err
		}
		v.status, f.Error = p.status, v.T(p.key)
		return v.showSetup(f)
	}
	password := v.PostFormValue("password")
	if password != v.PostFormValue("again") {
		return again(errNotTheSame)
	}
	if err := v.checkTyped(password); err != nil {
		return again(err)
	}
	if err := checkName(f.Name); err != nil {
		return again(err)
	}
	u, err := s.Store.CreateUser(v.Context(), store.NewUser{Address: f.Address, Name: f.Name, Password: password, Admin: true})
	if err != nil {
		return again(err)
	}
	generation, err := s.Store.Generation(v.Context(), u.ID)
	if err != nil {
		return err
	}
	v.log().Info("first administrator made", "address", u.Address)
	secret, err := s.sessions.begin(u.ID, generation, v.Request)
	if err != nil {
		return err
	}
	v.endSession()
	v.setSession(secret)
	return v.redirect("/admin")
}

var errSetupLink = &problem{http.StatusNotFound, "error.setup-link"}

var errNotTheSame = &problem{http.StatusUnprocessableEntity, "error.not-the-same"}
