package webd

import (
	"html/template"
	"io"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// The other views of a message, in the order of its tabs.
var views = []string{"message", "arrived", "headers", "parts", "source"}

func (r *reader) tabs() {
	for _, name := range views {
		to := r.URL
		if name != "message" {
			to += "/" + name
		}
		r.Tabs = append(r.Tabs, tab{name, to, name == r.View})
	}
}

// showView is a view of a message other than its text, or a piece of it.
func (s *Server) showView(v *visit) error {
	box, err := v.box()
	if err != nil {
		return err
	}
	m, err := v.message(box)
	if err != nil {
		return err
	}
	switch view := v.PathValue("view"); view {
	case "body":
		return s.showBody(v, m, "")
	case "print":
		return s.showBody(v, m, v.printHead(m))
	case "part":
		return s.sendPart(v, m)
	case "thumb":
		return s.sendThumb(v, m)
	case "raw":
		return s.sendRaw(v, m)
	case "reply", "reply-all", "forward":
		return s.answer(v, box, m, view)
	case "arrived", "headers", "parts", "source":
		return s.showTab(v, box, m, view)
	}
	return errNotFound
}

// tabPage is what a view other than the text shows.
type tabPage struct {
	Arrived *journey
	Headers []headerField
	Parts   []partRow
	Source  string
	Cut     bool
}

func (s *Server) showTab(v *visit, box folder, m *store.Message, view string) error {
	r, err := v.reader(box, m)
	if err != nil {
		return err
	}
	r.View = view
	r.tabs()
	p := &tabPage{}
	switch view {
	case "arrived":
		p.Arrived = v.journey(box, m)
	case "headers":
		p.Headers = headerFields(m.Header)
	case "parts":
		p.Parts = v.partRows(m, r)
	case "source":
		p.Source, p.Cut, err = v.sourceText(m)
	}
	if err != nil {
		return err
	}
	r.Tab = p
	list, err := v.listBeside(box, m.UID)
	if err != nil {
		return err
	}
	return v.renderMail(box.Name, r.Subject, list, r)
}

// maxSource is how much of the source a page shows.
const maxSource = 256 << 10

func (v *visit) sourceText(m *store.Message) (text string, cut bool, err error) {
	b, err := v.s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return "", false, err
	}
	defer b.Close()
	raw, err := io.ReadAll(b.Section(0, min(b.Size(), maxSource)))
	return strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\uFFFD"), b.Size() > maxSource, err
}

func (s *Server) sendRaw(v *visit, m *store.Message) error {
	b, err := s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	name := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, message.DecodeHeader(m.Envelope.Subject))
	if name = strings.Trim(name, ". "); name == "" {
		name = v.T("part.message")
	}
	v.download("message/rfc822", name+".eml")
	_, err = io.Copy(v.w, b.Section(0, b.Size()))
	return err
}

// headerField is a field as the sender wrote it, and as it reads.
type headerField struct{ Name, Value string }

func headerFields(header []byte) []headerField {
	all := rawFields(header)
	for i := range all {
		all[i].Value = message.DecodeHeader(all[i].Value)
	}
	return all
}

// rawFields are the fields unfolded, encoded words as they are.
func rawFields(header []byte) []headerField {
	var all []headerField
	for line := range strings.SplitSeq(strings.ReplaceAll(string(header), "\r\n", "\n"), "\n") {
		if line == "" {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && len(all) > 0 {
			all[len(all)-1].Value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		all = append(all, headerField{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return all
}

// partRow is a part in the tree.
type partRow struct {
	Depth                            int
	Number, Type, Name, Encoding, ID string
	Charset, Disposition             string
	Size                             int64
	URL                              string
}

// maxPartRows is how many parts the tree shows.
const maxPartRows = 500

func (v *visit) partRows(m *store.Message, r *reader) []partRow {
	var all []partRow
	m.Structure.Walk(func(path []int, p *message.Part) bool {
		row := partRow{
			Depth: len(path), Number: pathText(path), Type: p.Type + "/" + p.Subtype, Name: p.Filename(), Encoding: p.Encoding,
			ID: p.ID, Charset: p.Params["charset"], Disposition: p.Disposition, Size: p.Size,
		}
		if p.Type != "multipart" {
			row.URL = r.URL + "/part/" + row.Number
		}
		all = append(all, row)
		return len(all) < maxPartRows
	})
	return all
}

// printHead is the head of a message on paper.
func (v *visit) printHead(m *store.Message) template.HTML {
	var b strings.Builder
	b.WriteString(`<h1>` + template.HTMLEscapeString(message.DecodeHeader(m.Envelope.Subject)) + `</h1><table class="head">`)
	line := func(key string, all ...string) {
		if len(all) > 0 {
			b.WriteString(`<tr><th>` + template.HTMLEscapeString(v.T(key)) + `</th><td>` + template.HTMLEscapeString(strings.Join(all, ", ")) + `</td></tr>`)
		}
	}
	names := func(all []message.Address) (names []string) {
		for _, p := range people(all) {
			names = append(names, strings.TrimSpace(p.Name+" <"+p.Address+">"))
		}
		return names
	}
	line("reader.from", names(m.Envelope.From)...)
	line("reader.to", names(m.Envelope.To)...)
	line("reader.cc", names(m.Envelope.Cc)...)
	line("reader.date", v.language.full(m.Received.In(v.zone)))
	var files []string
	r := &reader{}
	r.Content, _ = v.content(m) // knows which pictures stand in the text; the body says what is wrong
	for _, f := range v.files(m, r) {
		files = append(files, f.Name)
	}
	line("reader.files", files...)
	b.WriteString(`</table>`)
	return template.HTML(b.String())
}
