package webd

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// file is an attachment as the reading pane lists it.
type file struct {
	Name, URL, Thumb string
	Size             int64 // decoded, about
	Type             string
}

// maxThumb is the largest picture that is shown as a thumbnail.
const maxThumb = 4 << 20

// files lists what hangs on a message. Pictures that its text shows are not
// among them.
func (v *visit) files(m *store.Message, r *reader) []file {
	var all []file
	m.Structure.Walk(func(path []int, p *message.Part) bool {
		stray := p.Type == "image" && !r.Content.used[strings.Trim(p.ID, "<>")]
		if !p.IsAttachment() && !stray {
			return p.Type == "multipart"
		}
		number := pathText(path)
		f := file{Name: v.fileName(p), URL: r.URL + "/part/" + number, Size: p.Size, Type: p.Type + "/" + p.Subtype}
		if p.Encoding == "base64" {
			f.Size = p.Size * 74 / 100 // four for three, and line ends
		}
		if isPicture(f.Type) && p.Size <= maxThumb {
			f.Thumb = r.URL + "/thumb/" + number
		}
		all = append(all, f)
		return false
	})
	return all
}

func (v *visit) fileName(p *message.Part) string {
	if name := p.Filename(); name != "" {
		return name
	}
	if p.Type == "message" {
		if p.Envelope != nil {
			if subject := strings.TrimSpace(strings.NewReplacer("/", " ", `\`, " ").Replace(message.DecodeHeader(p.Envelope.Subject))); subject != "" {
				return subject + ".eml"
			}
		}
		return v.T("part.message") + ".eml"
	}
	return v.T("part.unnamed") + extension(p.Type+"/"+p.Subtype)
}

// extension is the end of a file's name by its type. What the system knows is
// in the order of the alphabet, with odd ones first.
func extension(kind string) string {
	switch kind {
	case "text/plain":
		return ".txt"
	case "text/html":
		return ".html"
	case "image/jpeg":
		return ".jpg"
	}
	if known, err := mime.ExtensionsByType(kind); err == nil && len(known) > 0 {
		return known[0]
	}
	return ""
}

// pathText writes a part's number as IMAP does: "1.2".
func pathText(path []int) string {
	numbers := make([]string, len(path))
	for i, n := range path {
		numbers[i] = strconv.Itoa(n)
	}
	return strings.Join(numbers, ".")
}

// part finds a part by its number.
func part(root *message.Part, number string) *message.Part {
	var path []int
	for n := range strings.SplitSeq(number, ".") {
		i, err := strconv.Atoi(n)
		if err != nil || len(path) > message.MaxDepth {
			return nil
		}
		path = append(path, i)
	}
	return root.Find(path)
}

// filePolicy is for what is downloaded, in case a browser shows it after all.
const filePolicy = "default-src 'none'; sandbox"

// harmlessTypes are those a download keeps; the rest becomes octets.
var harmlessTypes = []string{"application/pdf", "application/zip", "text/plain", "text/csv", "text/calendar", "message/rfc822",
	"image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "video/mp4"}

// sendPart sends an attachment to be saved.
func (s *Server) sendPart(v *visit, m *store.Message) error {
	p := part(m.Structure, v.PathValue("part"))
	if p == nil || p.Type == "multipart" {
		return errNotFound
	}
	b, err := s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	kind := p.Type + "/" + p.Subtype
	if !slices.Contains(harmlessTypes, kind) {
		kind = "application/octet-stream"
	}
	v.download(kind, v.fileName(p))
	_, err = io.Copy(v.w, p.Decode(b.Section(p.BodyOffset(), p.Size)))
	return err
}

// download sets the header of something that is to be saved.
func (v *visit) download(kind, name string) {
	v.answered = true
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Security-Policy", filePolicy)
}

// disposition writes a file's name so that it cannot leave its place.
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// sendThumb sends a picture to be shown. Its octets decide whether it is one.
func (s *Server) sendThumb(v *visit, m *store.Message) error {
	p := part(m.Structure, v.PathValue("part"))
	if p == nil || p.Type == "multipart" || p.Size > maxThumb {
		return errNotFound
	}
	b, err := s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	r := bufio.NewReader(p.Decode(b.Section(p.BodyOffset(), p.Size)))
	head, _ := r.Peek(512) // a short one is all there is
	kind := http.DetectContentType(head)
	if !isPicture(kind) {
		return errNotFound
	}
	v.answered = true
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Security-Policy", filePolicy)
	v.w.Header().Set("Cache-Control", "private, max-age=86400") // octets of a message never change
	_, err = io.Copy(v.w, r)
	return err
}
