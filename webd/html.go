package webd

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// HTML mail is shown behind three walls, each of which would do alone.
//
//  1. sanitised keeps elements, attributes and styles on a list, and drops
//     everything else.
//  2. The frame has no scripts and an opaque origin: what runs there in spite
//     of 1 has no session, no page of ours, and nowhere to go.
//  3. The policy of the frame's response allows no request at all, unless
//     remote images were asked for. It is a header of the response, not an
//     element of the document, so no markup comes before it; and our own pages
//     need no looser policy than they have, which they would with srcdoc.

// framePolicy is the third wall. sandbox is in it as well as on the frame, for
// whoever opens the frame's address by itself.
func framePolicy(images bool) string {
	img := "img-src data:"
	if images {
		img += " http: https:"
	}
	return "default-src 'none'; " + img + "; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; " +
		"sandbox allow-popups allow-popups-to-escape-sandbox"
}

// maxInline is how much of images within the mail (cid:) one page carries.
const maxInline = 12 << 20

var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code",
		"col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6",
		"header", "hr", "i", "img", "ins", "kbd", "li", "main", "mark", "nav", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small",
		"span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr")
	p.AllowNoAttrs().OnElements("a", "font", "img", "span")
	p.AllowAttrs("align", "bgcolor", "color", "dir", "height", "lang", "title", "valign", "width", "role", "aria-label", "aria-hidden").Matching(harmless).Globally()
	p.AllowAttrs("border", "cellpadding", "cellspacing", "summary").Matching(harmless).OnElements("table", "img")
	p.AllowAttrs("colspan", "rowspan", "headers", "scope", "nowrap", "span").Matching(harmless).OnElements("td", "th", "col", "colgroup")
	p.AllowAttrs("face", "size").Matching(harmless).OnElements("font", "hr")
	p.AllowAttrs("start", "type", "value").Matching(harmless).OnElements("ol", "ul", "li")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("src").OnElements("img")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto", "cid")
	p.AllowDataURIImages()
	p.AllowRelativeURLs(false)
	p.RequireParseableURLs(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	p.AllowStyles("background-color", "background", "border", "border-bottom", "border-bottom-color", "border-bottom-left-radius", "border-bottom-right-radius",
		"border-bottom-style", "border-bottom-width", "border-collapse", "border-color", "border-left", "border-left-color", "border-left-style",
		"border-left-width", "border-radius", "border-right", "border-right-color", "border-right-style", "border-right-width", "border-spacing",
		"border-style", "border-top", "border-top-color", "border-top-left-radius", "border-top-right-radius", "border-top-style", "border-top-width",
		"border-width", "box-sizing", "clear", "color", "direction", "display", "float", "font", "font-family", "font-size", "font-style", "font-variant",
		"font-weight", "height", "letter-spacing", "line-height", "list-style-type", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top",
		"max-height", "max-width", "min-height", "min-width", "overflow-wrap", "padding", "padding-bottom", "padding-left", "padding-right", "padding-top",
		"table-layout", "text-align", "text-decoration", "text-decoration-color", "text-decoration-line", "text-indent", "text-transform",
		"vertical-align", "white-space", "width", "word-break", "word-spacing", "word-wrap", "writing-mode").MatchingHandler(harmlessStyle).Globally()
	return p
})

// harmless is what an attribute that only shapes may hold.
var harmless = regexp.MustCompile(`^[\p{L}\p{N} #%.,*+\-_()'!?]{0,200}$`)

var cssFunction = regexp.MustCompile(`([\w-]*)\(`)

// harmlessStyle refuses whatever could name a resource, and escapes with
// which it could be hidden.
func harmlessStyle(value string) bool {
	if len(value) > 300 || strings.ContainsAny(value, "\\<>{}@;:`\x00") {
		return false
	}
	for _, f := range cssFunction.FindAllStringSubmatch(strings.ToLower(value), -1) {
		if !slices.Contains([]string{"rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp"}, f[1]) {
			return false
		}
	}
	return true
}

