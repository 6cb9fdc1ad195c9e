package webd

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestAMailIsReadWithoutScripts(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, "From: =?UTF-8?B?5L2Q6JekIOiKseWtkA==?= <hanako@example.jp>\nTo: alice@yubin.test\nSubject: =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=\nContent-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$3$s$K$A$O\x1b(B <b> https://example.jp/a?b=1&c=2.\n> quoted\n")
	v := s.login("alice")
	page := v.get("/")
	wants(t, page, `<title>(1) Inbox · yubin</title>`, "佐藤 花子", "会議", `class="row unread"`, `<span class="count">1</span>`, "1 message")
	page = v.get("/m/inbox/1")
	wants(t, page, "<h1 tabindex=\"-1\">会議</h1>", "hanako@example.jp", "こんにちは &lt;b&gt;", `<a href="https://example.jp/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer nofollow">`, `class="quote q1"`)
	if strings.Contains(page, `class="row unread"`) || s.box(s.alice, "INBOX")[0].Flags.System&store.Seen == 0 {
		t.Error("the message that was read is still unread")
	}
	wants(t, v.get("/m/inbox/1/source"), "=?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=")
	wants(t, v.get("/m/inbox/1/headers"), "Subject", "会議")
	wants(t, v.get("/m/inbox/1/parts"), "text/plain", "iso-2022-jp")
	if status, _ := v.do(http.MethodGet, "/m/inbox/99", nil); status != http.StatusNotFound {
		t.Errorf("a message that is not there: %d", status)
	}
	if status, _ := v.do(http.MethodGet, "/m/nowhere", nil); status != http.StatusNotFound {
		t.Errorf("a folder that is not there: %d", status)
	}
}

func TestBothLanguagesKeepTheirPlace(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "hello", "text"))
	v := s.login("alice")
	page := v.get("/m/inbox/1/headers?lang=ja")
	wants(t, page, `<html lang="ja"`, "受信トレイ", "ゴミ箱", "ヘッダー", "hello")
	wants(t, v.get("/m/inbox"), `<html lang="ja"`)
	wants(t, v.get("/m/inbox?lang=en&theme=dark"), `<html lang="en" data-theme="dark"`)
	if names := s.folderNames(); !slices.Equal(names, []string{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}) {
		t.Errorf("folders on the server are %v", names)
	}
	fresh := s.surfer()
	fresh.head.Set("Accept-Language", "ja-JP,ja;q=0.9,en;q=0.5")
	wants(t, fresh.get("/login"), "パスワード")
	// A link says so to strangers too, before they log in.
	for _, path := range []string{"/?lang=ja", "/m/inbox/1?lang=ja&theme=dark", "/settings?lang=ja"} {
		wants(t, s.surfer().get(path), `<html lang="ja"`, "パスワード")
	}
}

