package webd

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Operation is what the program around the server knows and can do: it is
// for the admin page, the API and the set-up help. All of it may be missing;
// then the page has that much less.
type Operation struct {
	DataDir     string       // where the store is; backups go to its folder backup
	KeepBackups int          // how many stay there; 0 is all
	PlaintextOK bool         // passwords and tokens may cross the network without TLS
	Clients     []MailServer // where mail programs connect
	Listeners   func() []Listener
	Sessions    func() []LiveSession  // of mail programs, as they are now
	Disconnect  func(id uint64) error // ends one of Sessions; nil: nobody can
	Settings    func() []Setting      // the configuration, secrets starred
	Doctor      func(ctx context.Context, lang string) []Finding
}

// Listener is a port that is open.
type Listener struct {
	Name, Address string
	Secure        bool  // TLS from the first octet
	Open          int   // connections now
	Refused       int64 // callers turned away since the start
}

// Setting is one value of the configuration.
type Setting struct {
	Name, Value string
	Origin      string // "flag --x", "env X", a file, "default" or "demo"
	Env         string // how the environment spells it
	Doc         string
}

// office is what the admin page, the API and the set-up keep in memory.
type office struct {
	backingUp sync.Mutex // one copy at a time
	checkups  checkups
	waiters   waiters
	doomed    doomed
	setup     setup
}

func newOffice(s *Server) *office {
	return &office{doomed: doomed{s: s}, setup: setup{secret: rand.Text()}}
}

// serve does in the background what belongs to these pages.
func (o *office) serve(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() { o.doomed.run(ctx) })
	return func() {
		cancel()
		working.Wait()
	}
}

func (s *Server) adminRoutes(m *routes) {
	m.admin("GET /admin", s.showAdmin)
	m.adminWrite("POST /admin/users", s.addUser)
	m.adminWrite("POST /admin/user", s.actOnUser)
	m.adminWrite("POST /admin/aliases", s.actOnAlias)
	m.adminWrite("POST /admin/queue", s.actOnQueue)
	m.admin("GET /admin/sessions", s.showSessions)
	m.adminWrite("POST /admin/sessions", s.disconnect)
	m.adminWrite("POST /admin/backup", s.backUp)
	m.adminWrite("POST /admin/check", s.check)
	m.user("GET /settings/tokens", s.showTokens)
	m.write("POST /settings/tokens", smallForm, s.actOnToken)
}

// admin is a page for administrators. For others there is no such page.
func (m *routes) admin(pattern string, serve func(*visit) error) {
	m.user(pattern, adminOnly(serve))
}

func (m *routes) adminWrite(pattern string, serve func(*visit) error) {
	m.write(pattern, smallForm, adminOnly(func(v *visit) error {
		err := serve(v)
		p, known := replyTo(err)
		if err == nil || !known {
			return err
		}
		// What cannot be done is said on the page where it was tried.
		v.session.say(notice{Text: v.T(p.key), Bad: true})
		v.status, v.at = p.status, "/admin"
		return m.showAdmin(v)
	}))
}

func adminOnly(serve func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		if !v.user.Admin {
			return errNotFound
		}
		return serve(v)
	}
}

// adminPage is all there is to know of the server on one page.
type adminPage struct {
	Listeners []Listener
	sessionsPart
	Users    []adminUser
	Aliases  []store.Alias
	Domains  []store.Domain
	Queue    []store.Queued // the first of them
	Queued   int
	Storage  storage
	Settings []Setting
	Checkup  checkup // the last one
	Doctor   bool    // there is one
	Kinds    []store.POP3Kind
}

var pop3Kinds = []store.POP3Kind{store.POP3Delete, store.POP3Keep, store.POP3KeepDays, store.POP3Trash}

