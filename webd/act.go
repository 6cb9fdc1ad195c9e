package webd

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) actRoutes(m *routes) {
	m.write("POST /act", smallForm, s.act)
	m.write("POST /undo", smallForm, s.undo)
}

// secondThoughts is how long what was deleted for good can be had back.
const secondThoughts = 10 * time.Second

// maxSelected is how many messages one action takes.
const maxSelected = 5000

// selection is messages of one folder, their UIDs ascending.
type selection struct {
	folder
	uids []store.UID
}

// selected reads which messages a form means. Its button may name them too.
func (v *visit) selected(named string) ([]selection, error) {
	values := strings.Fields(named)
	if named == "" {
		for _, m := range v.PostForm["m"] {
			values = append(values, strings.Fields(m)...)
		}
	}
	if len(values) > maxSelected {
		return nil, store.ErrLimit
	}
	byBox := map[string][]store.UID{}
	for _, key := range values {
		box, number, ok := strings.Cut(key, "/")
		uid, err := strconv.ParseUint(number, 10, 32)
		name, escapeErr := url.PathUnescape(box)
		if !ok || err != nil || escapeErr != nil || uid == 0 {
			return nil, errForm
		}
		byBox[name] = append(byBox[name], store.UID(uid))
	}
	var all []selection
	for _, name := range slices.Sorted(maps.Keys(byBox)) {
		m, err := v.s.Store.Mailbox(v.Context(), v.user.ID, name)
		if err != nil {
			return nil, err
		}
		uids := byBox[name]
		slices.Sort(uids)
		all = append(all, selection{v.folder(m), slices.Compact(uids)})
	}
	return all, nil
}

// flagActions are the actions that set or clear a flag, and what undoes them.
var flagActions = map[string]struct {
	flag store.SystemFlags
	name string
	op   store.FlagOp
	done string
}{
	"read":   {store.Seen, `\Seen`, store.AddFlags, "done.read"},
	"unread": {store.Seen, `\Seen`, store.RemoveFlags, "done.unread"},
	"star":   {store.Flagged, `\Flagged`, store.AddFlags, "done.star"},
	"unstar": {store.Flagged, `\Flagged`, store.RemoveFlags, "done.unstar"},
}

// moveActions are the actions that move to a folder with a special use.
var moveActions = map[string]string{"archive": `\Archive`, "delete": `\Trash`, "junk": `\Junk`}

// act does one thing to some messages.
func (s *Server) act(v *visit) error {
	do, named, _ := strings.Cut(v.PostFormValue("do"), " ")
	chosen, err := v.selected(named)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		return v.done(notice{Text: v.T("done.nothing")})
	}
	if flag, ok := flagActions[do]; ok {
		return v.flag(chosen, flag.flag, flag.name, flag.op, flag.done)
	}
	var to store.Mailbox
	switch {
	case do == "delete" && slices.ContainsFunc(chosen, func(c selection) bool { return c.Is("trash") }):
		return v.deleteForGood(chosen)
	case moveActions[do] != "":
		to, err = v.use(moveActions[do])
	case do == "inbox":
		to, err = s.Store.Mailbox(v.Context(), v.user.ID, "INBOX")
	case do == "move":
		to, err = s.Store.Mailbox(v.Context(), v.user.ID, v.PostFormValue("to"))
	default:
		return errForm
	}
	if err != nil {
		return err
	}
	return v.move(chosen, v.folder(to))
}

// done answers an action: with its notice to a module, else with the page
// that the form came from, which shows it.
func (v *visit) done(n notice) error {
	if v.wantsJSON() {
		return v.json(n)
	}
	v.session.say(n)
	if n.URL != "" {
		return v.redirect(n.URL)
	}
	return v.redirect(ours(v.PostFormValue("back")))
}

