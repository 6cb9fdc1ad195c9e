package webd

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// sourceField says in a draft what it answers, so that the original can be
// marked as answered when the draft is sent. It does not leave the house.
const sourceField = "X-Yubin-Source"

// typedField and the name of a field keep in a draft what has been typed as
// recipients while it is not a list of addresses yet.
const typedField = "X-Yubin-"

// unfinishedFields are those of a form.
func unfinishedFields(c *composing) (head string) {
	for _, f := range []struct{ name, text string }{{"To", c.To}, {"Cc", c.Cc}, {"Bcc", c.Bcc}} {
		if _, err := parseRecipients(f.text); err != nil {
			head += typedField + f.name + ": " + encoded(f.text) + "\r\n"
		}
	}
	return head
}

// draft loads a message of the Drafts mailbox.
func (v *visit) draft(uid string) (folder, *store.Message, error) {
	box, err := v.use(`\Drafts`)
	if err != nil {
		return folder{}, nil, err
	}
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil || n == 0 {
		return folder{}, nil, errNotFound
	}
	m, err := v.load(box.ID, store.UID(n))
	return v.folder(box), m, err
}

// openDraft fills the form from a draft, whoever has written it.
func (v *visit) openDraft(uid string) (*composing, error) {
	box, m, err := v.draft(uid)
	if err != nil {
		return nil, err
	}
	b, err := v.s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	e := m.Envelope
	c := &composing{Draft: uid, To: typed(e.To), Cc: typed(e.Cc), Bcc: typed(e.Bcc), Subject: message.DecodeHeader(e.Subject), CloseURL: box.URL()}
	if len(e.From) == 1 {
		c.From = v.ownAddress(requoted(e.From[0]))
	}
	if id, _, _ := strings.Cut(e.MessageID, "@"); letterID.MatchString(id) {
		c.ID = id
	}
	if source := message.Field(m.Header, sourceField); len(source) == 1 {
		c.Source = strings.TrimSpace(source[0])
	}
	for name, into := range map[string]*string{"To": &c.To, "Cc": &c.Cc, "Bcc": &c.Bcc} {
		if typed := message.Field(m.Header, typedField+name); len(typed) == 1 {
			*into = strings.TrimSpace(message.DecodeHeader(typed[0]))
		}
	}
	key := box.Slug() + "/" + uid
	for _, f := range v.files(m, &reader{URL: "/m/" + key}) {
		c.Files = append(c.Files, keptFile{key + "/" + f.URL[strings.LastIndexByte(f.URL, '/')+1:], f.Name, f.Size})
	}
	c.Text, err = plainText(b, m.Structure, maxShown)
	return c, err
}

// saved is a draft that has just been stored.
type saved struct {
	box    store.Mailbox
	uid    store.UID
	letter *letter
}

// store puts the letter into Drafts in place of the draft that it replaces.
// The fields that stay in the house stand above the others.
func (v *visit) store(c *composing, l *letter, flags store.Flags) (saved, int64, error) {
	box, err := v.use(`\Drafts`)
	if err != nil {
		return saved{}, 0, err
	}
	spool, err := v.s.put(l)
	if err != nil {
		return saved{}, 0, err
	}
	defer spool.Close()
	head := blindFields(l) + unfinishedFields(c)
	if c.Source != "" {
		head = sourceField + ": " + c.Source + "\r\n" + head
	}
	flags.System |= store.Seen | store.Draft
	uids, _, err := v.s.Store.Append(v.Context(), box.ID, []store.Appended{{Flags: flags, Body: store.Prefix([]byte(head), spool)}})
	if err != nil {
		return saved{}, 0, err
	}
	return saved{box, uids[0], l}, int64(len(head)), v.dropDraft(box, c.Draft)
}

// blindFields are Bcc, which only the author's own copies have.
func blindFields(l *letter) string {
	if len(l.Bcc) == 0 {
		return ""
	}
	return "Bcc: " + addressList(l.Bcc) + "\r\n"
}

