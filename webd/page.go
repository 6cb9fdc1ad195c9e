package webd

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"icon":   icon,
	"dict":   dict,
	"join":   func(some []string) string { return strings.Join(some, ", ") },
	"indent": func(n int) string { return strings.Repeat("\u2003", n) },
}).ParseFS(templateFiles, "templates/*.html"))

// dict makes a map of its arguments, for templates that take several values.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// assetsAt is where the assets are: their digest is in the path, so that
// browsers may keep them for ever and modules find each other.
var assetsAt = func() string {
	digest := sha256.New()
	_ = fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := assetFiles.ReadFile(name) // embedded: it cannot fail
			digest.Write(b)
		}
		return err
	})
	return "/assets/" + hex.EncodeToString(digest.Sum(nil))[:12] + "/"
}()

func (s *Server) assetRoutes(m *routes) {
	m.open("GET /assets/{digest}/{name}", func(v *visit) error {
		b, err := assetFiles.ReadFile("assets/" + path.Base(v.PathValue("name")))
		if err != nil {
			return errNotFound
		}
		kind := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[path.Ext(v.PathValue("name"))]
		v.w.Header().Set("Content-Type", kind+"; charset=utf-8")
		if strings.HasPrefix(v.URL.Path, assetsAt) {
			v.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(v.w, v.Request, "", time.Time{}, bytes.NewReader(b))
		return nil
	})
	m.open("GET /{$}", func(v *visit) error { return v.redirect("/m/inbox") })
	m.open("/", func(*visit) error { return errNotFound })
}

// visit is one request and whoever makes it.
type visit struct {
	*http.Request
	w http.ResponseWriter
	s *Server

	session *session // nil for a stranger
	user    store.User

	language language
	zone     *time.Location
	theme    string // "light", "dark", or "" as the system has it

	status   int  // 0 is 200
	answered bool // something has been sent
}

func (s *Server) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Request: r, w: w, s: s}
	v.resume()
	v.readSettings()
	return v
}

func (v *visit) log() *slog.Logger {
	return v.s.Log.With("proto", "http", "remote", v.RemoteAddr, "path", v.URL.Path, "user", v.user.Address)
}

// remote is the browser's address.
func (v *visit) remote() net.Addr {
	host, port, err := net.SplitHostPort(v.RemoteAddr)
	if err != nil {
		return &net.TCPAddr{}
	}
	n, _ := strconv.Atoi(port)
	return &net.TCPAddr{IP: net.ParseIP(host), Port: n}
}

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

// T is the text for a key in the language of the visit.
func (v *visit) T(key string, args ...any) string { return v.language.text(key, args...) }

// redirect answers a form, or moves on to another page of ours.
func (v *visit) redirect(to string) error {
	v.answered = true
	http.Redirect(v.w, v.Request, to, http.StatusSeeOther)
	return nil
}

// ours is a path of this site, and anything else the inbox: where a form
// says to go on must not lead elsewhere.
func ours(to string) string {
	if u, err := url.Parse(to); err == nil && u.Scheme == "" && u.Host == "" && u.Opaque == "" && u.User == nil &&
		strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.Path, "//") && !strings.ContainsAny(to, "\\\r\n\t") {
		return u.RequestURI()
	}
	return "/m/inbox"
}

// wantsJSON reports whether a module of ours asks, not the browser itself.
func (v *visit) wantsJSON() bool { return v.Header.Get("Accept") == "application/json" }

func (v *visit) json(value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	v.send("application/json", b)
	return nil
}

func (v *visit) send(kind string, b []byte) {
	v.answered = true
	v.w.Header().Set("Content-Type", kind+"; charset=utf-8")
	v.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	if v.status != 0 {
		v.w.WriteHeader(v.status)
	}
	if v.Method != http.MethodHead {
		_, _ = v.w.Write(b) // whoever has gone away does not need it
	}
}

// page is what every template gets. Its methods are the visit's.
type page struct {
	*visit
	Title string
	Data  any
}

// render answers with a template.
func (v *visit) render(name, title string, data any) error {
	if v.keepSettings() {
		return nil
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, page{v, title, data}); err != nil {
		return err
	}
	v.send("text/html", b.Bytes())
	return nil
}

// What the layout asks.

// Lang is the language's tag.
func (p page) Lang() string { return p.language.tag() }

// Theme is the chosen theme, or "".
func (p page) Theme() string { return p.theme }

