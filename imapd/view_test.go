package imapd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/store"
)

// said writes down what a view announces.
type said []string

func (s *said) expunge(seq uint32) error { return s.add("* %d EXPUNGE", seq) }
func (s *said) exists(n uint32) error    { return s.add("* %d EXISTS", n) }
func (s *said) flags(k []string) error   { return s.add("* FLAGS (%s)", strings.Join(k, " ")) }

func (s *said) fetchFlags(seq uint32, uid store.UID, f store.Flags) error {
	return s.add("* %d FETCH (UID %d FLAGS %v %v)", seq, uid, f.System, f.Keywords)
}

func (s *said) add(format string, args ...any) error {
	*s = append(*s, fmt.Sprintf(format, args...))
	return nil
}

func viewOf(modseq store.ModSeq, uids ...store.UID) *view {
	return newView(store.Snapshot{Mailbox: store.Mailbox{ModSeq: modseq}, UIDs: uids})
}

func changes(to store.ModSeq, changed []store.Message, expunged ...store.UID) store.Changes {
	return store.Changes{Mailbox: store.Mailbox{ModSeq: to}, Changed: changed, Expunged: expunged}
}

func row(uid store.UID, modseq store.ModSeq, f store.SystemFlags, keywords ...string) store.Message {
	return store.Message{UID: uid, ModSeq: modseq, Flags: store.Flags{System: f, Keywords: keywords}}
}

type messages = []store.Message

func TestAdvance(t *testing.T) {
	with := func(c store.Changes, keywords ...string) store.Changes {
		c.Keywords = keywords
		return c
	}
	for _, test := range []struct {
		name       string
		uids       []store.UID
		changes    store.Changes
		mayExpunge bool
		want       said
		after      []store.UID
	}{
		{"nothing happened", []store.UID{1, 2}, changes(10, nil), true, nil, []store.UID{1, 2}},
		{"arrival", []store.UID{1}, changes(11, messages{row(4, 11, 0)}), false,
			said{"* 2 EXISTS"}, []store.UID{1, 4}},
		{"arrivals are one EXISTS", nil, changes(12, messages{row(1, 11, 0), row(2, 12, 0)}), false,
			said{"* 2 EXISTS"}, []store.UID{1, 2}},
		{"flags", []store.UID{3, 7}, changes(11, messages{row(7, 11, store.Seen)}), false,
			said{"* 2 FETCH (UID 7 FLAGS 1 [])"}, []store.UID{3, 7}},
		{"a keyword is announced before its use", []store.UID{3},
			with(changes(11, messages{row(3, 11, 0, "Work")}), "Work"), false,
			said{"* FLAGS (Work)", "* 1 FETCH (UID 3 FLAGS 0 [Work])"}, []store.UID{3}},
		{"expunged from the top down", []store.UID{1, 2, 3, 4}, changes(11, nil, 1, 2, 4), true,
			said{"* 4 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE"}, []store.UID{3}},
		{"a gone message keeps its number while EXPUNGE may not be said", []store.UID{1, 2, 3},
			changes(12, messages{row(3, 11, store.Seen), row(5, 12, 0)}, 1), false,
			said{"* 3 FETCH (UID 3 FLAGS 1 [])", "* 4 EXISTS"}, []store.UID{1, 2, 3, 5}},
		{"EXPUNGE comes first, so that flags have their new number", []store.UID{1, 2, 3},
			changes(12, messages{row(3, 11, store.Seen), row(5, 12, 0)}, 1), true,
			said{"* 1 EXPUNGE", "* 2 FETCH (UID 3 FLAGS 1 [])", "* 3 EXISTS"}, []store.UID{2, 3, 5}},
		{"came and went unseen", []store.UID{1}, changes(12, nil, 9), true, nil, []store.UID{1}},
		{"told already", []store.UID{1}, changes(10, messages{row(1, 9, store.Seen), row(2, 10, 0)}), true,
			nil, []store.UID{1}},
		{"out of order", []store.UID{1, 5}, changes(11, messages{row(3, 11, 0)}), true, nil, []store.UID{1, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := viewOf(10, test.uids...)
			var got said
			if err := v.advance(test.changes, test.mayExpunge, &got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("said %q, want %q", got, test.want)
			}
			if !slices.Equal(v.uids, test.after) {
				t.Errorf("counts %v, want %v", v.uids, test.after)
			}
			if v.modseq != test.changes.Mailbox.ModSeq {
				t.Errorf("is at %d, want %d", v.modseq, test.changes.Mailbox.ModSeq)
			}
			got = nil
			if v.advance(test.changes, false, &got); len(got) != 0 {
				t.Errorf("said %q again", got)
			}
		})
	}
}

