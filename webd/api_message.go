package webd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// apiMessage is a message as the API gives it. The fields from Headers on are
// there when one message is asked for, not in lists.
type apiMessage struct {
	ID        string       `json:"id"`
	Mailbox   string       `json:"mailbox"`
	UID       store.UID    `json:"uid"`
	Subject   string       `json:"subject"`
	From      []apiAddress `json:"from"`
	To        []apiAddress `json:"to"`
	Cc        []apiAddress `json:"cc"`
	Date      *time.Time   `json:"date,omitempty"`
	Received  time.Time    `json:"received"`
	Size      int64        `json:"size"`
	Flags     []string     `json:"flags"`
	Preview   string       `json:"preview"`
	MessageID string       `json:"message_id,omitempty"`

	*apiContent
}

type apiContent struct {
	Headers     []apiHeader     `json:"headers"`
	Text        string          `json:"text"`
	HTML        string          `json:"html,omitempty"`
	Truncated   bool            `json:"truncated,omitempty"` // there is more text than is given
	Links       []string        `json:"links"`
	Codes       []string        `json:"codes"`
	Attachments []apiAttachment `json:"attachments"`
}

type apiAddress struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

type apiHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type apiAttachment struct {
	Part      string `json:"part"` // its IMAP number
	Name      string `json:"name,omitempty"`
	Type      string `json:"type"`
	Size      int64  `json:"size"` // octets, as encoded
	Inline    bool   `json:"inline"`
	ContentID string `json:"content_id,omitempty"`

	part *message.Part
}

// apiID is a message's name in the API. It names the same message for
// ever, or none.
func apiID(box store.Mailbox, uid store.UID) string {
	return fmt.Sprintf("%d-%d-%d", box.ID, box.UIDValidity, uid)
}

// locate finds the message of an id among the caller's.
func (c *call) locate(id string) (store.Mailbox, *store.Message, error) {
	var parts [3]uint64
	pieces := strings.Split(id, "-")
	for i := range parts {
		var err error
		if len(pieces) != len(parts) {
			return store.Mailbox{}, nil, store.ErrExpunged
		}
		if parts[i], err = strconv.ParseUint(pieces[i], 10, 63); err != nil {
			return store.Mailbox{}, nil, store.ErrExpunged
		}
	}
	boxes, err := c.s.Store.Mailboxes(c.Context(), c.user.ID)
	if err != nil {
		return store.Mailbox{}, nil, err
	}
	i := slices.IndexFunc(boxes, func(m store.Mailbox) bool {
		return m.ID == store.MailboxID(parts[0]) && uint64(m.UIDValidity) == parts[1]
	})
	if i < 0 || parts[2] == 0 || parts[2] > 1<<32-1 {
		return store.Mailbox{}, nil, store.ErrExpunged
	}
	m, err := c.load(boxes[i].ID, store.UID(parts[2]))
	return boxes[i], m, err
}

func apiAddresses(all []message.Address) []apiAddress {
	some := []apiAddress{}
	for _, p := range people(all) {
		some = append(some, apiAddress(p))
	}
	return some
}

var flagNames = []struct {
	flag store.SystemFlags
	name string
}{{store.Seen, `\Seen`}, {store.Answered, `\Answered`}, {store.Flagged, `\Flagged`}, {store.Deleted, `\Deleted`}, {store.Draft, `\Draft`}}

// summary is a message as lists have it; it needs the envelope.
func summary(box store.Mailbox, m *store.Message) apiMessage {
	e := m.Envelope
	a := apiMessage{
		ID: apiID(box, m.UID), Mailbox: box.Name, UID: m.UID, Subject: message.DecodeHeader(e.Subject),
		From: apiAddresses(e.From), To: apiAddresses(e.To), Cc: apiAddresses(e.Cc),
		Received: m.Received.UTC(), Size: m.Size, Flags: []string{}, Preview: m.Preview, MessageID: e.MessageID,
	}
	if !e.Date.IsZero() {
		a.Date = &e.Date
	}
	for _, f := range flagNames {
		if m.Flags.Has(f.flag) {
			a.Flags = append(a.Flags, f.name)
		}
	}
	a.Flags = append(a.Flags, m.Flags.Keywords...)
	return a
}

