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
	m.open("GET /{$}", func(v *visit) error {
		if v.keepSettings() {
			return nil
		}
		return v.redirect("/m/inbox")
	})
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

	at       string // where to ask for the page that answers a form; "" is the request's own URL
	status   int    // 0 is 200
	answered bool   // something has been sent
}

func (s *Server) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Request: r, w: w, s: s}
	v.resume()
	if v.session != nil {
		s.Store.NoteUse(v.user.ID, "web")
	}
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

// cameFrom is the page of ours whose form this is, as far as the browser
// says; else the first page.
func (v *visit) cameFrom() string {
	u, err := url.Parse(v.Header.Get("Referer"))
	if err != nil || u.Host != v.Host {
		return "/"
	}
	return ours(u.RequestURI())
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
