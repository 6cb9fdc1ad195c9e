package webd

import (
	"net/http"
	"net/url"
	"time"
)

// The settings that a browser has for itself, in cookies. A page takes them
// in its URL too (?lang=ja), keeps them, and goes on without: so a link can
// say in which language to look.
const (
	langCookie  = "lang"
	themeCookie = "theme"
	viewCookie  = "view"
	zoneCookie  = "zone"
)

var settings = map[string]func(string) bool{
	langCookie:  func(s string) bool { return s == "en" || s == "ja" },
	themeCookie: func(s string) bool { return s == "light" || s == "dark" || s == "system" },
	viewCookie:  func(s string) bool { return s == "threads" || s == "messages" },
}

// setting reads one of them.
func (v *visit) setting(name string) string {
	if c, err := v.Cookie(name); err == nil && settings[name](c.Value) {
		return c.Value
	}
	return ""
}

func (v *visit) readSettings() {
	v.language = chooseLanguage(v.setting(langCookie), v.Header.Get("Accept-Language"))
	if t := v.setting(themeCookie); t != "system" {
		v.theme = t
	}
	v.zone = time.Local
	if c, err := v.Cookie(zoneCookie); err == nil && len(c.Value) < 64 {
		if name, err := url.QueryUnescape(c.Value); err == nil {
			if zone, err := time.LoadLocation(name); err == nil {
				v.zone = zone
			}
		}
	}
}

// keepSettings turns settings in the URL into cookies. When it reports true
// it has sent the browser to the same page without them.
func (v *visit) keepSettings() bool {
	q := v.URL.Query()
	found := false
	for name, valid := range settings {
		if value := q.Get(name); q.Has(name) {
			if valid(value) {
				http.SetCookie(v.w, v.cookie(name, value, 400*24*time.Hour))
			}
			q.Del(name)
			found = true
		}
	}
	if found && (v.Method == http.MethodGet || v.Method == http.MethodHead) {
		u := url.URL{Path: v.URL.Path, RawPath: v.URL.RawPath, RawQuery: q.Encode()}
		v.answered = true
		http.Redirect(v.w, v.Request, u.RequestURI(), http.StatusSeeOther)
		return true
	}
	return false
}
