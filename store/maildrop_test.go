package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

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

// An administrator who has mail kept saves that of a session under way too.
func TestMaildropFollowsThePolicyAtItsEnd(t *testing.T) {
	s, ada := open(t, store.Options{})
	deliver(t, s, text("one"), ada)
	d, err := s.OpenMaildrop(t.Context(), ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := s.UpdateUser(t.Context(), ada.ID, store.UserChange{POP3: &store.POP3Policy{Kind: store.POP3Keep}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Update(t.Context(), []store.UID{d.Messages[0].UID}); err != nil {
		t.Fatal(err)
	}
	if left := uidsOf(t, s, inbox(t, s, ada).ID); len(left) != 1 {
		t.Errorf("%v", left)
	}
}
