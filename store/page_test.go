package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestLatestPagesFromTheNewest(t *testing.T) {
	s, ada := open(t, store.Options{})
	for i := range 7 {
		deliver(t, s, text(fmt.Sprint("m", i+1)), ada)
	}
	id := inbox(t, s, ada).ID
	if _, err := s.Remove(t.Context(), id, []store.UID{5}); err != nil {
		t.Fatal(err)
	}
	var pages [][]store.UID
	for before := store.UID(0); ; {
		page, err := s.Latest(t.Context(), id, before, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		var uids []store.UID
		for _, l := range page {
			if want := fmt.Sprint("m", l.UID); l.Envelope.Subject != want || l.Preview == "" {
				t.Errorf("UID %d: subject %q, preview %q", l.UID, l.Envelope.Subject, l.Preview)
			}
			uids = append(uids, l.UID)
		}
		pages = append(pages, uids)
		before = uids[len(uids)-1]
	}
	if want := "[[7 6 4] [3 2 1]]"; fmt.Sprint(pages) != want {
		t.Errorf("pages %v, want %s", pages, want)
	}
}

func TestNewestIsInTheOrderOfArrival(t *testing.T) {
	s, ada := open(t, store.Options{})
	for i := range 6 {
		if _, _, err := s.Append(t.Context(), inbox(t, s, ada).ID, []store.Appended{{Received: time.UnixMilli(int64(1000 + i/2)), Body: text(fmt.Sprint("m", i+1))}}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := s.CreateMailbox(t.Context(), ada.ID, "other", "")
	if err != nil {
		t.Fatal(err)
	}
	id := inbox(t, s, ada).ID
	// What is moved away and back has another UID, and its old place.
	for _, m := range [][2]store.MailboxID{{id, other.ID}, {other.ID, id}} {
		uid := store.UID(1)
		if m[0] == id {
			uid = 4
		}
		if _, _, err := s.Move(t.Context(), m[0], []store.UID{uid}, m[1]); err != nil {
			t.Fatal(err)
		}
	}
	var uids []store.UID
	for skip := 0; ; skip += 4 {
		page, err := s.Newest(t.Context(), id, skip, 4)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for i, l := range page {
			uids = append(uids, l.UID)
			if at, err := s.Place(t.Context(), id, l.UID); at != skip+i || err != nil {
				t.Errorf("UID %d is at %d (%v), not %d", l.UID, at, err, skip+i)
			}
		}
	}
	if want := []store.UID{6, 5, 7, 3, 2, 1}; !slices.Equal(uids, want) {
		t.Errorf("got %v, want %v", uids, want)
	}
	if _, err := s.Place(t.Context(), id, 4); !errors.Is(err, store.ErrExpunged) {
		t.Errorf("a message that is gone has a place: %v", err)
	}
}

func TestListSaysWhatHangsOnAMessage(t *testing.T) {
	s, ada := open(t, store.Options{})
	deliver(t, s, text("plain"), ada)
	deliver(t, s, store.Bytes("From: bob@example.org\r\nSubject: Re: plain\r\nReferences: <a@x> <b@x>\r\nIn-Reply-To: <b@x>\r\n"+
		"Content-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\nhi\r\n--z\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--z--\r\n"), ada)
	id := inbox(t, s, ada).ID
	all, err := s.List(t.Context(), id, []store.UID{1, 2, 9})
	if err != nil || len(all) != 2 || all[0].UID != 2 {
		t.Fatalf("list gave %+v, %v", all, err)
	}
	if all[0].Attachments != 1 || !slices.Equal(all[0].References, []string{"a@x", "b@x"}) || all[1].Attachments != 0 || len(all[1].References) != 0 {
		t.Errorf("list gave %+v", all)
	}
	if uids, err := s.WithAttachments(t.Context(), id); err != nil || !slices.Equal(uids, []store.UID{2}) {
		t.Errorf("with attachments: %v, %v", uids, err)
	}
}

func TestPreferencesAreTheUsersOwn(t *testing.T) {
	s, ada := open(t, store.Options{})
	eve := addUser(t, s, "eve@example.test")
	set := func(u store.User, name, value string) {
		t.Helper()
		if err := s.SetPreference(t.Context(), u.ID, name, value); err != nil {
			t.Fatal(err)
		}
	}
	set(ada, "images:b@x", "1")
	set(ada, "images:a@x", "1")
	set(ada, "images:a@x", "2")
	set(ada, "other", "x")
	set(ada, "gone", "x")
	set(ada, "gone", "")
	if v, err := s.Preference(t.Context(), ada.ID, "images:a@x"); v != "2" || err != nil {
		t.Errorf("preference %q, %v", v, err)
	}
	if v, err := s.Preference(t.Context(), eve.ID, "images:a@x"); v != "" || err != nil {
		t.Errorf("another's preference %q, %v", v, err)
	}
	if names, err := s.Preferences(t.Context(), ada.ID, "images:"); err != nil || !slices.Equal(names, []string{"a@x", "b@x"}) {
		t.Errorf("names %v, %v", names, err)
	}
	if err := s.SetPreference(t.Context(), ada.ID, strings.Repeat("x", 2000), "1"); !errors.Is(err, store.ErrLimit) {
		t.Errorf("a long name: %v", err)
	}
	if err := s.SetPreference(t.Context(), 999, "x", "1"); !errors.Is(err, store.ErrNoSuchUser) {
		t.Errorf("an unknown user: %v", err)
	}
	if err := s.DeleteUser(t.Context(), ada.ID); err != nil {
		t.Errorf("a user with preferences cannot be deleted: %v", err)
	}
}
