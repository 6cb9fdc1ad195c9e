package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// BackupDir is the folder for copies in a data folder.
func BackupDir(dataDir string) string { return filepath.Join(dataDir, "backup") }

// Kept is a copy that BackupInto has made.
type Kept struct {
	Backup
	File    string // its path
	Removed int    // older copies that went
}

// copyStamp is the time in the name of a copy. The names sort by time.
const copyStamp = "20060102-150405"

var copyName = regexp.MustCompile(`^yubin-\d{8}-\d{6}\.db$`)

// BackupInto makes a copy in a folder, named after the time, or the next second
// when another copy has that name, and then removes
// the oldest copies there beyond keep; 0 keeps all. They go only once the new
// one has been verified and is durable, so there is always one that is good.
// Files of other names are left alone.
func (s *Store) BackupInto(ctx context.Context, dir string, keep int) (k Kept, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return k, fmt.Errorf("back up: %w", err)
	}
	for at := s.now().UTC(); ; at = at.Add(time.Second) {
		k.File = filepath.Join(dir, "yubin-"+at.Format(copyStamp)+".db")
		if k.Backup, err = s.Backup(ctx, k.File); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil || keep <= 0 {
		return k, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return k, fmt.Errorf("remove old copies: %w", err)
	}
	var older []string
	for _, e := range entries {
		if copyName.MatchString(e.Name()) && e.Type().IsRegular() && e.Name() != filepath.Base(k.File) {
			older = append(older, e.Name())
		}
	}
	slices.Sort(older)
	for _, name := range older[:max(0, len(older)-keep+1)] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return k, fmt.Errorf("remove old copies: %w", err)
		}
		k.Removed++
	}
	return k, nil
}
