package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestAuthenticate(t *testing.T) {
	dir := t.TempDir()
	s, ada := open(t, store.Options{Dir: dir})
	ctx := t.Context()
	for _, name := range []string{"ada@example.test", "ADA@Example.Test", "ada"} {
		for range 2 { // the second is answered from memory
			if u, err := s.Authenticate(ctx, name, "secret"); err != nil || u.ID != ada.ID {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, c := range [][2]string{{"ada@example.test", "Secret"}, {"ada@example.test", ""}, {"bob@example.test", "secret"}, {"", ""}, {"ada@example.test", strings.Repeat("x", 1<<20)}} {
		if _, err := s.Authenticate(ctx, c[0], c[1]); !errors.Is(err, store.ErrBadCredentials) {
			t.Errorf("%q: %v", c[0], err)
		}
	}
	fake, err := s.Credential(ctx, "nobody@example.test")
	if err != nil || fake.User != 0 || len(fake.Salt) != 16 {
		t.Fatalf("%+v %v", fake, err)
	}
	g1, err := s.Generation(ctx, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	s.UpdateUser(ctx, ada.ID, store.UserChange{Suspended: &yes})
	if _, err := s.Authenticate(ctx, "ada", "secret"); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("suspended: %v", err)
	}
	if _, err := s.Generation(ctx, ada.ID); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("generation while suspended: %v", err)
	}
	next := "changed"
	s.UpdateUser(ctx, ada.ID, store.UserChange{Suspended: &no, Password: &next})
	if _, err := s.Authenticate(ctx, "ada", "secret"); !errors.Is(err, store.ErrBadCredentials) {
		t.Errorf("old password: %v", err)
	}
	if _, err := s.Authenticate(ctx, "ada", "changed"); err != nil {
		t.Errorf("new password: %v", err)
	}
	if g2, _ := s.Generation(ctx, ada.ID); g2 <= g1 {
		t.Errorf("generation %d after %d", g2, g1)
	}
	s.Close()
	s, _ = open(t, store.Options{Dir: dir})
	if again, _ := s.Credential(ctx, "nobody@example.test"); string(again.Salt) != string(fake.Salt) {
		t.Error("an unknown user's salt changed with a restart")
	}
}

func TestResolve(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	eve := addUser(t, s, "eve@example.test")
	for _, a := range [][2]string{{"team@example.test", "ada@example.test"}, {"team@example.test", "eve@example.test"}, {"team@example.test", "out@elsewhere.test"},
		{"ring@example.test", "gnir@example.test"}, {"gnir@example.test", "ring@example.test"}, {"gnir@example.test", "team@example.test"}} {
		if err := s.AddAlias(ctx, a[0], a[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		user store.UserID
		want string
	}{{ada.ID, "ada@example.test team@example.test gnir@example.test ring@example.test"}, {eve.ID, "eve@example.test team@example.test gnir@example.test ring@example.test"}} {
		all, err := s.Senders(ctx, c.user)
		if err != nil || strings.Join(all, " ") != c.want {
			t.Errorf("senders are %v, %v", all, err)
		}
		for _, a := range all {
			if may, err := s.MaySend(ctx, c.user, a); err != nil || !may {
				t.Errorf("%s is offered and then refused: %v", a, err)
			}
		}
	}
	users := func(to []store.Recipient) (ids []store.UserID, remote []string) {
		for _, r := range to {
			if r.User == 0 {
				remote = append(remote, r.Remote)
			} else {
				ids = append(ids, r.User)
			}
		}
		return ids, remote
	}
	for _, c := range []struct {
		address string
		want    []store.UserID
		remote  int
		err     error
	}{
		{"ada@example.test", []store.UserID{ada.ID}, 0, nil},
		{"Ada+Lists+x@EXAMPLE.test.", []store.UserID{ada.ID}, 0, nil},
		{`"ada"@example.test`, []store.UserID{ada.ID}, 0, nil},
		{"team@example.test", []store.UserID{ada.ID, eve.ID}, 1, nil},
		{"team+x@example.test", []store.UserID{ada.ID, eve.ID}, 1, nil},
		{"ring@example.test", []store.UserID{ada.ID, eve.ID}, 1, nil},
		{"postmaster@example.test", []store.UserID{ada.ID}, 0, nil},
		{"Postmaster", []store.UserID{ada.ID}, 0, nil},
		{"nobody@example.test", nil, 0, store.ErrNoSuchUser},
		{"victim%elsewhere.test@example.test", nil, 0, store.ErrNoSuchUser},
		{`"victim@elsewhere.test"@example.test`, nil, 0, store.ErrNoSuchUser},
		{"elsewhere.test!victim@example.test", nil, 0, store.ErrNoSuchUser},
		{"victim@elsewhere.test", nil, 0, store.ErrNotLocal},
		{"victim@[192.0.2.1]", nil, 0, store.ErrNotLocal},
		{"@example.test", nil, 0, store.ErrBadAddress},
		{"a@b@example.test", nil, 0, store.ErrBadAddress},
		{"a b@example.test", nil, 0, store.ErrBadAddress},
		{"ada@", nil, 0, store.ErrBadAddress},
		{strings.Repeat("a", 65) + "@example.test", nil, 0, store.ErrBadAddress},
	} {
		to, err := s.Resolve(ctx, c.address)
		ids, remote := users(to)
		if !errors.Is(err, c.err) || !slices.Equal(ids, c.want) || len(remote) != c.remote {
			t.Errorf("%s: users %v remote %v, %v", c.address, ids, remote, err)
		}
	}
	if err := s.SetCatchAll(ctx, "example.test", "eve@example.test"); err != nil {
		t.Fatal(err)
	}
	if to, err := s.Resolve(ctx, "nobody@example.test"); err != nil || to[0].User != eve.ID {
		t.Errorf("catch-all: %v %v", to, err)
	}
	if err := s.SetCatchAll(ctx, "example.test", "out@elsewhere.test"); err != nil {
		t.Fatal(err)
	}
	if to, err := s.Resolve(ctx, "nobody@example.test"); err != nil || len(to) != 1 || to[0].Remote != "out@elsewhere.test" {
		t.Errorf("catch-all elsewhere: %v %v", to, err)
	}
	if err := s.SetCatchAll(ctx, "example.test", "dead@example.test"); err != nil {
		t.Fatal(err)
	}
	if to, err := s.Resolve(ctx, "postmaster@example.test"); err != nil || to[0].User != ada.ID {
		t.Errorf("postmaster beside a dead catch-all: %v %v", to, err)
	}
	for address, want := range map[string]bool{"ada@example.test": true, "ada+x@example.test": true, "team@example.test": true,
		"eve@example.test": false, "nobody@example.test": false, "ada@elsewhere.test": false, "": false} {
		if ok, err := s.MaySend(ctx, ada.ID, address); ok != want || err != nil {
			t.Errorf("ada may send as %q: %v, %v", address, ok, err)
		}
	}
}

// As far as aliases are followed, senders are offered, and no further.
func TestSendersReachAsFarAsAliases(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	to := ada.Address
	for i := range 12 {
		alias := fmt.Sprintf("alias%d@example.test", i)
		if err := s.AddAlias(ctx, alias, to); err != nil {
			t.Fatal(err)
		}
		to = alias
	}
	all, err := s.Senders(ctx, ada.ID)
	if err != nil || len(all) != 11 {
		t.Errorf("senders are %v, %v", all, err)
	}
	for _, a := range all {
		if may, err := s.MaySend(ctx, ada.ID, a); err != nil || !may {
			t.Errorf("%s is offered and then refused: %v", a, err)
		}
	}
}

func TestQuota(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	quota := int64(300)
	s.UpdateUser(ctx, ada.ID, store.UserChange{Quota: &quota})
	if err := s.RoomFor(ctx, ada.ID, 200); err != nil {
		t.Error(err)
	}
	if err := s.RoomFor(ctx, ada.ID, 301); !errors.Is(err, store.ErrOverQuota) {
		t.Error(err)
	}
	long := text(strings.Repeat("long", 50))
	deliver(t, s, long, ada) // whoever was accepted at RCPT gets the mail
	if err := s.RoomFor(ctx, ada.ID, 0); !errors.Is(err, store.ErrOverQuota) {
		t.Error(err)
	}
	in := inbox(t, s, ada)
	if _, _, err := s.Append(ctx, in.ID, []store.Appended{{Body: text("x")}}); !errors.Is(err, store.ErrOverQuota) {
		t.Error(err)
	}
	if u, _ := s.User(ctx, ada.ID); u.Used != long.Size() {
		t.Errorf("used %d", u.Used)
	}
}

func TestPOP3PoliciesAsText(t *testing.T) {
	for _, text := range []string{"delete", "keep", "trash", "keep-days:1", "keep-days:36500"} {
		p, err := store.ParsePOP3Policy(text)
		if err != nil || p.String() != text {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "Keep", "keep:3", "delete:", "keep-days", "keep-days:", "keep-days:0", "keep-days:-1", "keep-days:07", "keep-days:36501", "keep-days:x", "burn"} {
		if p, err := store.ParsePOP3Policy(text); err == nil {
			t.Errorf("%q is taken for %v", text, p)
		}
	}
}
