package store

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who reads a body slowly holds no transaction: the log of SQLite is copied
// into the file and begun anew, and does not grow with what arrives meanwhile.
func TestSlowReadersDoNotGrowTheLog(t *testing.T) {
	s := openFault(t)
	ctx := t.Context()
	u, err := s.CreateUser(ctx, NewUser{Address: "ada@example.test", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	large := Bytes("Subject: large\r\n\r\n" + strings.Repeat("a line of a large message\r\n", 100_000))
	accept := func() Accepted {
		acc, err := s.Accept(ctx, Delivery{Body: large, Recipients: []Recipient{{User: u.ID}}})
		if err != nil {
			t.Fatal(err)
		}
		return acc
	}
	b, err := s.OpenBody(ctx, accept().Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	reader := b.Section(0, b.Size())
	for range 30 { // 78 MB in all
		if _, err := io.CopyN(io.Discard, reader, 10_000); err != nil {
			t.Fatal(err)
		}
		accept()
	}
	info, err := os.Stat(filepath.Join(s.dir, fileName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(2 * logPages * pageSize); info.Size() > limit {
		t.Errorf("the log has %d octets, more than %d", info.Size(), limit)
	}
}

// A store that has been closed is one file: who copies it then copies all.
func TestCloseLeavesOneFile(t *testing.T) {
	s := openFault(t)
	if err := s.write(t.Context(), put("a")); err != nil {
		t.Fatal(err)
	}
	if !has(t, s, "a") {
		t.Fatal("not there")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(s.dir, fileName+"*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left are %q", left)
	}
}
