package mailauth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestKeysAreKeptAndRotated(t *testing.T) {
	r := &Keyring{Dir: filepath.Join(t.TempDir(), "dkim")}
	server := &Keyring{Dir: r.Dir} // another program
	if server.Keys("author.test") != nil {
		t.Error("keys before there are any")
	}
	first, err := r.Generate("Author.TEST.", testNow)
	if err != nil || len(first) != 2 {
		t.Fatal(first, err)
	}
	if _, err := r.Generate("author.test", testNow); !errors.Is(err, ErrHasKeys) {
		t.Errorf("generated again: %v", err)
	}
	if err := r.Activate("author.test"); !errors.Is(err, ErrNoKeys) {
		t.Errorf("rotated without keys: %v", err)
	}
	selectors := func(keys []Key) (s []string) {
		for _, k := range keys {
			s = append(s, k.Selector)
		}
		return s
	}
	equal := func(what string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) || got[0] != want[0] && got[0] != want[1] {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	equal("first", selectors(server.Keys("author.test")), "r20261103", "e20261103")
	if _, err := r.Prepare("author.test", testNow); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prepare("author.test", testNow); !errors.Is(err, ErrHasKeys) {
		t.Errorf("prepared again: %v", err)
	}
	// A folder's time may be as coarse as the clock's tick.
	long := testNow.Add(time.Hour)
	equal("prepared", selectors(server.Keys("author.test")), "r20261103", "e20261103")
	if err := r.Activate("author.test"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(r.Dir, "author.test"), long, long); err != nil {
		t.Fatal(err)
	}
	equal("rotated", selectors(server.Keys("author.test")), "r20261103-2", "e20261103-2")
	all, err := r.List("author.test")
	if err != nil || len(all) != 4 || all[0].State != Signing || all[3].State != Old {
		t.Errorf("%+v %v", all, err)
	}
	for _, k := range all {
		info, err := os.Stat(r.path(k.Key, k.State))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
	}
	if d, err := r.Domains(); err != nil || len(d) != 1 || d[0] != "author.test" {
		t.Errorf("%v %v", d, err)
	}
	for _, bad := range []string{"", "../author.test", "a/b.test", ".."} {
		if _, err := r.Generate(bad, testNow); !errors.Is(err, ErrNoDomain) {
			t.Errorf("keys for %q: %v", bad, err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "author.test", "bad.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := r.List("author.test"); err == nil || len(all) != 4 {
		t.Errorf("with a file that is no key: %d %v", len(all), err)
	}
}

func TestPublished(t *testing.T) {
	keys := keysOf("author.test")
	z := zone{}.publish("author.test")
	for _, k := range keys {
		if ok, err := k.Published(t.Context(), z); !ok || err != nil {
			t.Errorf("%s: %v %v", k.Name(), ok, err)
		}
		if ok, err := k.Published(t.Context(), zone{}); ok || err != nil {
			t.Errorf("%s in an empty zone: %v %v", k.Name(), ok, err)
		}
		if _, err := k.Published(t.Context(), zone{k.Name() + " TXT": {"SERVFAIL"}}); err == nil {
			t.Error("no error without DNS")
		}
	}
	other, _ := GenerateKey(Ed25519)
	if ok, _ := (Key{"author.test", keys[1].Selector, other}).Published(t.Context(), z); ok {
		t.Error("another key is published")
	}
}
