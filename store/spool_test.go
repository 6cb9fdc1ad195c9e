package store_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestSpoolsAreReadAnywhere(t *testing.T) {
	s, _ := open(t, store.Options{})
	for _, size := range []int{100, 3_000_000} {
		p := s.NewSpool()
		for i := range size / 10 {
			fmt.Fprintf(p, "%09d\n", i)
		}
		b := make([]byte, 10)
		if n, err := p.ReadAt(b, int64(size/2)); n != 10 || err != nil || string(b) != fmt.Sprintf("%09d\n", size/20) {
			t.Errorf("%q %d %v", b, n, err)
		}
		if n, err := p.ReadAt(b, int64(size-5)); n != 5 || err != io.EOF {
			t.Errorf("at the end: %d %v", n, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What all spools have in memory is bounded together, and given back.
func TestSpoolMemoryIsShared(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, store.Options{Dir: dir, SpoolMemory: 40_000})
	spooled := func() *store.Spool {
		p := s.NewSpool()
		t.Cleanup(func() { p.Close() })
		if _, err := p.Write(bytes.Repeat([]byte("x"), 20_000)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	files := func() int {
		names, err := os.ReadDir(filepath.Join(dir, "tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	first := spooled()
	if n := files(); n != 0 {
		t.Errorf("%d files for the first", n)
	}
	second := spooled()
	if n := files(); n != 1 {
		t.Errorf("%d files, want one for the second", n)
	}
	if first.Close(); second.Close() != nil || files() != 0 {
		t.Errorf("%d files are left", files())
	}
	spooled()
	if n := files(); n != 0 {
		t.Errorf("%d files: the memory was not given back", n)
	}
}

func TestLargeBodyIsStagedAndReadInPieces(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	sp := s.NewSpool()
	defer sp.Close()
	fmt.Fprint(sp, "Subject: large\r\n\r\n")
	for i := range 60_000 {
		fmt.Fprintf(sp, "line %08d of a body that is larger than one chunk\r\n", i)
	}
	acc := deliver(t, s, sp, ada)
	if acc.Size != sp.Size() || acc.Size < 3<<20 {
		t.Fatalf("size %d, spooled %d", acc.Size, sp.Size())
	}
	b, err := s.OpenBody(t.Context(), acc.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, _ := sp.Open()
	defer r.Close()
	if ok, err := sameBytes(b.Section(0, b.Size()), r); !ok || err != nil {
		t.Errorf("bytes differ (%v)", err)
	}
	piece := make([]byte, 20)
	if _, err := b.ReadAt(piece, 256<<10-10); err != nil || !strings.Contains(whole(t, s, acc.Blob)[256<<10-10:256<<10+10], string(piece)) {
		t.Errorf("across two chunks: %q %v", piece, err)
	}
	if data, err := s.ReadBody(t.Context(), acc.Blob, 1<<20); data != nil || err != nil {
		t.Errorf("ReadBody of a large body = %d octets, %v", len(data), err)
	}
}
