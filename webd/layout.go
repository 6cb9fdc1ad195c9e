package webd

import (
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// What the templates ask of a page.

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
	u := p.place()
	q := u.Query()
	q.Set(name, value)
	u = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: q.Encode()}
	return u.RequestURI()
}

// place is the URL under which this page can be asked for again.
func (p page) place() *url.URL {
	if p.at != "" {
		if u, err := url.Parse(p.at); err == nil {
			return u
		}
	}
	return p.URL
}

// Back is the URL of this page.
func (p page) Back() string {
	u := p.place()
	u = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
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
func (p page) Styles() []string { return p.assets(".css") }

func (p page) Modules() []string { return p.assets(".js") }

func (p page) assets(ending string) []string {
	names := []string{"page" + ending}
	if section := p.Section() + ending; section != ending {
		if _, err := fs.Stat(assetFiles, "assets/"+section); err == nil {
			names = append(names, section)
		}
	}
	if section := p.Section(); ending == ".css" && (section == "mail" || section == "lab" || section == "wire") {
		names = append(names, "lines.css")
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
	return "+" + p.span(d)
}

// Lasting writes how long something has lasted, in seconds.
func (p page) Lasting(seconds int64) string { return p.span(time.Duration(seconds) * time.Second) }

// span writes a time in the largest unit that says enough.
func (p page) span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return p.T("span.seconds", int(d.Round(time.Second).Seconds()))
	case d < 90*time.Minute:
		return p.T("span.minutes", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		return p.T("span.hours", int(d.Round(time.Hour).Hours()))
	}
	return p.T("span.days", int(d.Hours()/24+0.5))
}

// Domain is the user's mail domain, and HostName the name we were asked for.
func (p page) Domain() string {
	return p.user.Address[strings.LastIndexByte(p.user.Address, '@')+1:]
}

func (p page) HostName() string {
	u := url.URL{Host: p.Host}
	return u.Hostname()
}

// SMTPPort is where this server takes mail from others.
func (p page) SMTPPort() string {
	if p.s.Operation.Listeners != nil {
		for _, l := range p.s.Operation.Listeners() {
			if _, port, err := net.SplitHostPort(l.Address); err == nil && l.Name == "smtp" {
				return port
			}
		}
	}
	return "1025"
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