func TestExpungeIsToldLater(t *testing.T) {
	v := viewOf(10, 1, 2, 3)
	var got said
	v.advance(changes(11, nil, 2), false, &got)
	v.advance(changes(12, messages{row(2, 9, 0)}, 2), false, &got)
	if len(got) != 0 {
		t.Fatalf("said %q", got)
	}
	if !v.lost([]store.UID{1, 2}) || v.lost([]store.UID{1, 3}) {
		t.Error("does not know what is gone")
	}
	v.advance(changes(12, nil), true, &got)
	if want := (said{"* 2 EXPUNGE"}); !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// A stale answer, read before others that came first, must not bring back a
// message whose EXPUNGE has been told, not even the last one.
func TestStaleChanges(t *testing.T) {
	v := viewOf(10, 1, 2)
	stale := changes(11, messages{row(2, 11, store.Seen)})
	var got said
	v.advance(changes(12, nil, 2), true, &got)
	got = nil
	v.advance(stale, true, &got)
	if len(got) != 0 || !slices.Equal(v.uids, []store.UID{1}) {
		t.Errorf("said %q, counts %v", got, v.uids)
	}
}

func TestOwnChangesAreNotTold(t *testing.T) {
	mine, theirs := row(1, 11, store.Seen), row(1, 12, store.Seen|store.Flagged)
	t.Run("silent", func(t *testing.T) {
		v := viewOf(10, 1)
		v.stored(&mine)
		var got said
		v.advance(changes(11, messages{mine}), false, &got)
		if len(got) != 0 {
			t.Errorf("said %q", got)
		}
	})
	t.Run("silent, but somebody came between", func(t *testing.T) {
		v := viewOf(9, 1)
		v.stored(&mine)
		var got said
		v.advance(changes(11, messages{mine}), false, &got)
		if len(got) != 1 {
			t.Errorf("said %q", got)
		}
	})
	t.Run("changed again by somebody else", func(t *testing.T) {
		v := viewOf(10, 1)
		v.told(&mine)
		var got said
		v.advance(changes(12, messages{theirs}), false, &got)
		if len(got) != 1 {
			t.Errorf("said %q", got)
		}
	})
	t.Run("forgotten once passed", func(t *testing.T) {
		v := viewOf(10, 1)
		v.told(&mine)
		v.advance(changes(11, messages{mine}), false, &said{})
		if len(v.heard) != 0 {
			t.Errorf("keeps %v", v.heard)
		}
	})
}

func TestPick(t *testing.T) {
	uids := func(u ...store.UID) []store.UID { return u }
	for _, test := range []struct {
		uids []store.UID
		set  imap.NumSet
		want []store.UID
		bad  bool
	}{
		{uids(3, 5, 9), imap.SeqSet{{Start: 1, Stop: 2}}, uids(3, 5), false},
		{uids(3, 5, 9), imap.SeqSet{{Start: 1, Stop: 0}}, uids(3, 5, 9), false},
		{uids(3, 5, 9), imap.SeqSet{{Start: 0, Stop: 0}}, uids(9), false},
		{uids(3, 5, 9), imap.SeqSet{{Start: 7, Stop: 0}}, uids(9), false},
		{uids(3, 5, 9), imap.SeqSet{{Start: 3, Stop: 3}, {Start: 0, Stop: 0}}, uids(9), false},
		{uids(3, 5, 9), imap.SeqSet{{Start: 4, Stop: 4}}, nil, true},
		{nil, imap.SeqSet{{Start: 1, Stop: 0}}, nil, false},
		{nil, imap.SeqSet{{Start: 1, Stop: 1}}, nil, true},
		{uids(3, 5, 9), imap.UIDSet{{Start: 4, Stop: 9}}, uids(5, 9), false},
		{uids(3, 5, 9), imap.UIDSet{{Start: 1, Stop: 2}}, nil, false},
		{uids(3, 5, 9), imap.UIDSet{{Start: 100, Stop: 0}}, uids(9), false},
		{uids(3, 5, 9), imap.UIDSet{{Start: 3, Stop: 3}, {Start: 0, Stop: 0}}, uids(3, 9), false},
		{uids(3, 5, 9), imap.UIDSet{{Start: 1, Stop: 4294967295}}, uids(3, 5, 9), false},
		{nil, imap.UIDSet{{Start: 0, Stop: 0}}, nil, false},
		{uids(3, 5, 9), imap.SearchRes(), uids(5), false},
	} {
		v := viewOf(1, test.uids...)
		got, err := v.pick(test.set, uids(5, 6))
		if (err != nil) != test.bad || !slices.Equal(got, test.want) {
			t.Errorf("%v of %v: %v, %v; want %v", test.set, test.uids, got, err, test.want)
		}
	}
}
