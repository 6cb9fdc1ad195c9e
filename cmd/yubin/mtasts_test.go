package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/pki"
)

func TestAuthorities(t *testing.T) {
	dir := t.TempDir()
	if err := pki.Issue(dir, time.Now(), []string{"mail.beta.test"}); err != nil {
		t.Fatal(err)
	}
	s := settings{RelayAuthorities: []string{filepath.Join(dir, "ca.pem")}}
	if pool, err := s.authorities(); err != nil || pool == nil {
		t.Errorf("%v, %v", pool, err)
	}
	s.RelayAuthorities = append(s.RelayAuthorities, filepath.Join(dir, "nowhere.pem"))
	if _, err := s.authorities(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "relay.authorities") {
		t.Error(err)
	}
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.RelayAuthorities = []string{empty}
	if _, err := s.authorities(); err == nil {
		t.Error("a file without certificates was taken")
	}
}
