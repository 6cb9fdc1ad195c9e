package webd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

func (s *Server) composeRoutes(m *routes) {
	m.user("GET /compose", s.showCompose)
	m.open("POST /compose", func(v *visit) error {
		if err := v.mayWrite(s.MaxSize + smallForm); err != nil {
			return v.handBack(err)
		}
		return s.compose(v)
	})
}

// composing is the form in which a letter is written. All that it knows goes
// through the browser and back; the draft in the Drafts mailbox is the only
// state, and every client of the user sees it.
type composing struct {
	ID              string // of the letter to be, so that it is sent once
	Draft           string // the UID of the draft that this replaces, or ""
	Source          string // what it answers: "reply inbox/41", or ""
	From            string // one of the user's addresses; "" is their own
	To, Cc, Bcc     string
	Subject, Text   string
	Files           []keptFile
	Author          string // whose form this is: who writes
	Problem, Ask    string // why it was not sent
	LoggedOut       bool
	More            bool // show Cc and Bcc
	Authors         []fromChoice
	Pane            string
	fresh           []*multipart.FileHeader
	Title, CloseURL string
}

// keptFile is a part of a stored message that goes with the letter.
type keptFile struct {
	Key  string // mailbox, UID and part: "Drafts/3/2"
	Name string
	Size int64
}

func (v *visit) renderCompose(c *composing) error {
	c.Pane = v.Header.Get("X-Pane")
	c.More = c.More || c.Cc != "" || c.Bcc != ""
	if c.ID == "" {
		c.ID = strings.ToLower(rand.Text())
	}
	if c.Title == "" {
		c.Title = v.T("compose.title")
	}
	if c.CloseURL == "" {
		c.CloseURL = "/m/inbox"
	}
	if v.session != nil {
		c.Author = v.user.Address
		var err error
		if c.Authors, err = v.fromChoices(c.From); err != nil {
			return err
		}
	} else if c.From != "" {
		c.Authors = []fromChoice{{Address: c.From, Text: c.From, Chosen: true}}
	}
	v.w.Header().Set("Vary", "X-Pane")
	return v.render("compose", c.Title, c)
}

// showCompose is an empty form, a form that a link has filled, or a draft.
func (s *Server) showCompose(v *visit) error {
	q := v.URL.Query()
	if draft := q.Get("draft"); draft != "" {
		c, err := v.openDraft(draft)
		if err != nil {
			return err
		}
		return v.renderCompose(c)
	}
	c := &composing{To: q.Get("to"), Cc: q.Get("cc"), Subject: q.Get("subject"), Text: q.Get("body")}
	if to := q.Get("mailto"); to != "" { // RFC 6068
		path, rest, _ := strings.Cut(to, "?")
		fields, _ := url.ParseQuery(strings.ReplaceAll(rest, "+", "%2B"))
		if c.To, _ = url.PathUnescape(path); fields.Get("to") != "" {
			c.To = strings.TrimPrefix(c.To+", "+fields.Get("to"), ", ")
		}
		c.Cc, c.Subject, c.Text = fields.Get("cc"), fields.Get("subject"), fields.Get("body")
	}
	return v.renderCompose(c)
}

var letterID = regexp.MustCompile(`^[a-z0-9]{16,40}$`)

// form reads the form back.
func (v *visit) form() (*composing, error) {
	c := &composing{
		ID: v.PostFormValue("id"), Draft: v.PostFormValue("draft"), Source: v.PostFormValue("source"),
		Author: v.PostFormValue("author"), From: v.PostFormValue("from"), To: v.recipientsIn("to"), Cc: v.recipientsIn("cc"), Bcc: v.recipientsIn("bcc"),
		Subject: v.PostFormValue("subject"), Text: v.PostFormValue("text"),
	}
	if !letterID.MatchString(c.ID) {
		return nil, errForm
	}
	if err := singleLine(c.From, c.To, c.Cc, c.Bcc, c.Subject, c.Source, c.Draft); err != nil {
		return nil, err
	}
	for _, key := range v.PostForm["keep"] {
		if !slices.Contains(v.PostForm["drop"], key) {
			c.Files = append(c.Files, keptFile{Key: key})
		}
	}
	if v.MultipartForm != nil {
		for _, f := range v.MultipartForm.File["file"] {
			if f.Filename != "" {
				c.fresh = append(c.fresh, f)
			}
		}
	}
	if len(c.Files)+len(c.fresh) > maxFiles {
		return nil, store.ErrLimit
	}
	return c, nil
}

