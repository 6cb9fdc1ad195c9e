package store

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Removing mail needs room too: SQLite writes the pages that change to its
// log, and later from there into the file. On a disk that mail has filled to
// the last octet nobody could remove any. So what adds mail leaves a reserve.
const (
	// reserve is what the log may take, twice: in the log and in the file.
	reserve = 2 * logPages * pageSize
	// logPages is when SQLite copies the log into the file. That costs the
	// commit that does it two more syncs; so many pages make it rare.
	logPages = 4000
	pageSize = 4096
)

// freeSpace is what the file system of dir has left for us.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// room answers ErrFull when size octets more would touch the reserve. What has
// been removed leaves room within the file, though the disk does not see it.
func (s *Store) room(ctx context.Context, size int64) error {
	free, err := s.free(s.dir)
	if err != nil || free >= reserve+2*size {
		return nil // or nobody knows, and SQLite will tell
	}
	var unused int64
	if err := s.readers.row(ctx, `PRAGMA freelist_count`).Scan(&unused); err != nil {
		return fmt.Errorf("look for unused pages: %w", err)
	}
	if free >= reserve/2 && unused*pageSize >= size+size/4+64<<10 {
		return nil
	}
	return fmt.Errorf("%w: %d octets are left, of which %d are kept for removing mail", ErrFull, free, reserve)
}
