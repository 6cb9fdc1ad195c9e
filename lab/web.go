package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/yubin-mail/yubin/wiretap"
)

// WebDevice is a browser: it asks for the pages of the webmail that a person
// sees, with a session cookie. What it has is the page that it shows; it
// keeps a mail only when the server lets it.
type WebDevice struct {
	*gear

	conn  *conversation // nil while offline
	http  *http.Client
	heard chan webPush // what the page is told without asking; nil when nothing is
	token string       // the proof that forms need
}

// scheme is what a cookie jar must think, so that it keeps cookies that are
// for TLS alone; whether there is TLS, the server's Dial decides.
const scheme = "https://"

// Errors of the webmail as a device sees it.
var errPage = errors.New("the webmail's page is not as expected")

// LogIn opens the login page and fills its form in.
func (d *WebDevice) LogIn(ctx context.Context) error {
	d.setUp("address of the page", "user", "password")
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	d.conn = d.stage.recorder.browse(ctx, d.name, d.stage.column)
	d.talks = append(d.talks, d.conn)
	d.http = &http.Client{Transport: d.conn.web, Jar: jar, Timeout: 3 * patience}
	start := len(d.conn.lines())
	page, _, err := d.get(ctx, "/login?next="+url.QueryEscape("/m/inbox"))
	if err != nil {
		return err
	}
	fields := hidden(element(page, func(n *html.Node) bool {
		return n.Data == "form" && element(n, func(n *html.Node) bool { return n.Data == "input" && attr(n, "type") == "password" }) != nil
	}))
	fields.Set("address", d.account.Address)
	fields.Set("password", d.account.Password)
	page, _, err = d.post(ctx, "/login", fields)
	if err != nil {
		return err
	}
	d.note(logIn, d.conn.since(start))
	return d.show(page, inbox, start)
}

// get asks for a page. resp has been read.
func (d *WebDevice) get(ctx context.Context, path string) (*html.Node, *http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+d.conn.remote+path, nil)
	if err != nil {
		return nil, nil, err
	}
	return d.do(r)
}

func (d *WebDevice) post(ctx context.Context, path string, fields url.Values) (*html.Node, *http.Response, error) {
	if d.token != "" {
		fields.Set("token", d.token)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+d.conn.remote+path, strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return d.do(r)
}

func (d *WebDevice) do(r *http.Request) (*html.Node, *http.Response, error) {
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", string(d.stage.lang))
	resp, err := d.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, resp.Body)
		return nil, nil, fmt.Errorf("%s %s: %s: %w", r.Method, r.URL.Path, resp.Status, errPage)
	}
	page, err := html.Parse(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if meta := element(page, func(n *html.Node) bool { return n.Data == "meta" && attr(n, "name") == "token" }); meta != nil {
		d.token = attr(meta, "content")
	}
	return page, resp, nil
}

// show puts the list of a page into the local store: it is what the person
// sees now.
func (d *WebDevice) show(page *html.Node, folder string, start int) error {
	rows := element(page, func(n *html.Node) bool { return attr(n, "id") == "list" })
	if rows == nil {
		return fmt.Errorf("no list: %w", errPage)
	}
	if asked, ok := d.conn.find(start, wiretap.Client, "GET /m/"); ok {
		start = asked.From - 1 // what came before, such as a login, shows nothing
	}
	ref := d.conn.since(start)
	had := d.shelf
	d.shelf = nil
	for _, e := range had {
		if e.folder != folder {
			d.shelf = append(d.shelf, e)
		}
	}
	n := int64(0)
	for row := range rows.Descendants() {
		if row.Data != "li" || !hasClass(row, "row") {
			continue
		}
		n++
		subject := text(element(row, func(n *html.Node) bool { return hasClass(n, "subject") }))
		e := &entry{folder: folder, key: attr(row, "data-key"), subject: subject, mail: d.stage.letter(subject), seen: !hasClass(row, "unread"), ref: ref}
		for _, old := range had {
			if old.folder == folder && old.key == e.key {
				e.raw = old.raw
			}
		}
		d.shelf = append(d.shelf, e)
	}
	e := d.note(list, ref)
	e.n = n
	if folder != inbox {
		e.mail = folder
	}
	return nil
}

// letter is the letter of a subject: a browser sees no Message-ID.
func (st *stage) letter(subject string) string {
	var n int
	if head, tail, ok := strings.Cut(subject, " ("); ok && head != "" {
		if _, err := fmt.Sscanf(tail, "%d)", &n); err == nil {
			return fmt.Sprintf("f%d", n)
		}
	}
	for _, l := range []letter{meeting, invoice, answer, photos} {
		if l.subject.In(st.lang) == subject {
			return l.id
		}
	}
	return ""
}

// Fetch loads the inbox, after a login where there is none yet.
func (d *WebDevice) Fetch(ctx context.Context) error {
	if d.conn == nil {
		return d.LogIn(ctx)
	}
	return d.load(ctx, inbox)
}

func (d *WebDevice) load(ctx context.Context, folder string) error {
	start := len(d.conn.lines())
	page, _, err := d.get(ctx, folderPath(folder))
	if err != nil {
		return err
	}
	return d.show(page, folder, start)
}

