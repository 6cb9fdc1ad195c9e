package webd

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// tokensPage is where people make tokens for their programs.
type tokensPage struct {
	Tokens []store.Token
	Scopes []string
	Made   string // the secret of one that has just been made: shown once
	URL    string
}

func (s *Server) showTokens(v *visit) error { return v.showTokens("") }

func (v *visit) showTokens(made string) error {
	tokens, err := v.s.Store.Tokens(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	p := tokensPage{Tokens: tokens, Scopes: Scopes[:2], Made: made, URL: v.origin()}
	if v.user.Admin {
		p.Scopes = Scopes
	}
	return v.render("tokens", v.T("title.tokens"), p)
}

// origin is this site as the browser calls it.
func (v *visit) origin() string {
	if v.isSecure() {
		return "https://" + v.Host
	}
	return "http://" + v.Host
}

// Join writes a list.
func (p page) Join(list []string) string { return strings.Join(list, ", ") }

// maxDays is the longest term of a token or a policy.
const maxDays = 36500

var errNoScope = &problem{http.StatusUnprocessableEntity, "error.no-scope"}

// actOnToken makes a token, or ends one.
func (s *Server) actOnToken(v *visit) error {
	if text := v.PostFormValue("end"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errForm
		}
		gone, err := s.Store.RemoveToken(v.Context(), v.user.ID, store.TokenID(id))
		if err != nil {
			return err
		}
		if !gone {
			return errNoToken
		}
		v.session.say(notice{Text: v.T("tokens.ended")})
		return v.redirect("/settings/tokens")
	}
	some := v.PostForm["scope"]
	if len(some) == 0 {
		return errNoScope
	}
	if err := v.checkScopes(some); err != nil {
		return err
	}
	name := strings.TrimSpace(v.PostFormValue("name"))
	if err := singleLine(name); err != nil {
		return err
	}
	var expires time.Time
	if text := strings.TrimSpace(v.PostFormValue("days")); text != "" { // a slip must not make one that lasts for ever
		days, err := strconv.Atoi(text)
		if err != nil || days < 1 || days > maxDays {
			return errDays
		}
		expires = s.Now().AddDate(0, 0, days)
	}
	secret, _, err := s.Store.CreateToken(v.Context(), v.user.ID, name, some, expires)
	if err != nil {
		return err
	}
	return v.showTokens(secret)
}
