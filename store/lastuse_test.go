package store_test

import (
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestLastUse(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	open := func(server bool) *store.Store {
		s, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: 4096, Server: server, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(true)
	u, err := s.CreateUser(t.Context(), store.NewUser{Address: "ada@example.test", Password: "x"})
	if err != nil || u.Last != (store.LastUse{}) {
		t.Fatalf("%+v, %v", u.Last, err)
	}
	s.NoteUse(u.ID, "pop3")
	before := s.Stats().Commits
	for range 1000 { // one write for all of them, when the pause is over or the store closes
		s.NoteUse(u.ID, "imap")
		s.NoteUse(u.ID, "smtp")
		s.NoteUse(u.ID+99, "web")
	}
	if n := s.Stats().Commits - before; n > 1 {
		t.Errorf("%d writes", n)
	}
	if u, err = s.User(t.Context(), u.ID); err != nil || !u.Last.IMAP.Equal(now) {
		t.Errorf("before it is written: %+v, %v", u.Last, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(false)
	defer s.Close()
	s.NoteUse(u.ID, "web") // who only answers writes nothing
	if u, err = s.User(t.Context(), u.ID); err != nil || !u.Last.POP3.Equal(now) || !u.Last.IMAP.Equal(now) || !u.Last.Web.IsZero() {
		t.Errorf("%+v, %v", u.Last, err)
	}
}