func (s *mailSite) folderNames() (names []string) {
	all, err := s.Store.Mailboxes(s.Context(), s.alice.ID)
	if err != nil {
		s.Fatal(err)
	}
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

func TestALargeFolderIsPaged(t *testing.T) {
	s := newMailSite(t, nil)
	for i := range 120 {
		s.deliver(s.alice, plainMail("bob@yubin.test", fmt.Sprintf("number %03d", i), "text"))
	}
	v := s.login("alice")
	next := regexp.MustCompile(`href="([^"]+)" rel="next"`)
	subjects := regexp.MustCompile(`number \d{3}</span>`)
	var seen []string
	for path := "/m/inbox"; ; {
		page := v.get(path)
		seen = append(seen, subjects.FindAllString(page, -1)...)
		m := next.FindStringSubmatch(page)
		if m == nil {
			break
		}
		path = m[1]
	}
	if len(seen) != 120 || !slices.IsSortedFunc(seen, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("paging showed %d rows: %v", len(seen), seen)
	}
	v.head.Set("X-Pane", "rows")
	if rows := v.get("/m/inbox"); strings.Contains(rows, "<html") || !strings.HasPrefix(strings.TrimSpace(rows), `<meta name="rows" data-at="0" data-total="120">`) {
		t.Error("a pane is a whole page")
	}
}

func TestActionsAreUndone(t *testing.T) {
	s := newMailSite(t, nil)
	for _, subject := range []string{"one", "two", "three"} {
		s.deliver(s.alice, plainMail("bob@yubin.test", subject, "text"))
	}
	v := s.login("alice")
	some := url.Values{"m": {"inbox/1", "inbox/2"}}

	n := v.act("delete", some)
	if n.Text != "Moved 2 messages to Trash" || len(s.box(s.alice, "Trash")) != 2 {
		t.Fatalf("%+v", n)
	}
	if n = v.told("/undo", url.Values{"undo": {n.Undo}}); n.Bad {
		t.Fatalf("%+v", n)
	}
	if got := s.subjects(s.alice, "INBOX"); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"one", "three", "two"}) {
		t.Errorf("after undo the inbox has %v", got)
	}
	if n = v.told("/undo", url.Values{"undo": {n.Undo}}); !n.Bad {
		t.Error("the same undo worked twice")
	}

	n = v.act("star", url.Values{"m": {"inbox/3"}})
	if i := slices.IndexFunc(s.box(s.alice, "INBOX"), func(m store.Listed) bool { return m.UID == 3 && m.Flags.Has(store.Flagged) }); i < 0 {
		t.Error("there is no star")
	}
	v.told("/undo", url.Values{"undo": {n.Undo}})
	for _, m := range s.box(s.alice, "INBOX") {
		if m.Flags.Has(store.Flagged) {
			t.Error("the star is still there")
		}
	}

	// For good: flagged at once, gone when nobody can want it back.
	s.deliver(s.bob, plainMail("x@example.jp", "junk", "text"))
	b := s.login("bob")
	b.act("delete", url.Values{"m": {"inbox/1"}})
	n = b.act("delete", url.Values{"m": {"Trash/1"}})
	if m := s.box(s.bob, "Trash"); len(m) != 1 || !m[0].Flags.Has(store.Deleted) {
		t.Fatalf("trash has %+v", m)
	}
	b.told("/undo", url.Values{"undo": {n.Undo}})
	if m := s.box(s.bob, "Trash"); len(m) != 1 || m[0].Flags.Has(store.Deleted) {
		t.Fatalf("after undo the trash has %+v", m)
	}
	b.act("delete", url.Values{"m": {"Trash/1"}})
	s.later.finish() // as a shutdown does
	if m := s.box(s.bob, "Trash"); len(m) != 0 {
		t.Errorf("still in the trash: %+v", m)
	}
}

func TestFoldersAreMadeRenamedAndDeleted(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "one", "text"))
	v := s.login("alice")
	_, page := v.post("/folders/create", url.Values{"name": {"仕事/2026"}})
	wants(t, page, "Created the folder 仕事/2026", `href="/m/%E4%BB%95%E4%BA%8B%2F2026"`)
	v.act("move", url.Values{"m": {"inbox/1"}, "to": {"仕事/2026"}})
	wants(t, v.get("/m/%E4%BB%95%E4%BA%8B%2F2026/1"), "one")
	_, page = v.post("/folders/rename", url.Values{"folder": {"仕事/2026"}, "name": {"Work"}})
	wants(t, page, "<title>Work", "one")
	_, page = v.post("/folders/rename", url.Values{"folder": {"Work"}, "name": {" Work "}}) // which is no change
	wants(t, page, "<title>Work", "one")
	_, page = v.post("/folders/delete", url.Values{"folder": {"Work"}})
	wants(t, page, "Moved the folder Work to the trash", "one")
	undo := regexp.MustCompile(`name="undo" value="([^"]+)"`).FindStringSubmatch(page)
	if undo == nil {
		t.Fatal("a deleted folder cannot be had back")
	}
	_, page = v.post("/undo", url.Values{"undo": {undo[1]}})
	wants(t, page, "Undone", "<title>Work")
	for _, name := range []string{"", "a//b", "../x", "INBOX", "Trash", "a\x01b"} {
		if status, _ := v.post("/folders/create", url.Values{"name": {name}}); status < 400 || status >= 500 {
			t.Errorf("a folder named %q: %d", name, status)
		}
	}
	for _, name := range []string{"INBOX", "Trash", "Sent"} {
		if status, _ := v.post("/folders/delete", url.Values{"folder": {name}}); status < 400 {
			t.Errorf("%s was deleted: %d", name, status)
		}
	}
}