func folderPath(folder string) string {
	if folder == inbox {
		return "/m/inbox"
	}
	return "/m/" + url.PathEscape(folder)
}

// Look lists another folder.
func (d *WebDevice) Look(ctx context.Context, folder string) error { return d.load(ctx, folder) }

// Folders are those of the side pane.
func (d *WebDevice) Folders(ctx context.Context) (names []string, err error) {
	page, _, err := d.get(ctx, "/m/inbox")
	if err != nil {
		return nil, err
	}
	for n := range page.Descendants() {
		if slug := attr(n, "data-folder"); slug != "" {
			name, err := url.PathUnescape(slug)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// Open asks for the page of a mail. A browser without a network has to ask
// too, unless it was allowed to keep the page.
func (d *WebDevice) Open(ctx context.Context, mail string) error {
	e := d.find(mail, inbox)
	switch {
	case e == nil || e.raw != nil:
		return nil
	case d.conn == nil:
		last := d.talks[len(d.talks)-1]
		n := last.web.say(wiretap.Note, false, "no network for GET /m/%s", e.key)
		d.note(unreachable, Ref{last.id, n, n}).mail = mail
		return nil
	}
	start := len(d.conn.lines())
	page, resp, err := d.get(ctx, "/m/"+e.key)
	if err != nil {
		return err
	}
	if err := d.show(page, inbox, start); err != nil {
		return err
	}
	if e = d.find(mail, inbox); e == nil {
		return nil
	}
	if !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
		e.raw = []byte(text(page))
	}
	for _, k := range []kind{download, flag} {
		d.note(k, d.conn.since(start)).mail = mail
	}
	return nil
}

// Discard is the button "delete", which moves a mail to Trash.
func (d *WebDevice) Discard(ctx context.Context, mail string) error {
	return d.change(ctx, mail, inbox, url.Values{"do": {"delete"}})
}

// change does something to a mail of a folder, and shows the folder again.
func (d *WebDevice) change(ctx context.Context, mail, folder string, fields url.Values) error {
	e := d.find(mail, folder)
	if e == nil {
		return nil
	}
	fields.Set("m", e.key)
	fields.Set("back", folderPath(folder))
	start := len(d.conn.lines())
	page, _, err := d.post(ctx, "/act", fields)
	if err != nil {
		return err
	}
	d.note(file, d.conn.since(start)).mail = mail
	return d.show(page, folder, start)
}

// Restore moves a mail from Trash back to the inbox.
func (d *WebDevice) Restore(ctx context.Context, mail string) error {
	if err := d.Look(ctx, trash); err != nil {
		return err
	}
	if err := d.change(ctx, mail, trash, url.Values{"do": {"inbox"}}); err != nil {
		return err
	}
	return d.Fetch(ctx)
}

// File makes a folder and moves a mail there.
func (d *WebDevice) File(ctx context.Context, mail, folder string) error {
	names, err := d.Folders(ctx)
	if err != nil {
		return err
	}
	have := false
	for _, n := range names {
		have = have || n == folder
	}
	if !have {
		if _, _, err := d.post(ctx, "/folders/create", url.Values{"name": {folder}}); err != nil {
			return err
		}
		d.stage.folders = append(d.stage.folders, folder)
	}
	if err := d.change(ctx, mail, inbox, url.Values{"do": {"move"}, "to": {folder}}); err != nil {
		return err
	}
	return d.Look(ctx, folder)
}

// Send writes a letter with the webmail: to the server it goes by HTTP.
func (d *WebDevice) Send(ctx context.Context, l letter, to string) error {
	start := len(d.conn.lines())
	page, _, err := d.get(ctx, "/compose")
	if err != nil {
		return err
	}
	fields := hidden(element(page, func(n *html.Node) bool {
		return n.Data == "form" && element(n, func(n *html.Node) bool { return n.Data == "textarea" }) != nil
	}))
	fields.Set("to", to)
	fields.Set("subject", l.subject.In(d.stage.lang))
	fields.Set("text", l.text.In(d.stage.lang))
	fields.Set("do", "send")
	if _, _, err := d.post(ctx, "/compose", fields); err != nil {
		return err
	}
	d.note(send, d.conn.since(start)).mail = l.id
	return nil
}

// KeepSent has nothing to do but to look: whoever sends is the server, and it
// keeps a copy. It may wait a while for second thoughts before it sends.
func (d *WebDevice) KeepSent(ctx context.Context, l letter, _ []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	again := time.NewTicker(secondLook)
	defer again.Stop()
	for {
		if err := d.Look(ctx, sent); err != nil || d.find(l.id, sent) != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil // the facts will tell that it is not there
		}
	}
}

// secondLook is how long a person waits before loading a page again.
const secondLook = 500 * time.Millisecond

// Disconnect leaves the page as it is, without a network.
func (d *WebDevice) Disconnect() error {
	if d.conn != nil {
		d.conn.Close()
		d.conn, d.heard = nil, nil
	}
	return nil
}
