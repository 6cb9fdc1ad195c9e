package store_test

import (
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestJunkHasItsOwnMailbox(t *testing.T) {
	s, ada := open(t, store.Options{})
	bob := addUser(t, s, "bob@example.test")
	junk, err := s.Mailbox(t.Context(), ada.ID, "Junk")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RenameMailbox(t.Context(), ada.ID, "Junk", "Unwanted"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMailbox(t.Context(), bob.ID, "Junk"); err != nil {
		t.Fatal(err)
	}
	acc, err := s.Accept(t.Context(), store.Delivery{Junk: true, Body: text("junk"), Recipients: []store.Recipient{{User: ada.ID}, {User: bob.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[store.UserID]store.MailboxID{ada.ID: junk.ID, bob.ID: inbox(t, s, bob).ID}
	for _, d := range acc.Delivered {
		if d.Mailbox != want[d.User] {
			t.Errorf("user %d got it in mailbox %d, want %d", d.User, d.Mailbox, want[d.User])
		}
	}
	if n := len(uidsOf(t, s, inbox(t, s, ada).ID)); n != 0 {
		t.Errorf("%d messages in INBOX", n)
	}
	if acc := deliver(t, s, text("mail"), ada); acc.Delivered[0].Mailbox != inbox(t, s, ada).ID {
		t.Error("other mail is not in INBOX")
	}
}
