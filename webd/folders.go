package webd

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

func (s *Server) folderRoutes(m *routes) {
	m.write("POST /folders/create", smallForm, beside(s.createFolder))
	m.write("POST /folders/rename", smallForm, beside(s.renameFolder))
	m.write("POST /folders/delete", smallForm, beside(s.deleteFolder))
	m.write("POST /folders/empty", smallForm, s.emptyFolder)
}

// beside says what cannot be done on the page that the form came from.
func beside(serve func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		err := serve(v)
		p, known := replyTo(err)
		back := v.PostFormValue("back")
		if err == nil || !known || p.status >= 500 || back == "" {
			return err
		}
		v.session.say(notice{Text: v.T(p.key), Bad: true})
		return v.redirect(ours(back))
	}
}

// formFolder is the folder that a form names.
func (v *visit) formFolder() (folder, error) {
	m, err := v.s.Store.Mailbox(v.Context(), v.user.ID, v.PostFormValue("folder"))
	return v.folder(m), err
}

func (s *Server) createFolder(v *visit) error {
	before, err := s.Store.Mailboxes(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	m, err := s.Store.CreateMailbox(v.Context(), v.user.ID, strings.TrimSpace(v.PostFormValue("name")), "")
	if err != nil {
		return err
	}
	if err := s.Store.Subscribe(v.Context(), v.user.ID, m.Name, true); err != nil {
		return err
	}
	f := v.folder(m)
	undo := v.session.remember(func(v *visit) (notice, error) {
		return notice{Text: v.T("done.undone"), URL: "/m/inbox"}, v.unmake(append(parentsBut(before, m.Name), m.Name))
	})
	v.session.say(notice{Text: v.T("done.folder-made", f.Path), Undo: undo})
	return v.redirect(f.URL())
}

// parentsBut are the folders that a name is in, the outermost first, without
// those that are known.
func parentsBut(known []store.Mailbox, name string) (all []string) {
	for i, c := range name {
		if c == '/' && !slices.ContainsFunc(known, func(m store.Mailbox) bool { return m.Name == name[:i] }) {
			all = append(all, name[:i])
		}
	}
	return all
}

// unmake takes folders away, the last first. One that is in use by now stays,
// and those around it.
func (v *visit) unmake(names []string) error {
	for _, name := range slices.Backward(names) {
		m, err := v.s.Store.Mailbox(v.Context(), v.user.ID, name)
		if err == nil && m.Messages > 0 {
			return errFolderUsed
		}
		if err == nil {
			err = v.s.Store.DeleteMailbox(v.Context(), v.user.ID, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errFolderUsed = &problem{http.StatusConflict, "error.folder-used"}

func (s *Server) renameFolder(v *visit) error {
	f, err := v.formFolder()
	if err != nil {
		return err
	}
	to := strings.TrimSpace(v.PostFormValue("name"))
	if !f.Own() {
		return store.ErrBadMailboxName
	}
	if to == f.Name {
		return v.redirect(f.URL())
	}
	return v.renameTo(f, to, v.T("done.folder-renamed", f.Path, to))
}

// renameTo renames a folder, and shows it under its new name.
func (v *visit) renameTo(f folder, to, text string) error {
	before, err := v.s.Store.Mailboxes(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	if err := v.s.Store.RenameMailbox(v.Context(), v.user.ID, f.Name, to); err != nil {
		return err
	}
	undo := v.session.remember(func(v *visit) (notice, error) {
		if err := v.s.Store.RenameMailbox(v.Context(), v.user.ID, to, f.Name); err != nil {
			return notice{}, err
		}
		// What was made around it may be in use by now, and then it stays.
		if err := v.unmake(parentsBut(before, to)); err != nil && !errors.Is(err, errFolderUsed) && !errors.Is(err, store.ErrHasChildren) {
			return notice{}, err
		}
		return notice{Text: v.T("done.undone"), URL: f.URL()}, nil
	})
	v.session.say(notice{Text: text, Undo: undo})
	return v.redirect("/m/" + slug(to))
}

// deleteFolder moves a folder into the trash, with all that is in it. One that
// is there already goes for good.
func (s *Server) deleteFolder(v *visit) error {
	f, err := v.formFolder()
	if err != nil {
		return err
	}
	if !f.Own() {
		return store.ErrBadMailboxName
	}
	trash, err := v.use(`\Trash`)
	if err != nil {
		return err
	}
	if strings.HasPrefix(f.Name, trash.Name+"/") {
		return v.removeFolder(f)
	}
	to := trash.Name + "/" + f.Label
	for n := 2; n < 100; n++ {
		_, err := s.Store.Mailbox(v.Context(), v.user.ID, to)
		if errors.Is(err, store.ErrNoSuchMailbox) {
			break
		}
		if err != nil {
			return err
		}
		to = trash.Name + "/" + f.Label + " " + strconv.Itoa(n)
	}
	return v.renameTo(f, to, v.T("done.folder-trashed", f.Path))
}

func (v *visit) removeFolder(f folder) error {
	user, st := v.user.ID, v.s.Store
	job := v.s.later.after(secondThoughts, func(ctx context.Context) error {
		boxes, err := st.Mailboxes(ctx, user)
		if err != nil {
			return err
		}
		slices.Reverse(boxes) // what is inside first
		for _, m := range boxes {
			if m.ID == f.ID || strings.HasPrefix(m.Name, f.Name+"/") {
				if err := st.DeleteMailbox(ctx, user, m.Name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	undo := v.session.remember(func(v *visit) (notice, error) {
		if !v.s.later.cancel(job) {
			return notice{Text: v.T("done.too-late"), Bad: true}, nil
		}
		return notice{Text: v.T("done.undone")}, nil
	})
	v.session.say(notice{Text: v.T("done.folder-removed", f.Path), Undo: undo})
	return v.redirect("/m/inbox")
}

// emptyFolder deletes for good what is in the trash or among junk.
func (s *Server) emptyFolder(v *visit) error {
	f, err := v.formFolder()
	if err != nil {
		return err
	}
	if !f.Is("trash") && !f.Is("junk") {
		return errForm
	}
	sn, err := s.Store.Snapshot(v.Context(), f.ID)
	if err != nil {
		return err
	}
	if len(sn.UIDs) == 0 {
		return v.done(notice{Text: v.T("done.nothing")})
	}
	return v.deleteForGood([]selection{{f, sn.UIDs}})
}