func (v *visit) dropDraft(box store.Mailbox, uid string) error {
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil || n == 0 {
		return nil // there was none
	}
	_, err = v.s.Store.Remove(v.Context(), box.ID, []store.UID{store.UID(n)})
	return err
}

// save stores the form as a draft.
func (v *visit) save(c *composing) error {
	l, err := v.letter(c, false)
	if err != nil {
		return err
	}
	d, _, err := v.store(c, l, store.Flags{})
	if err != nil {
		return err
	}
	uid := strconv.FormatUint(uint64(d.uid), 10)
	if v.wantsJSON() {
		kept, err := v.openDraft(uid)
		if err != nil {
			return err
		}
		return v.json(map[string]any{"draft": uid, "files": kept.Files, "saved": v.T("compose.saved", v.s.Now().In(v.zone).Format("15:04"))})
	}
	v.session.say(notice{Text: v.T("compose.saved", v.s.Now().In(v.zone).Format("15:04"))})
	return v.redirect("/compose?draft=" + uid)
}

// discard throws the draft away: into the trash, where it can be had back.
func (v *visit) discard(c *composing) error {
	n, err := strconv.ParseUint(c.Draft, 10, 32)
	if err != nil || n == 0 {
		return v.done(notice{Text: v.T("compose.discarded")})
	}
	drafts, err := v.use(`\Drafts`)
	if err != nil {
		return err
	}
	trash, err := v.use(`\Trash`)
	if err != nil {
		return err
	}
	pairs, _, err := v.s.Store.Move(v.Context(), drafts.ID, []store.UID{store.UID(n)}, trash.ID)
	if err != nil {
		return err
	}
	undo := v.session.remember(func(v *visit) (notice, error) {
		back, _, err := v.s.Store.Move(v.Context(), trash.ID, targets(pairs), drafts.ID)
		if err != nil || len(back) == 0 {
			return notice{Text: v.T("done.too-late"), Bad: true}, err
		}
		return notice{Text: v.T("done.undone"), URL: "/compose?draft=" + strconv.FormatUint(uint64(back[0].To), 10)}, nil
	})
	return v.done(notice{Text: v.T("compose.discarded"), Undo: undo, URL: "/m/inbox"})
}

// dispatch stores the letter among the drafts, marked as waiting, and delivers it
// after a while for second thoughts. A crash in between loses nothing: the
// draft is still there, and says that it was not sent.
func (v *visit) dispatch(c *composing, sure bool) error {
	l, err := v.letter(c, true)
	if err != nil {
		return err
	}
	if len(l.Files) == 0 && forgetsFile(l.Text) && !sure {
		return v.askAboutFile(c)
	}
	if !v.session.sendsOnce(c.ID) {
		return v.done(notice{Text: v.T("compose.sent"), URL: "/m/inbox"}) // the same form a second time
	}
	sent := false
	defer func() {
		if !sent {
			v.session.mayResend(c.ID)
		}
	}()
	size := int64(len(l.Text))
	for _, f := range l.Files {
		size += f.Size
	}
	if err := v.s.admit(v.Context(), v.user, l.recipients(), size); err != nil {
		return err
	}
	d, head, err := v.store(c, l, store.Flags{Keywords: []string{waitingKeyword}})
	if err != nil {
		return err
	}
	m, err := v.load(d.box.ID, d.uid)
	if err != nil {
		return err
	}
	// Held open, so that nothing which happens to the draft meanwhile changes
	// what is sent.
	body, err := v.s.Store.OpenBody(v.Context(), m.Blob)
	if err != nil {
		return err
	}
	how, from, original, err := v.source(c)
	if err != nil {
		body.Close()
		return err
	}
	sent = true
	o := &outgoing{s: v.s, saved: d, head: head, body: body, user: v.user.ID, session: v.session, failed: v.T("compose.failed", c.Subject), noCopy: v.T("compose.no-copy")}
	if original != nil {
		o.how, o.from, o.original = how, from.ID, original.UID
	}
	if v.s.UndoSend < 0 {
		if err := o.deliver(v.Context()); err != nil {
			v.session.mayResend(c.ID)
			return err
		}
		return v.done(notice{Text: v.T("compose.sent"), URL: c.after()})
	}
	job := v.s.later.after(v.s.UndoSend, o.deliver)
	undo := v.session.remember(func(v *visit) (notice, error) {
		if !v.s.later.cancel(job) {
			return notice{Text: v.T("compose.gone"), Bad: true}, nil
		}
		v.session.mayResend(c.ID)
		return notice{Text: v.T("compose.held"), URL: "/compose?draft=" + strconv.FormatUint(uint64(d.uid), 10)}, o.release(v.Context())
	})
	return v.done(notice{Text: v.T("compose.sending"), Undo: undo, URL: c.after()})
}