// Taking back that a folder was made must not take mail along, and leaves no
// folders that nobody has asked for.
func TestFoldersAreUnmade(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "one", "text"))
	v := s.login("alice")
	undoOf := func(page string) url.Values {
		t.Helper()
		m := regexp.MustCompile(`name="undo" value="([^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatal("it cannot be taken back")
		}
		return url.Values{"undo": {m[1]}, "back": {"/m/inbox"}}
	}
	folder := func(name string) bool {
		_, err := s.Store.Mailbox(t.Context(), s.alice.ID, name)
		return err == nil
	}
	_, page := v.post("/folders/create", url.Values{"name": {"a/b"}})
	v.post("/undo", undoOf(page))
	if folder("a") || folder("a/b") {
		t.Error("the folders are still there")
	}
	_, page = v.post("/folders/create", url.Values{"name": {"a/b"}})
	v.act("move", url.Values{"m": {"inbox/1"}, "to": {"a/b"}})
	_, said := v.post("/undo", undoOf(page))
	wants(t, said, "There is mail in the folder")
	if len(s.box(s.alice, "a/b")) != 1 {
		t.Error("the mail has gone with the folder")
	}
	_, page = v.post("/folders/rename", url.Values{"folder": {"a/b"}, "name": {"x/y/z"}})
	v.post("/undo", undoOf(page))
	if !folder("a/b") || folder("x") || folder("x/y") {
		t.Error("renaming has not been taken back whole")
	}
	// What does not work is said on the page one was at.
	_, page = v.post("/folders/create", url.Values{"name": {"a//b"}, "back": {"/m/Sent"}})
	wants(t, page, "A folder cannot be called that.", "<title>Sent")
}

func TestSearchSaysWhatItAsks(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("hanako@example.jp", "invoice", "please pay"))
	s.deliver(s.alice, plainMail("bob@yubin.test", "lunch", "about the invoice"))
	v := s.login("alice")
	page := v.get("/search?q=" + url.QueryEscape("from:hanako is:unread"))
	wants(t, page, `UID SEARCH FROM &#34;hanako&#34; UNSEEN`, "An IMAP client would ask:", "1 message found", "/m/inbox/1?q=")
	if strings.Contains(page, ">lunch<") {
		t.Error("the search found too much")
	}
	page = v.get("/m/inbox/1?q=invoice")
	wants(t, page, "please pay", "2 messages found", ">lunch</span>")
	wants(t, v.get("/search?q="+url.QueryEscape("before:nonsense invoice")), "a date like 2026-11-23")
	wants(t, v.get("/search?q="+url.QueryEscape(`<script>alert(1)</script>`)), "Nothing found", "&lt;script&gt;")
	s.deliver(s.alice, "From: x@example.jp\nSubject: with file\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: application/pdf; name=a.pdf\n\nx\n--b--\n")
	wants(t, v.get("/search?q=has:attachment"), "1 message found", ">with file</span>", "something close")
	wants(t, v.get("/search?q=-has:attachment"), "2 messages found")
	wants(t, v.get("/search?q="+url.QueryEscape("in:受信トレイ invoice&lang=ja")), "there is no such folder")
	wants(t, v.get("/search?q="+url.QueryEscape("in:inbox invoice")), "2 messages found", "in Inbox")
}

func TestConversationsAreGrouped(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail("bob@yubin.test", "plan", "first"))
	s.deliver(s.alice, plainMail("carol@example.jp", "other", "alone"))
	s.deliver(s.alice, "From: carol@example.jp\nSubject: Re: plan\nMessage-ID: <r1@x>\nReferences: <plan@example.jp>\nIn-Reply-To: <plan@example.jp>\n\nsecond\n")
	s.deliver(s.alice, plainMail("dave@example.jp", "RE: plan", "third, without references"))
	v := s.login("alice")
	page := v.get("/m/inbox?view=threads")
	wants(t, page, `data-keys="inbox/1 inbox/3 inbox/4"`, "(3)", ">other</span>")
	page = v.get("/m/inbox/4")
	wants(t, page, "3 messages in this conversation", `href="/m/inbox/1"`, `href="/m/inbox/3"`)
	// What names it belongs to it however far away it is, but junk does not.
	for i := range 2*threadAround + 1 {
		s.deliver(s.alice, plainMail("bob@yubin.test", fmt.Sprint("between ", i), "x"))
	}
	late := s.deliver(s.alice, "From: bob@yubin.test\nSubject: done\nMessage-ID: <late@x>\nIn-Reply-To: <r1@x>\n\nlast\n")
	spam := s.deliver(s.alice, "From: spam@example.jp\nSubject: offer\nReferences: <plan@example.jp>\n\nx\n")
	v.told("/act", url.Values{"do": {"move"}, "to": {"Junk"}, "m": {fmt.Sprint("inbox/", spam)}})
	v.told("/act", url.Values{"do": {"archive"}, "m": {"inbox/3"}})
	page = v.get(fmt.Sprint("/m/inbox/", late))
	wants(t, page, "3 messages in this conversation", `href="/m/inbox/1"`, `href="/m/Archive/1"`)
	if page = v.get("/m/inbox?view=messages"); strings.Contains(page, "data-keys") {
		t.Error("the list is still one of conversations")
	}
}

