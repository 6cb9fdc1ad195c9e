package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// mail4K is a text mail of 4 KiB.
func mail4K() store.Bytes {
	m := text("four kilobytes")
	return append(m, strings.Repeat("The quick brown fox jumps over the lazy dog, again and again.\r\n", (4096-len(m))/63)...)
}

func BenchmarkAccept(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir := b.TempDir()
			s, ada := open(b, store.Options{Dir: dir})
			d := store.Delivery{Sender: "bob@example.org", Body: mail4K(), Recipients: []store.Recipient{{User: ada.ID}}}
			b.SetBytes(d.Body.Size())
			var wg sync.WaitGroup
			left := make(chan struct{}, b.N)
			for range b.N {
				left <- struct{}{}
			}
			close(left)
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for range left {
						if _, err := s.Accept(context.Background(), d); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			st := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			b.ReportMetric(float64(st.Requests)/float64(st.Commits), "mails/commit")
			var disk int64
			for _, name := range []string{"yubin.db", "yubin.db-wal"} {
				if fi, err := os.Stat(filepath.Join(dir, name)); err == nil && b.N > 1000 {
					disk += fi.Size()
				}
			}
			b.ReportMetric(float64(disk)/float64(b.N), "disk-bytes/mail")
		})
	}
}

// BenchmarkFsync is what the disk can do: 4 KiB appended and synced.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}

// BenchmarkRcpt is what one recipient costs before the message comes.
func BenchmarkRcpt(b *testing.B) {
	s, ada := open(b, store.Options{})
	for b.Loop() {
		to, err := s.Resolve(b.Context(), ada.Address)
		if err != nil || len(to) != 1 {
			b.Fatal(to, err)
		}
		if err := s.RoomFor(b.Context(), to[0].User, 4096); err != nil {
			b.Fatal(err)
		}
	}
}
