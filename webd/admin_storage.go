package webd

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// storage is what the store takes, and when it was last copied.
type storage struct {
	Messages  uint64
	Octets    int64 // of the messages
	File, WAL int64 // octets on the disk
	Dir       string
	Keep      int          // how many copies stay; 0 is all
	Backups   []backupFile // the newest first
}

type backupFile struct {
	Name string
	Size int64
	Made time.Time
}

func (s *Server) storage(ctx context.Context, users []adminUser) (storage, error) {
	st := storage{Dir: s.backupDir(), Keep: s.Operation.KeepBackups}
	for _, u := range users {
		boxes, err := s.Store.Mailboxes(ctx, u.ID)
		if err != nil {
			return st, err
		}
		for _, m := range boxes {
			st.Messages += uint64(m.Messages)
		}
		st.Octets += u.Used
	}
	st.File, st.WAL = s.fileSize("yubin.db"), s.fileSize("yubin.db-wal")
	var err error
	st.Backups, err = backups(st.Dir)
	return st, err
}

// fileSize is 0 for a file that is not there.
func (s *Server) fileSize(name string) int64 {
	if s.Operation.DataDir == "" {
		return 0
	}
	st, err := os.Stat(filepath.Join(s.Operation.DataDir, name))
	if err != nil {
		return 0
	}
	return st.Size()
}

func (s *Server) backupDir() string {
	if s.Operation.DataDir == "" {
		return ""
	}
	return store.BackupDir(s.Operation.DataDir)
}

// shownBackups is how many copies the page lists.
const shownBackups = 5

func backups(dir string) (all []backupFile, err error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if st, gone := e.Info(); gone == nil && strings.HasSuffix(e.Name(), ".db") {
			all = append(all, backupFile{e.Name(), st.Size(), st.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b backupFile) int { return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(b.Name, a.Name)) })
	return all[:min(len(all), shownBackups)], err
}

// backUp makes a copy of the store while mail comes and goes.
func (s *Server) backUp(v *visit) error {
	dir := s.backupDir()
	if dir == "" {
		return errNotFound
	}
	if !s.backingUp.TryLock() {
		return errBackingUp
	}
	defer s.backingUp.Unlock()
	b, err := s.Store.BackupInto(v.Context(), dir, s.Operation.KeepBackups)
	if err != nil {
		return err
	}
	name := filepath.Base(b.File)
	v.log().Info("backup made", "file", name, "size", b.Size, "messages", b.Messages, "removed", b.Removed)
	return v.backToAdmin("storage", v.T("admin.backed-up", name, number(int(b.Messages)), sizeText(b.Size)), "")
}

var errBackingUp = &problem{http.StatusConflict, "error.backing-up"}