// showAdmin answers with the page.
func (s *Server) showAdmin(v *visit) error {
	p := adminPage{Doctor: s.Operation.Doctor != nil, Kinds: pop3Kinds}
	ctx := v.Context()
	var err error
	if p.Users, err = v.adminUsers(); err != nil {
		return err
	}
	if p.Aliases, err = s.Store.Aliases(ctx); err != nil {
		return err
	}
	if p.Domains, err = s.Store.Domains(ctx); err != nil {
		return err
	}
	if p.Queue, err = s.Store.Queue(ctx); err != nil {
		return err
	}
	p.Queued = len(p.Queue)
	p.Queue = p.Queue[:min(p.Queued, shownQueue)]
	if p.Storage, err = s.storage(ctx, p.Users); err != nil {
		return err
	}
	if p.sessionsPart, err = s.sessionsPart(ctx); err != nil {
		return err
	}
	if o := s.Operation; o.Listeners != nil {
		p.Listeners = o.Listeners()
	}
	if o := s.Operation; o.Settings != nil {
		p.Settings = o.Settings()
	}
	p.Checkup = s.checkups.last(v.language.tag())
	return v.render("admin", v.T("title.admin"), p)
}

// shownQueue is how many waiting recipients the page lists.
const shownQueue = 200

// State is a word for how a queued recipient stands: a key of the catalogue.
func (p page) State(q store.Queued) string {
	now := p.s.Now()
	switch {
	case q.Held:
		return p.T("admin.held")
	case q.Leased.After(now):
		return p.T("admin.sending")
	case q.Next.After(now):
		return p.T("admin.waiting")
	}
	return p.T("admin.due")
}

// Policy writes a POP3 policy for people.
func (p page) Policy(kind store.POP3Kind) string { return p.T("pop3." + string(kind)) }

// Origin writes where a setting comes from: a variable, a flag and a file have
// names, which are the same in all languages.
func (p page) Origin(origin string) string {
	if origin == "default" || origin == "demo" {
		return p.T("origin." + origin)
	}
	return origin
}

// backToAdmin goes to the admin page with something to say, at the place of it.
func (v *visit) backToAdmin(section, text, undo string) error {
	v.session.say(notice{Text: text, Undo: undo})
	return v.redirect("/admin#" + section)
}

var errTyped = &problem{http.StatusUnprocessableEntity, "error.typed"}

// actOnQueue tries, holds, releases or drops waiting mail.
func (s *Server) actOnQueue(v *visit) error {
	var ids []store.QueueID
	for _, text := range v.PostForm["id"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errForm
		}
		ids = append(ids, store.QueueID(id))
	}
	var n int
	var err error
	switch v.PostFormValue("do") {
	case "retry":
		n, err = s.Store.Retry(v.Context(), ids...)
	case "hold":
		n, err = s.Store.Hold(v.Context(), true, ids...)
	case "release":
		n, err = s.Store.Hold(v.Context(), false, ids...)
	case "drop":
		n, err = s.Store.Drop(v.Context(), ids...)
	case "advance":
		if !s.Demo {
			return errDemoOnly
		}
		n, err = s.Store.AdvanceQueue(v.Context(), 2*time.Hour)
	default:
		return errForm
	}
	if err != nil {
		return err
	}
	return v.backToAdmin("queue", v.T("admin.queue-changed", n), "")
}

// actOnAlias adds an alias, or takes one of its targets away.
func (s *Server) actOnAlias(v *visit) error {
	alias, target := v.PostFormValue("address"), v.PostFormValue("target")
	if v.PostFormValue("do") == "remove" {
		if err := s.Store.RemoveAlias(v.Context(), alias, target); err != nil {
			return err
		}
		undo := v.session.remember(func(v *visit) (notice, error) {
			if !v.user.Admin {
				return notice{}, errNotFound
			}
			return notice{Text: v.T("admin.alias-added", alias)}, v.s.Store.AddAlias(v.Context(), alias, target)
		})
		return v.backToAdmin("aliases", v.T("admin.alias-removed", alias), undo)
	}
	if err := v.addAlias(alias, target); err != nil {
		return err
	}
	return v.backToAdmin("aliases", v.T("admin.alias-added", alias), "")
}

var (
	errAliasDomain = &problem{http.StatusUnprocessableEntity, "error.alias-domain"}
	errAliasTarget = &problem{http.StatusUnprocessableEntity, "error.alias-target"}
)

// addAlias refuses what is a typing error for sure: an alias of ours that
// leads to nobody of ours.
func (v *visit) addAlias(alias, target string) error {
	if _, err := v.s.Store.Resolve(v.Context(), target); errors.Is(err, store.ErrNoSuchUser) {
		return errAliasTarget
	}
	err := v.s.Store.AddAlias(v.Context(), alias, target)
	if errors.Is(err, store.ErrNotLocal) {
		return errAliasDomain
	}
	return err
}
