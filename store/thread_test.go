package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func TestConversation(t *testing.T) {
	s, ada := open(t, store.Options{})
	eve := addUser(t, s, "eve@example.test")
	ctx := t.Context()
	keep := func(u store.UserID, box, header string) {
		m, err := s.Mailbox(ctx, u, box)
		if err == nil {
			_, _, err = s.Append(ctx, m.ID, []store.Appended{{Body: store.Bytes(strings.ReplaceAll(header+"\n\nx\n", "\n", "\r\n"))}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("l", 300) + "@x"
	keep(ada.ID, "INBOX", "Subject: root\nMessage-ID: <1@x>")
	keep(ada.ID, "Sent", "Subject: answer\nMessage-ID: <2@x>\nReferences: <1@x>\nIn-Reply-To: <1@x>")
	keep(ada.ID, "Archive", "Subject: to the answer\nMessage-ID: <3@x>\nIn-Reply-To: <2@x>") // by a program without References
	keep(ada.ID, "INBOX", "Subject: last\nMessage-ID: <4@x>\nReferences: <2@x> <3@x>")
	keep(ada.ID, "INBOX", "Subject: other\nMessage-ID: <o@x>")
	keep(ada.ID, "INBOX", "Subject: nameless")
	keep(ada.ID, "INBOX", "Subject: long\nMessage-ID: <"+long+">")
	keep(ada.ID, "INBOX", "Subject: to long\nReferences: <"+long+">")
	keep(eve.ID, "INBOX", "Subject: another's\nMessage-ID: <5@x>\nReferences: <1@x>")
	subjects := func(max int, ids ...string) string {
		all, err := s.Conversation(ctx, ada.ID, ids, max)
		if err != nil {
			t.Fatal(err)
		}
		var some []string
		for _, p := range all {
			some = append(some, p.Envelope.Subject)
		}
		slices.Sort(some)
		return strings.Join(some, ", ")
	}
	for _, from := range []string{"1@x", "2@x", "3@x", "4@x"} {
		if got := subjects(100, from); got != "answer, last, root, to the answer" {
			t.Errorf("from %s: %s", from, got)
		}
	}
	if got := subjects(100, long); got != "long, to long" {
		t.Errorf("a long identifier: %s", got)
	}
	if got := subjects(100, "", "unknown@x", "o@x"); got != "other" {
		t.Errorf("a message by itself: %s", got)
	}
	if got := subjects(2, "1@x"); strings.Count(got, ",") != 1 {
		t.Errorf("more than two: %s", got)
	}
}