// Assets is where the assets are.
func (p page) Assets() string { return assetsAt }

// Token is the session's proof for forms.
func (p page) Token() string {
	if p.session == nil {
		return ""
	}
	return p.session.csrf
}

// User is who is logged in; its Address is empty for a stranger.
func (p page) User() store.User { return p.user }

// Demo reports whether this is a demonstration.
func (p page) Demo() bool { return p.s.Demo }

// Here is the URL of this page with one query parameter more.
func (p page) Here(name, value string) string {
	q := p.URL.Query()
	q.Set(name, value)
	u := url.URL{Path: p.URL.Path, RawPath: p.URL.RawPath, RawQuery: q.Encode()}
	return u.RequestURI()
}

// Back is the URL of this page.
func (p page) Back() string {
	u := url.URL{Path: p.URL.Path, RawPath: p.URL.RawPath, RawQuery: p.URL.RawQuery}
	return u.RequestURI()
}

// Section is which part of the site this is: "mail", "lab", "wire", "admin",
// or "" for the pages around them.
func (p page) Section() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(p.URL.Path, "/"), "/")
	switch first {
	case "lab", "wire", "admin":
		return first
	case "m", "search", "compose":
		return "mail"
	}
	return ""
}

// Styles and Modules are what the page loads: the common ones, and those
// named for its section where there are any.
func (p page) Styles() []string  { return p.assets(".css") }
func (p page) Modules() []string { return p.assets(".js") }

func (p page) assets(ending string) []string {
	names := []string{"page" + ending}
	if section := p.Section() + ending; section != ending {
		if _, err := fs.Stat(assetFiles, "assets/"+section); err == nil {
			names = append(names, section)
		}
	}
	return names
}

// Query is what has been searched for.
func (p page) Query() string { return p.URL.Query().Get("q") }

// ThemeName is the theme in use: "system", "light" or "dark".
func (p page) ThemeName() string {
	if p.theme == "" {
		return "system"
	}
	return p.theme
}

// NextTheme is what the switch of themes leads to.
func (p page) NextTheme() string {
	return map[string]string{"system": "light", "light": "dark", "dark": "system"}[p.ThemeName()]
}

// Other is the other of the two views of a list.
func (p page) Other(threads bool) string {
	if threads {
		return "messages"
	}
	return "threads"
}

// Number writes a number with separators.
func (p page) Number(n int) string { return number(n) }

// tabs are the parts of the site that are there, in the order of the top bar.
var tabs = []string{"mail", "lab", "wire", "admin"}

// Tab is an entry of the top bar.
type Tab struct {
	Name, URL string
	Here      bool
}

// Tabs are the entries of the top bar for this visitor.
func (p page) Tabs() []Tab {
	var all []Tab
	for _, name := range tabs {
		if name == "admin" && !p.user.Admin || name == "lab" && p.s.Lab == nil || name == "wire" && p.s.Tap == nil {
			continue
		}
		to := "/" + name
		if name == "mail" {
			to = "/m/inbox"
		}
		all = append(all, Tab{name, to, p.Section() == name})
	}
	return all
}

// Words are the texts that the modules need, as JSON.
func (p page) Words() map[string]string { return p.language.words("js.") }

// When writes a time as a list does: the hour for today, else the day.
func (p page) When(t time.Time) string { return p.language.short(t.In(p.zone), p.s.Now().In(p.zone)) }

// Full writes a time with its date.
func (p page) Full(t time.Time) string { return p.language.full(t.In(p.zone)) }

// ISO writes a time for machines.
func (p page) ISO(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Seconds writes a time to the second.
func (p page) Seconds(t time.Time) string {
	return p.Full(t) + t.In(p.zone).Format(":05")
}

// Delay writes how long something took; clocks that disagree make it empty.
func (p page) Delay(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return "+" + d.Round(time.Second).String()
}

// Domain is the user's mail domain, and HostName the name we were asked for.
func (p page) Domain() string {
	return p.user.Address[strings.LastIndexByte(p.user.Address, '@')+1:]
}

func (p page) HostName() string {
	u := url.URL{Host: p.Host}
	return u.Hostname()
}

// Size writes a number of octets for people.
func (p page) Size(n int64) string { return sizeText(n) }

// Notice is what the last action has to say, once.
func (p page) Notice() *notice {
	if p.session == nil {
		return nil
	}
	if n := p.session.takeNotice(); n != nil {
		return n
	}
	return p.session.takeWarning()
}
