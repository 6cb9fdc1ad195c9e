package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestToken(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	s, ada := open(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	bob := addUser(t, s, "bob@example.test")
	ctx := t.Context()
	secret, made, err := s.CreateToken(ctx, ada.ID, "tests", []string{"read", "send"}, now.Add(24*time.Hour))
	if err != nil || !strings.HasPrefix(secret, "yubin_") || len(secret) < 30 {
		t.Fatalf("%q, %v", secret, err)
	}
	u, k, err := s.AuthenticateToken(ctx, secret)
	if err != nil || u.ID != ada.ID || k.ID != made.ID || !k.Has("send") || k.Has("admin") || !k.Used.Equal(now) {
		t.Errorf("%+v, %+v, %v", u, k, err)
	}
	for _, wrong := range []string{"", "yubin_", secret + "x", strings.ToLower(secret), "' OR 1=1 --"} {
		if _, _, err := s.AuthenticateToken(ctx, wrong); !errors.Is(err, store.ErrBadCredentials) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	// The use is noted, but not at each use.
	now = now.Add(time.Minute)
	if _, _, err := s.AuthenticateToken(ctx, secret); err != nil {
		t.Error(err)
	}
	all, err := s.Tokens(ctx, ada.ID)
	if err != nil || len(all) != 1 || !all[0].Used.Equal(now.Add(-time.Minute)) || all[0].Name != "tests" {
		t.Errorf("%+v, %v", all, err)
	}
	// A suspended user has no tokens that work, and gets them back.
	for _, suspended := range []bool{true, false} {
		if _, err := s.UpdateUser(ctx, ada.ID, store.UserChange{Suspended: &suspended}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.AuthenticateToken(ctx, secret); errors.Is(err, store.ErrBadCredentials) != suspended {
			t.Errorf("suspended %v: %v", suspended, err)
		}
	}
	if gone, err := s.RemoveToken(ctx, bob.ID, made.ID); gone || err != nil {
		t.Errorf("somebody else's: %v, %v", gone, err)
	}
	now = now.Add(24 * time.Hour)
	if _, _, err := s.AuthenticateToken(ctx, secret); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("expired: %v", err)
	}
	if all, _ := s.Tokens(ctx, ada.ID); len(all) != 0 {
		t.Errorf("expired ones are listed: %+v", all)
	}
	forEver, made, err := s.CreateToken(ctx, ada.ID, "", nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := s.RemoveToken(ctx, ada.ID, made.ID); !gone || err != nil {
		t.Errorf("own: %v, %v", gone, err)
	}
	if _, _, err := s.AuthenticateToken(ctx, forEver); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("removed: %v", err)
	}
	last, _, err := s.CreateToken(ctx, bob.ID, "", nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteUser(ctx, bob.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AuthenticateToken(ctx, last); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("of a user who is gone: %v", err)
	}
	if _, _, err := s.CreateToken(ctx, bob.ID, "", nil, time.Time{}); !errors.Is(err, store.ErrNoSuchUser) {
		t.Errorf("for a user who is gone: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "yubin.db*"))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte(forEver)) {
			t.Errorf("%s holds a secret, or cannot be read: %v", name, err)
		}
	}
}

func TestTooManyTokens(t *testing.T) {
	s, ada := open(t, store.Options{})
	for range 200 {
		if _, _, err := s.CreateToken(t.Context(), ada.ID, "", nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.CreateToken(t.Context(), ada.ID, "", nil, time.Time{}); !errors.Is(err, store.ErrLimit) {
		t.Error(err)
	}
	if _, _, err := s.CreateToken(t.Context(), ada.ID, strings.Repeat("x", 201), nil, time.Time{}); !errors.Is(err, store.ErrLimit) {
		t.Error(err)
	}
}
