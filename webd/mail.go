package webd

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

func (s *Server) mailRoutes(m *routes) {
	m.user("GET /m/{box}", s.showFolder)
	m.user("GET /m/{box}/{uid}", s.showMessage)
	m.user("GET /m/{box}/{uid}/{view}", s.showView)
	m.user("GET /m/{box}/{uid}/{view}/{part}", s.showView)
	m.write("POST /images", smallForm, s.allowImages)
	m.write("POST /sample", smallForm, s.sendSample)
}

// mailPage is the webmail: folders, a list, and what is being read.
type mailPage struct {
	Folders []folder
	List    *listing
	Reader  *reader // nil when only the list is asked for
	Devices []connections
	Pane    string // "": the whole page; else the one pane that a module asks for
}

// Told is up to where the page knows what has happened, for the stream of
// changes.
func (p mailPage) Told() string {
	at := told{}
	for _, f := range p.Folders {
		at[f.ID] = f.ModSeq
	}
	return at.String()
}

// Here is the folder that the list shows, nil in a search.
func (p mailPage) Here() *folder {
	if p.List == nil || p.List.Search != nil {
		return nil
	}
	return &p.List.Folder
}

// connections is how many mail programs of the visitor's are connected.
type connections struct {
	Proto string // "IMAP"
	Count int
}

// connected counts the visitor's mail programs, by protocol.
func (v *visit) connected() (all []connections) {
	for _, c := range []connections{{Proto: "IMAP"}, {Proto: "POP3"}} {
		for _, l := range v.s.liveSessions() {
			if l.User == v.user.Address && strings.HasPrefix(l.Proto, strings.ToLower(c.Proto)) {
				c.Count++
			}
		}
		if c.Count > 0 {
			all = append(all, c)
		}
	}
	return all
}

// pageSize is how many rows a list shows at first, and adds at the end.
const pageSize = 36

// listing is one page of a list.
type listing struct {
	Folder  folder
	Rows    []row
	Threads bool
	At      int    // how many are before the first row
	Newer   string // URL of the page before, or ""
	Older   string // and of the next one
	Search  *found // when the list is what a search has found
}

// Whole reports whether the rows are messages of a folder, each at a place of
// its own, so that a module can show any part of it.
func (l *listing) Whole() bool { return !l.Threads && l.Search == nil }

// Total is how many messages the folder has.
func (l *listing) Total() int { return int(l.Folder.Messages) }

// row is one line of a list: a message, or a conversation.
type row struct {
	Key         string // mailbox and UID, as forms name a message
	UID         store.UID
	URL         string
	Who         string
	Subject     string
	Preview     string
	Time        time.Time
	Folder      string // where it is, in a list of several folders
	Count       int    // messages of the conversation
	Keys        string // all of them, separated by blanks
	Attachments int
	Unread      bool
	Starred     bool
	Answered    bool
	Deleted     bool
	Waiting     bool // a draft that is about to be sent
	Here        bool
}

func (s *Server) showFolder(v *visit) error {
	box, err := v.box()
	if err != nil {
		return err
	}
	list, err := v.list(box, 0)
	if err != nil {
		return err
	}
	title := box.Label
	if box.Count > 0 {
		title = fmt.Sprintf("(%d) %s", box.Count, title)
	}
	return v.renderMail(box.Name, title, list, nil)
}

// renderMail answers with the webmail, or with one pane of it.
func (v *visit) renderMail(here, title string, list *listing, r *reader) error {
	p := mailPage{List: list, Reader: r, Pane: v.Header.Get("X-Pane")}
	if p.Pane != "reader" {
		p.Devices = v.connected()
		var err error
		if p.Folders, err = v.folders(here); err != nil {
			return err
		}
	}
	v.w.Header().Set("Vary", "X-Pane")
	return v.render("mail", title, p)
}

