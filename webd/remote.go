package webd

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/yubin-mail/yubin/store"
)

// Remote images: what is withheld, and for whom it is shown.

var (
	cssURL    = regexp.MustCompile(`(?i)url\(\s*['"]?\s*((?:https?:)?//[^'")\s]+)`)
	cssImport = regexp.MustCompile(`(?i)@import\s+['"]((?:https?:)?//[^'"]+)`)
)

// remote finds what a browser would have fetched from elsewhere to show an
// HTML text: how many things, and from which hosts.
func remote(text string) (count int, hosts []string) {
	seen := map[string]bool{}
	add := func(to string) {
		to = strings.TrimSpace(to)
		if strings.HasPrefix(to, "//") {
			to = "https:" + to
		}
		u, err := url.Parse(to)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || seen[to] {
			return
		}
		seen[to] = true
		if host := u.Hostname(); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	css := func(s string) {
		for _, m := range slices.Concat(cssURL.FindAllStringSubmatch(s, 1000), cssImport.FindAllStringSubmatch(s, 100)) {
			add(m[1])
		}
	}
	z := html.NewTokenizer(strings.NewReader(text))
	inStyle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			slices.Sort(hosts)
			return len(seen), hosts
		case html.TextToken:
			if inStyle {
				css(string(z.Text()))
			}
			continue
		case html.EndTagToken:
			inStyle = false
			continue
		case html.StartTagToken, html.SelfClosingTagToken:
		default:
			continue
		}
		t := z.Token()
		inStyle = t.Data == "style"
		for _, a := range t.Attr {
			switch a.Key {
			case "src", "background", "poster", "dynsrc", "lowsrc":
				add(a.Val)
			case "data":
				if t.Data == "object" {
					add(a.Val)
				}
			case "srcset":
				for one := range strings.SplitSeq(a.Val, ",") {
					to, _, _ := strings.Cut(strings.TrimSpace(one), " ")
					add(to)
				}
			case "href", "xlink:href":
				if t.Data != "a" && t.Data != "area" && t.Data != "base" {
					add(a.Val)
				}
			case "style":
				css(a.Val)
			}
		}
	}
}

// imagesPreference and a sender's address name the wish to see their images.
const imagesPreference = "images:"

// showsImages reports whether remote images are to be loaded: for this once,
// or always for the sender.
func (v *visit) showsImages(sender string) (bool, error) {
	if v.URL.Query().Get("images") == "1" {
		return true, nil
	}
	if sender == "" {
		return false, nil
	}
	wish, err := v.s.Store.Preference(v.Context(), v.user.ID, imagesPreference+sender)
	return wish != "", err
}

// allowImages remembers a sender whose images are shown, or forgets one.
func (s *Server) allowImages(v *visit) error {
	back := ours(v.PostFormValue("back"))
	if sender := v.PostFormValue("forget"); sender != "" {
		if err := s.Store.SetPreference(v.Context(), v.user.ID, imagesPreference+sender, ""); err != nil {
			return err
		}
		return v.redirect(back)
	}
	sender, err := store.CanonicalAddress(v.PostFormValue("sender"))
	if err != nil {
		return err
	}
	if err := s.Store.SetPreference(v.Context(), v.user.ID, imagesPreference+sender, "always"); err != nil {
		return err
	}
	return v.redirect(back)
}