// sanitised is the first wall, and puts images of the mail itself in their
// places. inline gives the data of a part by its Content-ID.
func sanitised(text string, images bool, inline func(id string) string) string {
	clean := html.NewTokenizer(strings.NewReader(policy().Sanitize(text)))
	var b strings.Builder
	var n nesting
	for {
		kind := clean.Next()
		if kind == html.ErrorToken {
			return b.String()
		}
		raw := string(clean.Raw())
		t := clean.Token()
		if kind == html.StartTagToken && !n.opens(t.Data) || kind == html.EndTagToken && !n.closes(t.Data) {
			continue
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			b.WriteString(raw)
			continue
		}
		// The library looks at styles after undoing escapes, in a way that is
		// not quite the browsers', and keeps them as they were.
		t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool { return a.Key == "style" && strings.Contains(a.Val, `\`) })
		switch t.Data {
		case "img":
			placeImage(&t, images, inline)
		case "a":
			placeLink(&t)
		}
		b.WriteString(t.String())
	}
}

func placeImage(t *html.Token, images bool, inline func(string) string) {
	for i, a := range t.Attr {
		if a.Key != "src" {
			continue
		}
		scheme, rest, _ := strings.Cut(a.Val, ":")
		switch strings.ToLower(scheme) {
		case "data":
			return
		case "http", "https":
			if images {
				t.Attr = append(t.Attr, html.Attribute{Key: "referrerpolicy", Val: "no-referrer"})
				return
			}
		case "cid":
			id, err := url.PathUnescape(rest)
			if data := inline(id); err == nil && data != "" {
				t.Attr[i].Val = data
				return
			}
		}
		t.Attr = append(slices.Delete(t.Attr, i, i+1), html.Attribute{Key: "class", Val: "withheld"})
		return
	}
}

// placeLink lets addresses of mail be answered here.
func placeLink(t *html.Token) {
	for i, a := range t.Attr {
		if a.Key != "href" {
			continue
		}
		scheme, rest, _ := strings.Cut(a.Val, ":")
		switch strings.ToLower(scheme) {
		case "mailto":
			t.Attr[i].Val = "/compose?" + url.Values{"mailto": {rest}}.Encode()
			t.Attr = append(t.Attr, html.Attribute{Key: "target", Val: "_blank"})
		case "http", "https":
		default:
			t.Attr = slices.Delete(t.Attr, i, i+1)
		}
		return
	}
}

// referred are the Content-IDs that a text shows images of.
var referred = regexp.MustCompile(`(?i)\bcid:([^"'\s)>]+)`)

// frame finds out what the frame of an HTML message will show, and what not.
func (v *visit) frame(m *store.Message, c *content) error {
	b, err := v.s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	c.used = map[string]bool{}
	left := int64(maxShown)
	for _, p := range shownParts(m.Structure, true) {
		if p.Subtype != "html" {
			continue
		}
		text, more, err := partText(b, p, left)
		if err != nil {
			return err
		}
		left -= int64(len(text))
		c.Cut = c.Cut || more
		for _, id := range referred.FindAllStringSubmatch(text, 1000) {
			if name, err := url.PathUnescape(id[1]); err == nil {
				c.used[name] = true
			}
		}
		count, hosts := remote(text)
		c.Blocked += count
		c.Hosts = append(c.Hosts, hosts...)
	}
	slices.Sort(c.Hosts)
	c.Hosts = slices.Compact(c.Hosts)
	if len(m.Envelope.From) == 1 {
		if a, err := store.CanonicalAddress(addressText(m.Envelope.From[0])); err == nil {
			c.Sender = a
		}
	}
	c.Images, err = v.showsImages(c.Sender)
	return err
}

// frameStyle is what a mail starts from: a light sheet, whatever the theme.
const frameStyle = `:root{color-scheme:light}body{margin:0;padding:4px 2px 24px;background:#fff;color:#1b1f24;font:16px/1.6 system-ui,"Hiragino Sans","Noto Sans CJK JP","Yu Gothic UI",sans-serif;overflow-wrap:anywhere}` +
	`:lang(ja){line-height:1.7}img{max-width:100%;height:auto}pre{white-space:pre-wrap;font:inherit}blockquote{margin:0 0 0 8px;padding-left:10px;border-left:3px solid #dde1e7}` +
	`.withheld{display:inline-block;min-width:20px;min-height:20px;border:1px dashed #7d8793;border-radius:4px;font-size:12px;color:#5b6470}` +
	`table.head{margin:0 0 16px;border-bottom:1px solid #999;width:100%}.head th{text-align:left;padding-right:12px;vertical-align:top}@media print{body{font-size:11pt}}`

// showBody is the document in the frame of an HTML message.
func (s *Server) showBody(v *visit, m *store.Message, head template.HTML) error {
	var sender string
	if len(m.Envelope.From) == 1 {
		sender, _ = store.CanonicalAddress(addressText(m.Envelope.From[0]))
	}
	images, err := v.showsImages(sender)
	if err != nil {
		return err
	}
	b, err := s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	var doc bytes.Buffer
	doc.WriteString(`<!doctype html><html lang="` + v.language.tag() + `"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>` +
		template.HTMLEscapeString(message.DecodeHeader(m.Envelope.Subject)) + `</title><style>` + frameStyle + `</style></head><body>`)
	doc.WriteString(string(head))
	inline := inlineImages(b, m.Structure)
	left := int64(maxShown)
	for _, p := range shownParts(m.Structure, v.URL.Query().Get("as") != "text") {
		text, _, err := partText(b, p, left)
		if err != nil {
			return err
		}
		left -= int64(len(text))
		if p.Subtype == "html" {
			doc.WriteString(`<div>` + sanitised(text, images, inline) + `</div>`)
		} else {
			doc.WriteString(`<pre>` + string(markUp(unflow(p, text))) + `</pre>`)
		}
	}
	doc.WriteString(`</body></html>`)
	h := v.w.Header()
	h.Set("Content-Security-Policy", framePolicy(images))
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", strconv.Itoa(doc.Len()))
	v.send("text/html", doc.Bytes())
	return nil
}

// inlineImages gives parts of the message as data: URLs by their Content-ID:
// the frame may fetch nothing, not even from us.
func inlineImages(b *store.Body, root *message.Part) func(id string) string {
	parts := map[string]*message.Part{}
	root.Walk(func(_ []int, p *message.Part) bool {
		if id := strings.Trim(p.ID, "<>"); id != "" && parts[id] == nil {
			parts[id] = p
		}
		return true
	})
	left := int64(maxInline)
	return func(id string) string {
		p := parts[id]
		if p == nil || p.Size > left {
			return ""
		}
		data, err := io.ReadAll(io.LimitReader(p.Decode(b.Section(p.BodyOffset(), p.Size)), left))
		kind := http.DetectContentType(data)
		if err != nil || !isPicture(kind) {
			return ""
		}
		left -= int64(len(data))
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
	}
}

// isPicture names the formats that a browser may show as part of our pages:
// pixels, and nothing that is a document.
func isPicture(kind string) bool {
	return slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, kind)
}