// after is where one goes on when a letter has been sent.
func (c *composing) after() string {
	if _, key, ok := strings.Cut(c.Source, " "); ok {
		return ours("/m/" + key)
	}
	return "/m/inbox"
}

// askAboutFile asks whether a file has been forgotten.
func (v *visit) askAboutFile(c *composing) error {
	if v.wantsJSON() {
		return v.json(map[string]string{"ask": v.T("compose.no-file")})
	}
	c.Ask = v.T("compose.no-file")
	var err error
	if c.Files, err = v.keptFiles(c.Files); err != nil {
		return err
	}
	return v.renderCompose(c)
}

// outgoing is a letter that waits to be delivered.
type outgoing struct {
	saved
	s              *Server
	head           int64 // octets of what stays in the house, at the beginning of body
	body           *store.Body
	user           store.UserID
	session        *session
	how            string
	from           store.MailboxID
	original       store.UID
	failed, noCopy string // what to say then
}

// rest is a body without its first octets.
type rest struct {
	*store.Body
	from int64
}

func (r rest) Size() int64 { return r.Body.Size() - r.from }

func (r rest) ReadAt(p []byte, off int64) (int, error) { return r.Body.ReadAt(p, off+r.from) }

func (r rest) Open() (store.Reader, error) {
	return io.NopCloser(r.Body.Section(r.from, r.Size())), nil
}

// deliver sends the letter, keeps a copy in Sent, and removes the draft.
func (o *outgoing) deliver(ctx context.Context) error {
	defer o.body.Close()
	if err := o.s.post(ctx, o.user, o.letter.From, o.letter.recipients(), rest{o.body, o.head}); err != nil {
		o.session.warn(notice{Text: o.failed, Bad: true, URL: "/m/" + slug(o.box.Name)})
		return errors.Join(err, o.unmark(ctx))
	}
	if err := o.keep(ctx); err != nil {
		o.session.warn(notice{Text: o.noCopy, Bad: true})
		return err
	}
	return nil
}

// keep is what follows once the letter has gone.
func (o *outgoing) keep(ctx context.Context) error {
	// The author's own copy says who got it blindly.
	if err := o.s.keepSent(ctx, o.user, store.Prefix([]byte(blindFields(o.letter)), rest{o.body, o.head})); err != nil {
		return err
	}
	if o.original != 0 {
		done := store.Flags{System: store.Answered}
		if o.how == "forward" {
			done = store.Flags{Keywords: []string{"$Forwarded"}} // RFC 5788
		}
		if _, err := o.s.Store.SetFlags(ctx, o.from, []store.UID{o.original}, store.AddFlags, done); err != nil && !errors.Is(err, store.ErrNoSuchMailbox) {
			return err
		}
	}
	_, err := o.s.Store.Remove(ctx, o.box.ID, []store.UID{o.uid})
	return err
}

// release makes the draft an ordinary one again.
func (o *outgoing) release(ctx context.Context) error {
	o.body.Close()
	return o.unmark(ctx)
}

func (o *outgoing) unmark(ctx context.Context) error {
	_, err := o.s.Store.SetFlags(ctx, o.box.ID, []store.UID{o.uid}, store.RemoveFlags, store.Flags{Keywords: []string{waitingKeyword}})
	return err
}