// whole is a message with all it says.
func (s *Server) whole(ctx context.Context, box store.Mailbox, m *store.Message) (apiMessage, error) {
	a := summary(box, m)
	b, err := s.Store.OpenBody(ctx, m.Blob)
	if err != nil {
		return a, err
	}
	defer b.Close()
	c := &apiContent{Headers: []apiHeader{}, Links: []string{}, Codes: []string{}, Attachments: attachmentsOf(m.Structure)}
	for line := range strings.SplitSeq(message.DecodedHeader(m.Header), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			c.Headers = append(c.Headers, apiHeader{name, strings.TrimSpace(value)})
		}
	}
	if c.Text, err = plainText(b, m.Structure, maxShown); err != nil {
		return a, err
	}
	c.Truncated = len(c.Text) >= maxShown
	for _, p := range shownParts(m.Structure, true) {
		if p.Subtype != "html" {
			continue
		}
		html, more, err := partText(b, p, maxShown-int64(len(c.HTML)))
		if err != nil {
			return a, err
		}
		c.HTML += html
		c.Truncated = c.Truncated || more
	}
	c.Links = linksIn(c.HTML, c.Text)
	c.Codes = codesIn(a.Subject, c.Text)
	a.apiContent = c
	return a, nil
}

// attachmentsOf lists the parts that are not the text of a message.
func attachmentsOf(root *message.Part) []apiAttachment {
	some := []apiAttachment{}
	root.Walk(func(path []int, p *message.Part) bool {
		isFile := p.IsAttachment()
		isImage := p.ID != "" && p.Type != "text"
		if p.Type != "multipart" && (isFile || isImage) {
			some = append(some, apiAttachment{
				Part: pathText(path), Name: p.Filename(), Type: p.Type + "/" + p.Subtype, Size: p.Size,
				Inline: !isFile, ContentID: strings.Trim(p.ID, "<>"), part: p,
			})
		}
		return !isFile
	})
	return some
}

func getMessage(c *call) error {
	box, m, err := c.locate(c.PathValue("id"))
	if err != nil {
		return err
	}
	whole, err := c.s.whole(c.Context(), box, m)
	if err != nil {
		return err
	}
	return c.json(whole)
}

// getRaw gives a message as it arrived.
func getRaw(c *call) error {
	_, m, err := c.locate(c.PathValue("id"))
	if err != nil {
		return err
	}
	b, err := c.s.Store.OpenBody(c.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	return c.file("message/rfc822", "message.eml", b.Size(), b.Section(0, b.Size()))
}

// getAttachment gives a part with its transfer encoding undone.
func getAttachment(c *call) error {
	_, m, err := c.locate(c.PathValue("id"))
	if err != nil {
		return err
	}
	all := attachmentsOf(m.Structure)
	i := slices.IndexFunc(all, func(a apiAttachment) bool { return a.Part == c.PathValue("part") })
	if i < 0 {
		return errNoPart
	}
	part := all[i].part
	b, err := c.s.Store.OpenBody(c.Context(), m.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	kind := mime.FormatMediaType(part.Type+"/"+part.Subtype, nil)
	return c.file(cmp.Or(kind, "application/octet-stream"), part.Filename(), -1, part.Decode(b.Section(part.BodyOffset(), part.Size)))
}

// file sends something that somebody else wrote: to be saved, never shown.
func (c *call) file(kind, name string, size int64, r io.Reader) error {
	h := c.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": cmp.Or(name, "attachment")}), "attachment"))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	c.answered = true
	if c.Method == http.MethodHead {
		return nil
	}
	_, err := io.Copy(c.w, r)
	return err
}

func deleteMessage(c *call) error {
	box, m, err := c.locate(c.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := c.s.Store.Remove(c.Context(), box.ID, []store.UID{m.UID}); err != nil {
		return err
	}
	return c.done()
}
