package webd

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// reader is one message as the reading pane shows it.
type reader struct {
	*store.Message
	Folder  folder
	URL     string
	Key     string
	Subject string
	From    []person
	To      []person
	Cc      []person
	Bcc     []person
	ReplyTo []person // where answers go, when that is not From
	Starred bool
	Unread  bool
	View    string // one of views
	Tabs    []tab
	Tab     *tabPage // what the views other than the text show
	Content content
	Files   []file
	Thread  []row  // the conversation, when conversations are wanted
	Back    string // the list this came from
	Query   string // the search it was found by, as a query string
}

// tab is a link to a view of a message.
type tab struct {
	Name, URL string
	Here      bool
}

// person is an address as it is shown.
type person struct{ Name, Address string }

// Poses reports whether the name looks like an address which it is not.
func (p person) Poses() bool {
	return posing.MatchString(p.Name) && !strings.EqualFold(p.Name, p.Address)
}

var posing = regexp.MustCompile(`[^\s@＠][@＠][^\s@＠]+\.[^\s@＠]`)

func people(all []message.Address) []person {
	var some []person
	for _, a := range all {
		if a.Host == "" {
			continue // the name of a group, or its end
		}
		some = append(some, person{strings.TrimSpace(message.DecodeHeader(a.Name)), addressText(a)})
	}
	return some
}

// message loads the message that the URL names.
func (v *visit) message(box folder) (*store.Message, error) {
	uid, err := strconv.ParseUint(v.PathValue("uid"), 10, 32)
	if err != nil || uid == 0 {
		return nil, errNotFound
	}
	return v.load(box.ID, store.UID(uid))
}

func (v *visit) load(id store.MailboxID, uid store.UID) (*store.Message, error) {
	var m *store.Message
	err := v.s.Store.Each(v.Context(), id, []store.UID{uid}, store.WantEnvelope|store.WantStructure|store.WantHeader, func(found *store.Message) error {
		m = found
		return nil
	})
	if err == nil && m == nil {
		err = store.ErrExpunged
	}
	return m, err
}

func (s *Server) showMessage(v *visit) error {
	box, err := v.box()
	if err != nil {
		return err
	}
	m, err := v.message(box)
	if err != nil {
		return err
	}
	if box, err = v.markSeen(box, m); err != nil {
		return err
	}
	r, err := v.reader(box, m)
	if err != nil {
		return err
	}
	r.View = "message"
	r.tabs()
	if r.Content, err = v.content(m); err != nil {
		return err
	}
	r.Files = v.files(m, r)
	if v.setting(viewCookie) == "threads" {
		if r.Thread, err = v.conversation(box, m.UID); err != nil {
			return err
		}
	}
	list, err := v.listBeside(box, m.UID)
	if err != nil {
		return err
	}
	return v.renderMail(box.Name, r.Subject, list, r)
}

// markSeen notes that a message has been read, unless the browser only looks
// ahead. It returns the folder with its new counts.
func (v *visit) markSeen(box folder, m *store.Message) (folder, error) {
	if !v.opens() {
		return box, nil
	}
	opened := "opened " + box.name(m.UID)
	if m.Flags.Has(store.Seen) {
		v.record(opened)
		return box, nil
	}
	now, err := v.s.Store.SetFlags(v.Context(), box.ID, []store.UID{m.UID}, store.AddFlags, store.Flags{System: store.Seen})
	if err != nil {
		return box, err
	}
	if len(now) == 1 {
		m.Flags, m.ModSeq = now[0].Flags, now[0].ModSeq
		v.record(opened, flagged(box, m.UID, store.AddFlags, `\Seen`))
	}
	return v.box()
}

// opens reports whether somebody looks at what is asked for, not a browser
// that only looks ahead.
func (v *visit) opens() bool {
	return v.Method != "HEAD" && !strings.Contains(v.Header.Get("Sec-Purpose"), "prefetch")
}

// reader describes a message for the reading pane.
func (v *visit) reader(box folder, m *store.Message) (*reader, error) {
	uid := strconv.FormatUint(uint64(m.UID), 10)
	e := m.Envelope
	r := &reader{
		Message: m, Folder: box, Key: box.Slug() + "/" + uid, URL: box.URL() + "/" + uid,
		Subject: message.DecodeHeader(e.Subject),
		From:    people(e.From), To: people(e.To), Cc: people(e.Cc), Bcc: people(e.Bcc),
		Starred: m.Flags.Has(store.Flagged), Unread: !m.Flags.Has(store.Seen),
		Back: box.URL(),
	}
	if q := v.URL.Query().Get("q"); q != "" {
		r.Back = with("/search", "q", q)
		r.Query = with("", "q", q)
	}
	if reply := people(e.ReplyTo); len(reply) > 0 && (len(r.From) == 0 || reply[0].Address != r.From[0].Address) {
		r.ReplyTo = reply
	}
	return r, nil
}