// list is the page of a folder that the URL asks for; open is the message
// that is being read, or 0. The page begins at a place ("at"), or goes around
// a message: that which a module names, and then more of it, or the open one.
func (v *visit) list(box folder, open store.UID) (*listing, error) {
	q := v.URL.Query()
	l := &listing{Folder: box, Threads: v.setting(viewCookie) == "threads"}
	l.At, _ = strconv.Atoi(q.Get("at"))
	l.At = max(l.At, 0)
	if l.Threads {
		return l, v.listThreads(l, open)
	}
	n, near := pageSize, open
	if around, err := strconv.ParseUint(q.Get("around"), 10, 32); err == nil {
		n, near = 3*pageSize, store.UID(around)
	}
	if near != 0 && l.At == 0 {
		place, err := v.s.Store.Place(v.Context(), box.ID, near)
		if err != nil && !errors.Is(err, store.ErrExpunged) {
			return nil, err
		}
		if place >= n/3 { // else the first page has it, and as many after it
			l.At = place - n/3
		}
	}
	msgs, err := v.s.Store.Newest(v.Context(), box.ID, l.At, n)
	if err != nil {
		return nil, err
	}
	if l.At > 0 {
		l.Newer = box.URL() + "?at=" + strconv.Itoa(max(0, l.At-pageSize))
	}
	if end := l.At + len(msgs); len(msgs) == n && end < l.Total() {
		l.Older = box.URL() + "?at=" + strconv.Itoa(end)
	}
	for i := range msgs {
		l.Rows = append(l.Rows, v.row(box, &msgs[i], open))
	}
	return l, nil
}

func (v *visit) row(box folder, m *store.Listed, open store.UID) row {
	uid := strconv.FormatUint(uint64(m.UID), 10)
	r := row{
		Key: box.Slug() + "/" + uid, UID: m.UID, URL: box.URL() + "/" + uid,
		Who:         v.who(box, m.Envelope),
		Subject:     message.DecodeHeader(m.Envelope.Subject),
		Preview:     m.Preview,
		Time:        m.Received,
		Count:       1,
		Attachments: m.Attachments,
		Unread:      !m.Flags.Has(store.Seen),
		Starred:     m.Flags.Has(store.Flagged),
		Answered:    m.Flags.Has(store.Answered),
		Deleted:     m.Flags.Has(store.Deleted),
		Waiting:     m.Flags.HasKeyword(waitingKeyword),
		Here:        m.UID == open,
	}
	r.Keys = r.Key
	if box.Is("draft") {
		r.URL = "/compose?draft=" + uid
	}
	return r
}

// who is the other side of a message: whom it is from, or to.
func (v *visit) who(box folder, e *message.Envelope) string {
	people := e.From
	if box.Is("send") || box.Is("draft") {
		people = slices.Concat(e.To, e.Cc, e.Bcc)
		if len(people) == 0 {
			return v.T("list.nobody")
		}
	}
	if len(people) == 0 {
		return v.T("list.unknown")
	}
	var names []string
	for _, a := range people[:min(len(people), 3)] {
		if a.Host != "" {
			names = append(names, shortName(a))
		}
	}
	return strings.Join(names, ", ")
}

func shortName(a message.Address) string {
	p := person{strings.TrimSpace(message.DecodeHeader(a.Name)), addressText(a)}
	if p.Name == "" || p.Poses() {
		return p.Address
	}
	return p.Name
}

func addressText(a message.Address) string {
	if a.Host == "" {
		return a.Mailbox
	}
	return a.Mailbox + "@" + a.Host
}

// waitingKeyword marks a draft that is about to be sent (RFC 5550 §5.10).
const waitingKeyword = "$SubmitPending"

// with adds a query parameter to a path of ours.
func with(path, name, value string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + url.Values{name: {value}}.Encode()
}

// sendSample delivers a mail to whoever asks for one, as it would come in.
func (s *Server) sendSample(v *visit) error {
	l := &letter{
		ID: message.NewMessageID(s.Hostname), Date: s.Now(), Subject: v.T("sample.subject"), Text: v.T("sample.text"),
		From: message.Address{Name: "yubin", Mailbox: "postmaster", Host: s.Hostname}, To: []message.Address{author(v.user)},
	}
	spool, err := s.put(l)
	if err != nil {
		return err
	}
	defer spool.Close()
	if err := s.greet(v.Context(), v.user, spool); err != nil {
		return err
	}
	return v.done(notice{Text: v.T("done.sample")})
}
