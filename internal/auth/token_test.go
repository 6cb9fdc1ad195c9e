package auth

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Tokens and passwords are refused by the same count.
func TestLoginToken(t *testing.T) {
	a, s, log := door(t, LimiterConfig{FailuresPerAddress: 3, FailuresPerAccount: 100})
	ada, err := s.UserByAddress(t.Context(), "ada@example.test")
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := s.CreateToken(t.Context(), ada.ID, "test", []string{"read"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	u, token, err := a.LoginToken(t.Context(), here, "api", secret)
	if err != nil || u.ID != ada.ID || !token.Has("read") {
		t.Fatalf("%+v, %+v, %v", u, token, err)
	}
	for _, wrong := range []string{"yubin_guess", strings.Repeat("x", 1<<20)} {
		if _, _, err := a.LoginToken(t.Context(), here, "api", wrong); !errors.Is(err, store.ErrBadCredentials) {
			t.Errorf("%.20q: %v", wrong, err)
		}
	}
	if _, err := a.Login(t.Context(), here, "imap", "ada", "wrong"); !errors.Is(err, store.ErrBadCredentials) {
		t.Error(err)
	}
	if _, _, err := a.LoginToken(t.Context(), here, "api", secret); !errors.Is(err, ErrThrottled) {
		t.Errorf("after three failures: %v", err)
	}
	if _, err := a.Login(t.Context(), here, "imap", "ada", "secret"); !errors.Is(err, ErrThrottled) {
		t.Errorf("by IMAP: %v", err)
	}
	elsewhere := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1}
	if _, _, err := a.LoginToken(t.Context(), elsewhere, "api", secret); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	if strings.Contains(log.String(), "guess") || strings.Contains(log.String(), secret) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}