// recipientsIn joins the fields of a name: one for each chip, and what is
// still being typed.
func (v *visit) recipientsIn(name string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(v.PostForm[name]), func(s string) bool { return strings.TrimSpace(s) == "" }), ", ")
}

// maxFiles of one letter.
const maxFiles = 100

// compose saves, sends or discards what is being written.
func (s *Server) compose(v *visit) error {
	c, err := v.form()
	if err != nil {
		return err
	}
	switch do := v.PostFormValue("do"); do {
	case "discard":
		return v.discard(c)
	case "send", "send-anyway":
		err = v.dispatch(c, do == "send-anyway")
	default: // also a form that was sent by the Enter key
		err = v.save(c)
	}
	p, known := replyTo(err)
	if err == nil || !known || p.status >= 500 && p.status != http.StatusInsufficientStorage || p == errHeader {
		return err
	}
	// What cannot be done is said beside the form, which stays as it is.
	text := v.T(p.key)
	var who *refusal
	if errors.As(err, &who) {
		text = who.Address + ": " + text
	}
	if v.wantsJSON() {
		v.status = p.status
		return v.json(map[string]string{"error": text})
	}
	c.Problem = text
	v.status = p.status
	c.Files, _ = v.keptFiles(c.Files)
	return v.renderCompose(c)
}

// handBack shows a letter again that was not taken because its author is not
// logged in, or has logged in anew: without scripts it is nowhere else.
func (v *visit) handBack(why error) error {
	out := errors.Is(why, errLoggedOut)
	if v.wantsJSON() && out {
		return v.askLogin()
	}
	if v.wantsJSON() || !out && !errors.Is(why, errToken) {
		return why
	}
	if out {
		if err := v.readFields(); err != nil {
			return v.askLogin()
		}
	}
	c, err := v.form()
	if err != nil {
		return err
	}
	c.fresh, c.LoggedOut = nil, out
	switch {
	case out:
		v.status, c.Problem = http.StatusUnauthorized, v.T("compose.logged-out")
		for i := range c.Files {
			c.Files[i].Name = v.T("reader.files") // its name is known to its owner only
		}
	case c.Author != v.user.Address:
		c.Draft, c.Source, c.From, c.Files = "", "", "", nil // they are somebody else's
		fallthrough
	default:
		v.status, c.Problem = http.StatusForbidden, v.T("compose.new-login")
		c.Files, _ = v.keptFiles(c.Files)
	}
	return v.renderCompose(c)
}

// readFields reads a form without its files, for a stranger: what is written
// in the fields comes before them.
func (v *visit) readFields() error {
	v.Body = http.MaxBytesReader(v.w, v.Body, v.s.MaxSize+smallForm)
	parts, err := v.MultipartReader()
	if err != nil {
		return errForm
	}
	v.PostForm = url.Values{}
	v.Form = v.PostForm
	for size := 0; size < smallForm; {
		p, err := parts.NextPart()
		if err != nil && !errors.Is(err, io.EOF) {
			return errForm
		}
		if err != nil || p.FileName() != "" {
			break
		}
		b, err := io.ReadAll(io.LimitReader(p, smallForm))
		if err != nil {
			return errForm
		}
		size += len(b)
		v.PostForm.Add(p.FormName(), string(b))
	}
	_, _ = io.Copy(io.Discard, v.Body) // a browser listens once it has sent all
	return nil
}

// letter makes what the form says. A draft may be incomplete; strict asks
// for what can be sent.
func (v *visit) letter(c *composing, strict bool) (*letter, error) {
	from, err := v.from(c.From)
	if err != nil {
		return nil, err
	}
	l := &letter{ID: c.ID + "@" + v.s.Hostname, Date: v.s.Now(), From: from, Subject: c.Subject, Text: c.Text}
	for _, f := range []struct {
		text string
		into *[]message.Address
	}{{c.To, &l.To}, {c.Cc, &l.Cc}, {c.Bcc, &l.Bcc}} {
		all, err := parseRecipients(f.text)
		if err != nil && (strict || !errors.Is(err, store.ErrBadAddress)) {
			return nil, err
		}
		*f.into = all
	}
	if strict && len(l.recipients()) == 0 {
		return nil, errNobody
	}
	if err := v.refer(c, l); err != nil {
		return nil, err
	}
	for _, f := range c.Files {
		e, err := v.enclose(f.Key)
		if err != nil {
			return nil, err
		}
		l.Files = append(l.Files, e)
	}
	for _, f := range c.fresh {
		l.Files = append(l.Files, enclosure{Name: f.Filename, Type: f.Header.Get("Content-Type"), Size: f.Size, Open: func() (io.ReadCloser, error) { return f.Open() }})
	}
	return l, nil
}

