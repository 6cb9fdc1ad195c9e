package store_test

import (
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// BenchmarkAuthenticate is a password check at the cost that users really get:
// of an unknown user, which is never remembered, and of one who has just
// logged in.
func BenchmarkAuthenticate(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	addUser(b, s, "ada@example.test")
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			s.Authenticate(b.Context(), "nobody@example.test", "secret")
		}
	})
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Authenticate(b.Context(), "ada@example.test", "secret"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