func TestConnectedProgramsAreCounted(t *testing.T) {
	s := newMailSite(t, func(c *Config) {
		c.Operation.Sessions = func() []LiveSession {
			return []LiveSession{{Proto: "imap", User: "alice@yubin.test"}, {Proto: "imaps", User: "alice@yubin.test"}, {Proto: "pop3s", User: "alice@yubin.test"},
				{Proto: "imap", User: "bob@yubin.test"}, {Proto: "imap"}, {Proto: "submission", User: "alice@yubin.test"}}
		}
	})
	wants(t, s.login("alice").get("/m/inbox"), "IMAP 2 connections · POP3 1 connection<br>")
	wants(t, s.login("bob").get("/m/inbox"), "IMAP 1 connection<br>")
}

// star and remove are what other devices do.
func (s *mailSite) star(box store.MailboxID, uid store.UID) {
	if _, err := s.Store.SetFlags(s.Context(), box, []store.UID{uid}, store.AddFlags, store.Flags{System: store.Flagged}); err != nil {
		s.Error(err)
	}
}

func (s *mailSite) remove(box store.MailboxID, uid store.UID) {
	if _, err := s.Store.Remove(s.Context(), box, []store.UID{uid}); err != nil {
		s.Error(err)
	}
}

// A page asks for pieces of itself as its user, and gets nobody else's.
func TestAPageIsOfOneUser(t *testing.T) {
	s := newMailSite(t, nil)
	v := s.login("alice")
	for who, want := range map[string]int{"alice@yubin.test": http.StatusOK, "bob%40yubin.test": http.StatusConflict, "": http.StatusOK} {
		v.head.Set("X-User", who)
		if status, _ := v.do(http.MethodGet, "/m/inbox", nil); status != want {
			t.Errorf("as %q: %d, want %d", who, status, want)
		}
	}
	v.head.Del("X-User")
	if status, _ := v.do(http.MethodGet, "/live?for=bob@yubin.test", nil); status != http.StatusConflict {
		t.Errorf("news for somebody else: %d", status)
	}
}

func TestAnAuthorPosesAsAnother(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, plainMail(`"boss@bank.example" <evil@evil.example>`, "one", "text"))
	s.deliver(s.alice, plainMail(`"bob@yubin.test" <Bob@yubin.test>`, "two", "text"))
	s.deliver(s.alice, plainMail(`"Carol @ work" <carol@example.jp>`, "three", "text"))
	v := s.login("alice")
	page := v.get("/m/inbox/1")
	wants(t, page, "the mail names evil@evil.example as its author", "&lt;evil@evil.example&gt;")
	if strings.Contains(page, "</span>boss@bank.example") || strings.Contains(page, `class="who">boss`) {
		t.Error("the list believes the name")
	}
	for _, path := range []string{"/m/inbox/2", "/m/inbox/3"} {
		if strings.Contains(v.get(path), "as its author") {
			t.Errorf("%s: nobody poses", path)
		}
	}
	wants(t, v.get("/m/inbox"), "Carol @ work")
}

func TestReadingMailWithoutAnAuthor(t *testing.T) {
	s := newMailSite(t, nil)
	s.deliver(s.alice, "Subject: hello\n\nHello!\n")
	if page := s.login("alice").get("/m/inbox/1"); !strings.Contains(page, `<span class="from">(unknown sender)</span>`) {
		t.Error("nobody is said to have written it")
	}
}

func TestEmptyInboxNamesThePortThatListens(t *testing.T) {
	s := newMailSite(t, func(c *Config) {
		c.Operation.Listeners = func() []Listener { return []Listener{{Name: "smtp", Address: "127.0.0.1:31025"}} }
	})
	if page := s.login("alice").get("/m/inbox"); !strings.Contains(page, ":31025 --mail-from") {
		t.Error("the command to try leads elsewhere")
	}
}
