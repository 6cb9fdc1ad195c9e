package webd

import (
	"html"
	"html/template"
	"io"
	"regexp"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// maxShown is how much of a message's text a page shows; the rest is in the
// source.
const maxShown = 1 << 20

// content is what a message has to say.
type content struct {
	Text template.HTML // plain text, marked up by us
	HTML bool          // shown in a frame of its own instead

	Images  bool     // remote ones are shown
	Blocked int      // remote images that are not
	Hosts   []string // where they are
	Sender  string   // who may be allowed images for ever

	Both bool // there is text as well as HTML
	Cut  bool // there is more than is shown

	used map[string]bool // Content-IDs of pictures that the text shows
}

// shownParts are the parts whose text is the message, in order. Of
// alternatives it takes the one that is wanted, or the best there is
// (RFC 2046 §5.1.4: the last one that can be shown).
func shownParts(p *message.Part, wantHTML bool) []*message.Part {
	if p.Type != "multipart" {
		if p.Type == "text" && !p.IsAttachment() && p.Subtype != "calendar" {
			return []*message.Part{p}
		}
		return nil
	}
	switch p.Subtype {
	case "alternative":
		var best []*message.Part
		for _, child := range p.Children {
			some := shownParts(child, wantHTML)
			if len(some) > 0 && (best == nil || wantHTML || !hasHTML(some)) {
				best = some
			}
		}
		return best
	case "related":
		root := 0
		for i, child := range p.Children {
			if id := p.Params["start"]; id != "" && strings.Trim(id, "<>") == strings.Trim(child.ID, "<>") {
				root = i
			}
		}
		if len(p.Children) == 0 {
			return nil
		}
		return shownParts(p.Children[root], wantHTML)
	}
	var all []*message.Part
	for _, child := range p.Children {
		all = append(all, shownParts(child, wantHTML)...)
	}
	return all
}

func hasHTML(parts []*message.Part) bool {
	for _, p := range parts {
		if p.Subtype == "html" {
			return true
		}
	}
	return false
}

// partText is a part's text as UTF-8, at most max octets.
func partText(b *store.Body, p *message.Part, max int64) (text string, more bool, err error) {
	t, err := io.ReadAll(io.LimitReader(p.Text(b.Section(p.BodyOffset(), p.Size)), max+1))
	if more = int64(len(t)) > max; more {
		t = t[:max]
	}
	return strings.ToValidUTF8(string(t), "\uFFFD"), more, err
}

// plainText is the message as plain text, whatever its parts are.
func plainText(b *store.Body, root *message.Part, max int64) (string, error) {
	var all strings.Builder
	for _, p := range shownParts(root, false) {
		text, _, err := partText(b, p, max-int64(all.Len()))
		if err != nil {
			return "", err
		}
		if p.Subtype == "html" {
			plain, err := io.ReadAll(io.LimitReader(message.HTMLText(strings.NewReader(text)), max))
			if err != nil {
				return "", err
			}
			text = string(plain)
		} else {
			text = unflow(p, text)
		}
		if all.Len() > 0 {
			all.WriteString("\n\n")
		}
		all.WriteString(text)
		if int64(all.Len()) >= max {
			break
		}
	}
	return all.String(), nil
}

// unflow undoes format=flowed (RFC 3676): a line that ends in a space goes on
// in the next one.
func unflow(p *message.Part, text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !strings.EqualFold(p.Params["format"], "flowed") {
		return text
	}
	drop := strings.EqualFold(p.Params["delsp"], "yes")
	var b strings.Builder
	flowing, depth := false, 0
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		rest := strings.TrimLeft(line, ">")
		d := len(line) - len(rest)
		rest = strings.TrimPrefix(rest, " ") // stuffed
		if !flowing || d != depth || rest == "-- " {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(strings.Repeat(">", d))
			if d > 0 {
				b.WriteByte(' ')
			}
		}
		depth = d
		if flowing = strings.HasSuffix(rest, " ") && rest != "-- "; flowing && drop {
			rest = rest[:len(rest)-1]
		}
		b.WriteString(rest)
	}
	return b.String()
}

// link is an address within text. Japanese goes on behind one without a blank
// (https://example.jp/をご覧ください), first with hiragana, which a browser would
// have written as %XX in the address itself.
var link = regexp.MustCompile(`https?://[^\s<>"'\x60{}|\\^（）「」『』【】〈〉《》、。，．！？：；\p{Hiragana}]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+`)

// markUp makes plain text HTML: escaped, links clickable, quotations dimmed.
func markUp(text string) template.HTML {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, " \t\n"), "\n") {
		depth := 0
		for rest := line; strings.HasPrefix(rest, ">"); depth++ {
			rest = strings.TrimLeft(rest[1:], " ")
		}
		if depth > 0 {
			b.WriteString(`<span class="quote q` + string(rune('0'+min(depth, 3))) + `">`)
		}
		linked(&b, line)
		if depth > 0 {
			b.WriteString(`</span>`)
		}
		b.WriteByte('\n')
	}
	return template.HTML(b.String())
}

func linked(b *strings.Builder, line string) {
	at := 0
	for _, m := range link.FindAllStringIndex(line, -1) {
		start, end := m[0], m[1]
		end = start + len(strings.TrimRight(line[start:end], ".,;:!?)]"))
		b.WriteString(html.EscapeString(line[at:start]))
		to := html.EscapeString(line[start:end])
		if strings.HasPrefix(to, "http") {
			b.WriteString(`<a href="` + to + `" target="_blank" rel="noopener noreferrer nofollow">` + to + `</a>`)
		} else {
			b.WriteString(`<a href="/compose?to=` + template.URLQueryEscaper(line[start:end]) + `">` + to + `</a>`)
		}
		at = end
	}
	b.WriteString(html.EscapeString(line[at:]))
}

// content decides how to show a message, and does it for plain text.
func (v *visit) content(m *store.Message) (content, error) {
	var c content
	parts := shownParts(m.Structure, true)
	plain := shownParts(m.Structure, false)
	c.Both = hasHTML(parts) && !hasHTML(plain)
	if c.HTML = hasHTML(parts) && !(c.Both && v.URL.Query().Get("as") == "text"); c.HTML {
		err := v.frame(m, &c)
		return c, err
	}
	b, err := v.s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return c, err
	}
	defer b.Close()
	text, err := plainText(b, m.Structure, maxShown)
	c.Cut = len(text) >= maxShown
	c.Text = markUp(text)
	return c, err
}