var errNobody = &problem{http.StatusUnprocessableEntity, "error.nobody"}

// source is the message that the form says it answers, nil when it is gone.
func (v *visit) source(c *composing) (how string, box folder, m *store.Message, err error) {
	how, key, ok := strings.Cut(c.Source, " ")
	if !ok {
		return "", folder{}, nil, nil
	}
	chosen, err := v.selected(key)
	if err == nil && len(chosen) == 1 {
		box = chosen[0].folder
		m, err = v.load(box.ID, chosen[0].uids[0])
	}
	if errors.Is(err, store.ErrExpunged) || errors.Is(err, store.ErrNoSuchMailbox) {
		return "", folder{}, nil, nil
	}
	return how, box, m, err
}

var messageID = regexp.MustCompile(`^[^\s<>\x00-\x1f\x7f]{1,250}$`)

// maxReferences is how many ancestors an answer names.
const maxReferences = 20

// refer says what the letter answers (RFC 5322 §3.6.4): what the form's source
// is, else what the draft that it replaces has answered.
func (v *visit) refer(c *composing, l *letter) error {
	how, _, m, err := v.source(c)
	if err != nil {
		return err
	}
	if m != nil && how != "forward" && messageID.MatchString(m.Envelope.MessageID) {
		l.InReplyTo = m.Envelope.MessageID
		l.References = append(references(m.Header), l.InReplyTo)
	} else if m == nil && c.Draft != "" {
		if _, d, err := v.draft(c.Draft); err == nil && len(d.Envelope.InReplyTo) > 0 {
			l.InReplyTo = d.Envelope.InReplyTo[0]
			l.References = references(d.Header)
		}
	}
	if n := len(l.References); n > maxReferences {
		l.References = append(l.References[:1:1], l.References[n-maxReferences+1:]...)
	}
	return nil
}

func references(header []byte) []string {
	var all []string
	for _, f := range message.Field(header, "References") {
		for id := range strings.FieldsSeq(strings.NewReplacer("<", " ", ">", " ").Replace(f)) {
			if messageID.MatchString(id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// enclose makes a part of a stored message a file of the letter.
func (v *visit) enclose(key string) (enclosure, error) {
	at := strings.LastIndexByte(key, '/')
	if at < 0 {
		return enclosure{}, errForm
	}
	chosen, err := v.selected(key[:at])
	if err != nil || len(chosen) != 1 {
		return enclosure{}, errors.Join(err, errForm)
	}
	m, err := v.load(chosen[0].ID, chosen[0].uids[0])
	if err != nil {
		return enclosure{}, err
	}
	p := part(m.Structure, key[at+1:])
	if p == nil || p.Type == "multipart" {
		return enclosure{}, errNotFound
	}
	st, ctx := v.s.Store, v.Context()
	return enclosure{Name: v.fileName(p), Type: p.Type + "/" + p.Subtype, Size: p.Size, Open: func() (io.ReadCloser, error) {
		b, err := st.OpenBody(ctx, m.Blob)
		if err != nil {
			return nil, fmt.Errorf("open an attachment: %w", err)
		}
		return struct {
			io.Reader
			io.Closer
		}{p.Decode(b.Section(p.BodyOffset(), p.Size)), b}, nil
	}}, nil
}

// keptFiles finds out the names and sizes of files.
func (v *visit) keptFiles(some []keptFile) ([]keptFile, error) {
	var all []keptFile
	for _, f := range some {
		e, err := v.enclose(f.Key)
		if err != nil {
			return nil, err
		}
		all = append(all, keptFile{f.Key, e.Name, e.Size})
	}
	return all, nil
}

// speaksOfFile finds a text that speaks of a file which may have been forgotten.
// Only what the author has written counts, not what is quoted.
var speaksOfFile = regexp.MustCompile(`(?i)\battach(?:ed|ment|ments|ing)?\b|\benclosed\b|添付|同封`)

func forgetsFile(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "----------") {
			return false
		}
		if !strings.HasPrefix(line, ">") && speaksOfFile.MatchString(line) {
			return true
		}
	}
	return false
}
