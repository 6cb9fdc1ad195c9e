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

// What cannot be kept with its notice is not kept at all.
func TestAcceptKeepsTheNoticeToo(t *testing.T) {
	s, ada := open(t, store.Options{})
	eve := addUser(t, s, "eve@example.test")
	queue := s.WatchQueue()
	defer queue.Close()
	mail := store.Delivery{Sender: eve.Address, Body: text("hello"), Recipients: []store.Recipient{{User: ada.ID}}}
	large := store.Bytes("Subject: large\r\n\r\n" + strings.Repeat("a line of a large message\r\n", 50_000))
	for name, c := range map[string]struct {
		notices []store.Delivery
		want    error
	}{
		"a reader who is gone": {[]store.Delivery{{Body: large, Recipients: []store.Recipient{{User: eve.ID}}}, {Body: large, Recipients: []store.Recipient{{User: 4711}}}}, store.ErrNoSuchUser},
		"no mail at all":       {[]store.Delivery{{Body: large, Recipients: []store.Recipient{{User: eve.ID}}}, {Body: store.Bytes("a\rb")}}, store.ErrNotCanonical},
	} {
		if _, err := s.Accept(t.Context(), mail, c.notices...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if a, e := inbox(t, s, ada).Messages, inbox(t, s, eve).Messages; a+e != 0 {
			t.Errorf("%s: %d mails and %d notices are kept", name, a, e)
		}
	}
	acc, err := s.Accept(t.Context(), mail, store.Delivery{Body: text("delivered"), Recipients: []store.Recipient{{User: eve.ID}, {Remote: "kim@far.test"}}})
	if err != nil || len(acc.Delivered) != 1 || acc.Delivered[0].User != ada.ID || acc.Queued != 0 || acc.Size != mail.Body.Size() {
		t.Errorf("accepted %+v, %v", acc, err)
	}
	q, err := s.Queue(t.Context())
	if err != nil || len(q) != 1 || q[0].Sender != "" || q[0].Blob == acc.Blob || inbox(t, s, ada).Messages != 1 || inbox(t, s, eve).Messages != 1 {
		t.Errorf("queue %+v, %v", q, err)
	}
	select {
	case <-queue.C():
	default:
		t.Error("no hint that the notice is due")
	}
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

// waitFor polls what has no event of its own.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come about in 10 s")
		}
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
	if err := s.RenameMailbox(ctx, ada.ID, "x", "x"); !errors.Is(err, store.ErrMailboxExists) {
		t.Errorf("onto itself: %v", err)
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
