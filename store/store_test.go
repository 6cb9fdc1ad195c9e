package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// open opens a store in a temporary folder with one user, ada@example.test.
func open(t testing.TB, o store.Options) (*store.Store, store.User) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Iterations = 4096 // the least RFC 7677 §4 allows; tests hash a lot
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	u, err := s.UserByAddress(t.Context(), "ada@example.test")
	if errors.Is(err, store.ErrNoSuchUser) {
		u = addUser(t, s, "ada@example.test")
	} else if err != nil {
		t.Fatal(err)
	}
	return s, u
}

func addUser(t testing.TB, s *store.Store, address string) store.User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), store.NewUser{Address: address, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func text(subject string) store.Bytes {
	return store.Bytes("From: bob@example.org\r\nTo: ada@example.test\r\nSubject: " + subject + "\r\nDate: Mon, 23 Nov 2026 10:00:00 +0900\r\n\r\nHello " + subject + ".\r\n")
}

func deliver(t testing.TB, s *store.Store, body store.Source, to ...store.User) store.Accepted {
	t.Helper()
	d := store.Delivery{Sender: "bob@example.org", Body: body}
	for _, u := range to {
		d.Recipients = append(d.Recipients, store.Recipient{User: u.ID})
	}
	acc, err := s.Accept(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return acc
}

func inbox(t testing.TB, s *store.Store, u store.User) store.Mailbox { return box(t, s, u, "INBOX") }

func box(t testing.TB, s *store.Store, u store.User, name string) store.Mailbox {
	t.Helper()
	m, err := s.Mailbox(t.Context(), u.ID, name)
	if err != nil {
		t.Fatalf("mailbox %q: %v", name, err)
	}
	return m
}

func uidsOf(t testing.TB, s *store.Store, id store.MailboxID) []store.UID {
	t.Helper()
	sn, err := s.Snapshot(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return sn.UIDs
}

// whole reads a message's bytes back.
func whole(t testing.TB, s *store.Store, id store.BlobID) string {
	t.Helper()
	b, err := s.OpenBody(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	buf := make([]byte, b.Size())
	if _, err := b.ReadAt(buf, 0); err != nil {
		t.Fatal(err)
	}
	return string(buf)
}

func TestAcceptKeepsOneBodyForAllRecipients(t *testing.T) {
	s, ada := open(t, store.Options{})
	eve := addUser(t, s, "eve@example.test")
	w := s.Watch(eve.ID)
	defer w.Close()
	msg := text("hello")
	acc := deliver(t, s, msg, eve, ada, eve)
	if len(acc.Delivered) != 2 || acc.Delivered[0].User != ada.ID || acc.Delivered[1].User != eve.ID {
		t.Fatalf("delivered %+v", acc.Delivered)
	}
	if got := whole(t, s, acc.Blob); got != string(msg) {
		t.Errorf("bytes changed: %q", got)
	}
	select {
	case <-w.C():
	default:
		t.Error("no hint after the commit")
	}
	m := inbox(t, s, eve)
	if m.Messages != 1 || m.Unseen != 1 || m.Size != msg.Size() || m.UIDNext != 2 {
		t.Errorf("mailbox %+v", m)
	}
	var got []*store.Message
	s.Each(t.Context(), m.ID, nil, store.WantEnvelope|store.WantStructure|store.WantHeader, func(m *store.Message) error {
		got = append(got, m)
		return nil
	})
	if len(got) != 1 || got[0].Envelope.Subject != "hello" || got[0].Structure.Subtype != "plain" || !strings.HasSuffix(string(got[0].Header), "\r\n\r\n") {
		t.Errorf("each gave %+v", got)
	}
}

func TestAcceptIsAllOrNothing(t *testing.T) {
	s, ada := open(t, store.Options{})
	before := inbox(t, s, ada)
	_, err := s.Accept(t.Context(), store.Delivery{Body: text("x"), Recipients: []store.Recipient{{User: ada.ID}, {User: 999}}})
	if !errors.Is(err, store.ErrNoSuchUser) {
		t.Fatalf("err = %v", err)
	}
	if after := inbox(t, s, ada); after != before {
		t.Errorf("mailbox changed from %+v to %+v", before, after)
	}
}

func TestNotCanonicalIsRefused(t *testing.T) {
	s, ada := open(t, store.Options{})
	large := strings.Repeat("a line of text\r\n", 1<<17)
	for _, body := range []string{"Subject: x\n\r\n", "a\rb\r\n", "a\x00\r\n", "no end", large + "bare\nlf\r\n"} {
		_, err := s.Accept(t.Context(), store.Delivery{Body: store.Bytes(body), Recipients: []store.Recipient{{User: ada.ID}}})
		if !errors.Is(err, store.ErrNotCanonical) {
			t.Errorf("%d octets: err = %v", len(body), err)
		}
	}
	if n := len(uidsOf(t, s, inbox(t, s, ada).ID)); n != 0 {
		t.Errorf("%d messages kept", n)
	}
}

func TestUIDsAreNeverReused(t *testing.T) {
	dir := t.TempDir()
	s, ada := open(t, store.Options{Dir: dir})
	deliver(t, s, text("1"), ada)
	deliver(t, s, text("2"), ada)
	in := inbox(t, s, ada)
	if gone, err := s.Remove(t.Context(), in.ID, []store.UID{2}); err != nil || !slices.Equal(gone, []store.UID{2}) {
		t.Fatal(gone, err)
	}
	s.Close()
	s, ada = open(t, store.Options{Dir: dir})
	if acc := deliver(t, s, text("3"), ada); acc.Delivered[0].UID != 3 {
		t.Errorf("UID %d after a restart, want 3", acc.Delivered[0].UID)
	}
	if again := inbox(t, s, ada); again.UIDValidity != in.UIDValidity {
		t.Errorf("UIDVALIDITY changed from %d to %d", in.UIDValidity, again.UIDValidity)
	}
}

func TestMailboxMadeAgainHasAnotherUIDValidity(t *testing.T) {
	back := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	now := time.Now()
	s, ada := open(t, store.Options{Now: func() time.Time { return now }})
	first, err := s.CreateMailbox(t.Context(), ada.ID, "a/b", "")
	if err != nil {
		t.Fatal(err)
	}
	box(t, s, ada, "a")
	if err := s.DeleteMailbox(t.Context(), ada.ID, "a"); !errors.Is(err, store.ErrHasChildren) {
		t.Errorf("deleting a parent: %v", err)
	}
	if err := s.DeleteMailbox(t.Context(), ada.ID, "a/b"); err != nil {
		t.Fatal(err)
	}
	now = back // the clock may be set back
	second, err := s.CreateMailbox(t.Context(), ada.ID, "a/b", "")
	if err != nil || second.UIDValidity <= first.UIDValidity || second.ID == first.ID {
		t.Errorf("made again: %+v after %+v, %v", second, first, err)
	}
}

func TestChangesTellEverythingOnce(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	in := inbox(t, s, ada)
	for i := range 4 {
		deliver(t, s, text(fmt.Sprint(i)), ada)
	}
	c, err := s.Changes(ctx, in.ID, in.ModSeq)
	if err != nil || len(c.Changed) != 4 || len(c.Expunged) != 0 {
		t.Fatalf("%+v %v", c, err)
	}
	since := c.Mailbox.ModSeq
	now, err := s.SetFlags(ctx, in.ID, []store.UID{1, 3, 9}, store.AddFlags, store.Flags{System: store.Seen | store.Deleted, Keywords: []string{"Work"}})
	if err != nil || len(now) != 2 {
		t.Fatalf("SetFlags gave %+v, %v", now, err)
	}
	if again, _ := s.SetFlags(ctx, in.ID, []store.UID{1}, store.AddFlags, store.Flags{System: store.Seen, Keywords: []string{"WORK"}}); again[0].ModSeq != now[0].ModSeq {
		t.Error("setting what is set moved the modseq")
	}
	gone, err := s.Expunge(ctx, in.ID, []store.UID{1, 2})
	if err != nil || !slices.Equal(gone, []store.UID{1}) {
		t.Fatalf("expunged %v, %v", gone, err)
	}
	c, err = s.Changes(ctx, in.ID, since)
	if err != nil || len(c.Changed) != 1 || c.Changed[0].UID != 3 || !slices.Equal(c.Expunged, []store.UID{1}) || !slices.Equal(c.Keywords, []string{"Work"}) {
		t.Errorf("changes %+v, %v", c, err)
	}
	if m := c.Mailbox; m.Messages != 3 || m.Unseen != 2 || m.Deleted != 1 {
		t.Errorf("counters %+v", m)
	}
	if c, err = s.Changes(ctx, in.ID, c.Mailbox.ModSeq); err != nil || len(c.Changed)+len(c.Expunged) != 0 {
		t.Errorf("and again: %+v, %v", c, err)
	}
	if err := s.DeleteUser(ctx, ada.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(ctx, in.ID, 0); !errors.Is(err, store.ErrNoSuchMailbox) {
		t.Errorf("changes of a deleted mailbox: %v", err)
	}
}

func TestCopyAndMoveAreAtomic(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	for i := range 3 {
		deliver(t, s, text(fmt.Sprint(i)), ada)
	}
	in, trash := inbox(t, s, ada), box(t, s, ada, "Trash")
	if _, _, err := s.Move(ctx, in.ID, []store.UID{1, 2}, 999); !errors.Is(err, store.ErrNoSuchMailbox) {
		t.Errorf("to nowhere: %v", err)
	}
	pairs, v, err := s.Copy(ctx, in.ID, []store.UID{1, 3, 7}, trash.ID)
	if err != nil || v != trash.UIDValidity || !slices.Equal(pairs, []store.UIDPair{{From: 1, To: 1}, {From: 3, To: 2}}) {
		t.Fatalf("copy %v %v", pairs, err)
	}
	if pairs, _, err = s.Move(ctx, in.ID, []store.UID{1, 2}, trash.ID); err != nil || len(pairs) != 2 {
		t.Fatalf("move %v %v", pairs, err)
	}
	if got := uidsOf(t, s, in.ID); !slices.Equal(got, []store.UID{3}) {
		t.Errorf("left %v", got)
	}
	if got := uidsOf(t, s, trash.ID); !slices.Equal(got, []store.UID{1, 2, 3, 4}) {
		t.Errorf("trash %v", got)
	}
	if pairs, _, err = s.Move(ctx, trash.ID, []store.UID{1}, in.ID); err != nil || !slices.Equal(pairs, []store.UIDPair{{From: 1, To: 4}}) {
		t.Errorf("back %v %v", pairs, err)
	}
}

func TestBodyOutlivesItsMessageWhileOpen(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	acc := deliver(t, s, text("kept"), ada)
	b, err := s.OpenBody(t.Context(), acc.Blob)
	if err != nil {
		t.Fatal(err)
	}
	in := inbox(t, s, ada)
	s.Remove(t.Context(), in.ID, []store.UID{1})
	if _, err := b.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("reading an open body of an expunged message: %v", err)
	}
	b.Close()
	waitFor(t, func() bool {
		b, err := s.OpenBody(t.Context(), acc.Blob)
		if err == nil {
			b.Close()
		}
		return errors.Is(err, store.ErrExpunged)
	})
}

// Losing one of its copies must not make a body unreadable through another,
// not even while the collector looks at it.
func TestBodyStaysReadableThroughItsOtherCopies(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	in := inbox(t, s, ada)
	acc := deliver(t, s, text("copied"), ada)
	for range 200 {
		pairs, _, err := s.Copy(t.Context(), in.ID, []store.UID{1}, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Remove(t.Context(), in.ID, []store.UID{pairs[0].To}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			b, err := s.OpenBody(t.Context(), acc.Blob)
			if err != nil {
				t.Fatal(err)
			}
			b.Close()
		}
	}
}

// waitFor polls what has no event of its own.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come about in 10 s")
		}
	}
}

func TestMaildropIsExclusiveAndFollowsThePolicy(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s, ada := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	for _, c := range []struct {
		policy       store.POP3Policy
		inbox, trash int
	}{
		{store.POP3Policy{Kind: store.POP3Delete}, 1, 0},
		{store.POP3Policy{Kind: store.POP3Keep}, 2, 0},
		{store.POP3Policy{Kind: store.POP3Trash}, 1, 1},
		{store.POP3Policy{Kind: store.POP3KeepDays, Days: 3}, 2, 0},
	} {
		t.Run(string(c.policy.Kind), func(t *testing.T) {
			in, trash := inbox(t, s, ada), box(t, s, ada, "Trash")
			s.Remove(ctx, in.ID, uidsOf(t, s, in.ID))
			s.Remove(ctx, trash.ID, uidsOf(t, s, trash.ID))
			if _, err := s.UpdateUser(ctx, ada.ID, store.UserChange{POP3: &c.policy}); err != nil {
				t.Fatal(err)
			}
			deliver(t, s, text("one"), ada)
			deliver(t, s, text("two"), ada)
			d, err := s.OpenMaildrop(ctx, ada.ID)
			if err != nil || len(d.Messages) != 2 {
				t.Fatal(err)
			}
			if _, err := s.OpenMaildrop(ctx, ada.ID); !errors.Is(err, store.ErrMaildropBusy) {
				t.Errorf("a second one: %v", err)
			}
			if err := d.Update(ctx, []store.UID{d.Messages[1].UID}); err != nil {
				t.Fatal(err)
			}
			d.Close()
			d.Close()
			d, err = s.OpenMaildrop(ctx, ada.ID)
			if err != nil || len(d.Messages) != 1 {
				t.Errorf("after QUIT the maildrop has %d messages, %v", len(d.Messages), err)
			}
			d.Close()
			if a, b := len(uidsOf(t, s, in.ID)), len(uidsOf(t, s, trash.ID)); a != c.inbox || b != c.trash {
				t.Errorf("INBOX has %d, Trash %d; want %d and %d", a, b, c.inbox, c.trash)
			}
			now = now.Add(71 * time.Hour)
			if n, err := s.Retain(ctx); n != 0 || err != nil {
				t.Errorf("retention removed %d too early, %v", n, err)
			}
			now = now.Add(2 * time.Hour)
			n, err := s.Retain(ctx)
			if want := map[bool]int{true: 1}[c.policy.Kind == store.POP3KeepDays]; n != want || err != nil {
				t.Errorf("retention removed %d, want %d; %v", n, want, err)
			}
		})
	}
}

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
	for address, want := range map[string]bool{"ada@example.test": true, "ada+x@example.test": true, "team@example.test": true,
		"eve@example.test": false, "nobody@example.test": false, "ada@elsewhere.test": false, "": false} {
		if ok, err := s.MaySend(ctx, ada.ID, address); ok != want || err != nil {
			t.Errorf("ada may send as %q: %v, %v", address, ok, err)
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

func TestRenameTakesChildrenAlongAndEmptiesInbox(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	s.CreateMailbox(ctx, ada.ID, "a/b/c", "")
	if err := s.RenameMailbox(ctx, ada.ID, "a", "x/y"); err != nil {
		t.Fatal(err)
	}
	box(t, s, ada, "x/y/b/c")
	if err := s.RenameMailbox(ctx, ada.ID, "x", "x/y/z"); !errors.Is(err, store.ErrBadMailboxName) {
		t.Errorf("into itself: %v", err)
	}
	if err := s.RenameMailbox(ctx, ada.ID, "x", "Sent"); !errors.Is(err, store.ErrMailboxExists) {
		t.Errorf("onto another: %v", err)
	}
	deliver(t, s, text("1"), ada)
	if err := s.RenameMailbox(ctx, ada.ID, "inbox", "old"); err != nil {
		t.Fatal(err)
	}
	if inbox(t, s, ada).Messages != 0 || box(t, s, ada, "old").Messages != 1 {
		t.Error("INBOX was not emptied into the new mailbox")
	}
	for _, bad := range []string{"", "/a", "a/", "a//b", "a/../b", ".", "a\r\nb", "\xff", strings.Repeat("x", 2000)} {
		if _, err := s.CreateMailbox(ctx, ada.ID, bad, ""); !errors.Is(err, store.ErrBadMailboxName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOtherProcessIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s, ada := open(t, store.Options{Dir: dir, Server: true})
	w := s.Watch(ada.ID)
	defer w.Close()
	other, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.CreateUser(t.Context(), store.NewUser{Address: "eve@example.test", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.C():
	case <-time.After(10 * time.Second):
		t.Fatal("no hint about another process's change")
	}
	if _, err := s.Authenticate(t.Context(), "eve@example.test", "x"); err != nil {
		t.Error(err)
	}
}

func TestConcurrentAcceptsShareCommits(t *testing.T) {
	s, ada := open(t, store.Options{})
	before := s.Stats()
	const writers, each = 16, 20
	errs := make(chan error)
	for range writers {
		go func() {
			var err error
			for range each {
				_, e := s.Accept(context.Background(), store.Delivery{Body: text("x"), Recipients: []store.Recipient{{User: ada.ID}}})
				err = errors.Join(err, e)
			}
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	after := s.Stats()
	if n := after.Requests - before.Requests; n != writers*each {
		t.Errorf("%d requests", n)
	}
	if c := after.Commits - before.Commits; c >= writers*each {
		t.Errorf("%d commits for %d requests: none was shared", c, writers*each)
	}
	if got := uidsOf(t, s, inbox(t, s, ada).ID); len(got) != writers*each || got[len(got)-1] != writers*each {
		t.Errorf("%d messages, last UID %d", len(got), got[len(got)-1])
	}
}
