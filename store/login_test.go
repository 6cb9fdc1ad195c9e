package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestLogin(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	s, ada := open(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	bob := addUser(t, s, "bob@example.test")
	ctx := t.Context()
	begin := func(u store.UserID) (string, store.Login, []store.LoginID) {
		g, err := s.Generation(ctx, u)
		if err != nil {
			t.Fatal(err)
		}
		secret, made, ended, err := s.CreateLogin(ctx, store.Login{User: u, Generation: g, Agent: "browser", Remote: "192.0.2.1", Created: now, Seen: now, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return secret, made, ended
	}
	secret, made, _ := begin(ada.ID)
	if l, err := s.FindLogin(ctx, secret); err != nil || l != made || l.User != ada.ID || l.Agent != "browser" || !l.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, %v", l, err)
	}
	for _, wrong := range []string{"", secret + "x", "' OR 1=1 --"} {
		if _, err := s.FindLogin(ctx, wrong); !errors.Is(err, store.ErrBadCredentials) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	now = now.Add(59 * time.Minute)
	if err := s.NoteLogin(ctx, made.ID, now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(59 * time.Minute)
	if _, err := s.FindLogin(ctx, secret); err != nil {
		t.Errorf("it was used, and is over: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := s.FindLogin(ctx, secret); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("after it has expired: %v", err)
	}

	// The longest unused of too many ends.
	first, oldest, _ := begin(ada.ID)
	var last store.Login
	for range 49 {
		now = now.Add(time.Second)
		_, last, _ = begin(ada.ID)
	}
	others, bobs, _ := begin(bob.ID)
	now = now.Add(time.Second)
	if _, _, ended := begin(ada.ID); len(ended) != 1 || ended[0] != oldest.ID {
		t.Errorf("ended are %v, not %d", ended, oldest.ID)
	}
	if _, err := s.FindLogin(ctx, first); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("one too many: %v", err)
	}
	if all, err := s.Logins(ctx, ada.ID); err != nil || len(all) != 50 || all[1].ID != last.ID {
		t.Errorf("%d logins, %v", len(all), err)
	}
	if err := s.EndLogin(ctx, ada.ID, bobs.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindLogin(ctx, others); err != nil {
		t.Errorf("somebody has ended another's login: %v", err)
	}
	if err := s.EndOtherLogins(ctx, ada.ID, last.ID); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Logins(ctx, ada.ID); err != nil || len(all) != 1 || all[0].ID != last.ID {
		t.Errorf("%+v, %v", all, err)
	}

	// A new password ends them all, and a user who goes takes theirs along.
	password := "new"
	if _, err := s.UpdateUser(ctx, ada.ID, store.UserChange{Password: &password}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountLogins(ctx); err != nil || n != 1 {
		t.Errorf("%d logins, %v", n, err)
	}
	if err := s.DeleteUser(ctx, bob.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindLogin(ctx, others); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("of somebody who is gone: %v", err)
	}
	kept, _, _ := begin(ada.ID)
	s.Close()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) == 0 {
		t.Fatal(err)
	}
	for _, name := range found {
		if b, _ := os.ReadFile(name); bytes.Contains(b, []byte(kept)) || bytes.Contains(b, []byte(others)) {
			t.Errorf("%s has a secret in it", name)
		}
	}
}