func (v *visit) flag(chosen []selection, flag store.SystemFlags, name string, op store.FlagOp, text string) error {
	ctx := v.Context()
	count := 0
	var changed []selection // what undo has to change back
	for _, c := range chosen {
		var other []store.UID
		err := v.s.Store.Each(ctx, c.ID, c.uids, 0, func(m *store.Message) error {
			if m.Flags.Has(flag) != (op == store.AddFlags) {
				other = append(other, m.UID)
			}
			count++
			return nil
		})
		if err != nil {
			return err
		}
		if len(other) == 0 {
			continue
		}
		if _, err := v.s.Store.SetFlags(ctx, c.ID, other, op, store.Flags{System: flag}); err != nil {
			return err
		}
		changed = append(changed, selection{c.folder, other})
		v.recordFlags(c.folder, other, op, name)
	}
	back := store.AddFlags
	if op == store.AddFlags {
		back = store.RemoveFlags
	}
	undo := v.session.remember(func(v *visit) (notice, error) {
		for _, c := range changed {
			if _, err := v.s.Store.SetFlags(v.Context(), c.ID, c.uids, back, store.Flags{System: flag}); err != nil {
				return notice{}, err
			}
			v.recordFlags(c.folder, c.uids, back, name)
		}
		return notice{Text: v.T("done.undone")}, nil
	})
	return v.done(notice{Text: v.T(text, count), Undo: undo})
}

// moved is what one move has done, to be moved back.
type moved struct {
	from, to folder
	pairs    []store.UIDPair
}

func (v *visit) move(chosen []selection, to folder) error {
	var all []moved
	count := 0
	for _, c := range chosen {
		if c.ID == to.ID {
			continue
		}
		pairs, _, err := v.s.Store.Move(v.Context(), c.ID, c.uids, to.ID)
		if err != nil {
			return err
		}
		if to.Is("trash") || to.Is("archive") {
			// A message that was flagged as deleted has been dealt with now.
			if _, err := v.s.Store.SetFlags(v.Context(), to.ID, targets(pairs), store.RemoveFlags, store.Flags{System: store.Deleted}); err != nil {
				return err
			}
		}
		all = append(all, moved{c.folder, to, pairs})
		v.recordMove(c.folder, to, pairs)
		count += len(pairs)
	}
	if count == 0 {
		return v.done(notice{Text: v.T("done.nothing")})
	}
	undo := v.session.remember(func(v *visit) (notice, error) {
		for _, m := range all {
			back, _, err := v.s.Store.Move(v.Context(), m.to.ID, targets(m.pairs), m.from.ID)
			if err != nil {
				return notice{}, err
			}
			v.recordMove(m.to, m.from, back)
		}
		return notice{Text: v.T("done.undone")}, nil
	})
	return v.done(notice{Text: v.T("done.moved", count, to.Label), Undo: undo})
}

func targets(pairs []store.UIDPair) []store.UID {
	uids := make([]store.UID, len(pairs))
	for i, p := range pairs {
		uids[i] = p.To
	}
	slices.Sort(uids)
	return uids
}

// deleteForGood flags messages as deleted, as IMAP clients do, and expunges
// them once nobody can want them back.
func (v *visit) deleteForGood(chosen []selection) error {
	flags := store.Flags{System: store.Deleted}
	count := 0
	for _, c := range chosen {
		now, err := v.s.Store.SetFlags(v.Context(), c.ID, c.uids, store.AddFlags, flags)
		if err != nil {
			return err
		}
		count += len(now)
		v.recordFlags(c.folder, c.uids, store.AddFlags, `\Deleted`)
	}
	job := v.s.later.after(secondThoughts, func(ctx context.Context) error {
		for _, c := range chosen {
			// Whoever has cleared the flag meanwhile wants to keep the message.
			if _, err := v.s.Store.Expunge(ctx, c.ID, c.uids); err != nil {
				return err
			}
		}
		return nil
	})
	undo := v.session.remember(func(v *visit) (notice, error) {
		if !v.s.later.cancel(job) {
			return notice{Text: v.T("done.too-late"), Bad: true}, nil
		}
		for _, c := range chosen {
			if _, err := v.s.Store.SetFlags(v.Context(), c.ID, c.uids, store.RemoveFlags, flags); err != nil {
				return notice{}, err
			}
			v.recordFlags(c.folder, c.uids, store.RemoveFlags, `\Deleted`)
		}
		return notice{Text: v.T("done.undone")}, nil
	})
	return v.done(notice{Text: v.T("done.deleted", count), Undo: undo})
}

// undo takes an action back.
func (s *Server) undo(v *visit) error {
	run, ok := v.session.recall(v.PostFormValue("undo"))
	if !ok {
		return v.done(notice{Text: v.T("done.too-late"), Bad: true})
	}
	n, err := run(v)
	if err != nil {
		return err
	}
	return v.done(n)
}
