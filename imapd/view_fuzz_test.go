package imapd

import (
	"fmt"
	"slices"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// A modelClient keeps its list of messages by nothing but what it is told.
type modelClient struct {
	tb         testing.TB
	list       []modelMessage
	keywords   []string
	mayExpunge bool
}

type modelMessage struct {
	uid   store.UID // 0: not known yet
	flags *store.Flags
}

func (c *modelClient) expunge(seq uint32) error {
	if !c.mayExpunge {
		c.tb.Fatalf("EXPUNGE %d where it is forbidden", seq)
	}
	if seq < 1 || int(seq) > len(c.list) {
		c.tb.Fatalf("EXPUNGE %d of %d", seq, len(c.list))
	}
	c.list = slices.Delete(c.list, int(seq-1), int(seq))
	return nil
}

func (c *modelClient) exists(n uint32) error {
	if int(n) <= len(c.list) {
		c.tb.Fatalf("EXISTS %d after %d", n, len(c.list))
	}
	for len(c.list) < int(n) {
		c.list = append(c.list, modelMessage{})
	}
	return nil
}

func (c *modelClient) fetchFlags(seq uint32, uid store.UID, f store.Flags) error {
	if seq < 1 || int(seq) > len(c.list) {
		c.tb.Fatalf("FETCH %d of %d", seq, len(c.list))
	}
	m := &c.list[seq-1]
	if m.uid != 0 && m.uid != uid {
		c.tb.Fatalf("message %d was UID %d and is UID %d", seq, m.uid, uid)
	}
	for _, k := range f.Keywords {
		if !slices.Contains(c.keywords, k) {
			c.tb.Fatalf("keyword %q was not announced", k)
		}
	}
	m.uid, m.flags = uid, &f
	return nil
}

func (c *modelClient) flags(keywords []string) error {
	for _, k := range c.keywords {
		if !slices.Contains(keywords, k) {
			c.tb.Fatalf("keyword %q was taken back", k)
		}
	}
	c.keywords = slices.Clone(keywords)
	return nil
}

// A modelMailbox is the truth, as the store would tell it.
type modelMailbox struct {
	next       store.UID
	modseq     store.ModSeq
	messages   []store.Message
	tombstones []store.Message // their UID and ModSeq
	keywords   []string
}

func (b *modelMailbox) deliver() {
	b.next++
	b.modseq++
	b.messages = append(b.messages, store.Message{UID: b.next, ModSeq: b.modseq})
}

func (b *modelMailbox) expunge(i int) {
	if len(b.messages) == 0 {
		return
	}
	i %= len(b.messages)
	b.modseq++
	b.tombstones = append(b.tombstones, store.Message{UID: b.messages[i].UID, ModSeq: b.modseq})
	b.messages = slices.Delete(b.messages, i, i+1)
}

// flag gives a message other flags, now and then with a keyword, and returns
// it as it is then.
func (b *modelMailbox) flag(i int, bits byte) (store.Message, bool) {
	if len(b.messages) == 0 {
		return store.Message{}, false
	}
	m := &b.messages[i%len(b.messages)]
	f := store.Flags{System: store.SystemFlags(bits & 31)}
	if bits&32 != 0 {
		k := fmt.Sprintf("k%d", bits>>6)
		if !slices.Contains(b.keywords, k) {
			b.keywords = append(b.keywords, k)
		}
		f.Keywords = []string{k}
	}
	if !m.Flags.Equal(f) {
		b.modseq++
		m.Flags, m.ModSeq = f, b.modseq
	}
	return *m, true
}

func (b *modelMailbox) changes(since store.ModSeq) store.Changes {
	c := store.Changes{Mailbox: store.Mailbox{ModSeq: b.modseq}, Keywords: slices.Clone(b.keywords)}
	for _, m := range b.messages {
		if m.ModSeq > since {
			c.Changed = append(c.Changed, m)
		}
	}
	for _, m := range b.tombstones {
		if m.ModSeq > since {
			c.Expunged = append(c.Expunged, m.UID)
		}
	}
	slices.Sort(c.Expunged)
	return c
}

// FuzzView lets a mailbox change in every order, with hints that are lost,
// doubled, early or late, and compares what a client was told with the truth.
func FuzzView(f *testing.F) {
	f.Add([]byte("deliver and look"))
	f.Add([]byte{0, 0, 0, 4, 0, 2, 1, 5, 0, 4, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 4, 1, 2, 0, 1, 33, 4, 0, 2, 1, 4, 0, 0, 0, 4, 1})
	f.Add([]byte{0, 0, 4, 1, 6, 0, 2, 0, 4, 1, 7, 0})
	f.Add([]byte{0, 0, 4, 1, 3, 0, 1, 7, 5, 9, 63, 4, 0, 8, 1, 4, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 600)]
		box := &modelMailbox{}
		for range 3 {
			box.deliver()
		}
		v := newView(store.Snapshot{Mailbox: store.Mailbox{ModSeq: box.modseq}, UIDs: []store.UID{1, 2, 3}})
		client := &modelClient{tb: t, list: []modelMessage{{uid: 1}, {uid: 2}, {uid: 3}}}
		late := box.changes(0)

		next := func() (b byte) {
			if len(script) > 0 {
				b, script = script[0], script[1:]
			}
			return b
		}
		advance := func(c store.Changes, mayExpunge bool) {
			client.mayExpunge = mayExpunge
			if err := v.advance(c, mayExpunge, client); err != nil {
				t.Fatal(err)
			}
			check(t, v, client)
		}
		for len(script) > 0 {
			switch next() % 10 {
			case 0, 1:
				box.deliver()
			case 2:
				box.expunge(int(next()))
			case 3:
				box.flag(int(next()), next())
			case 4:
				advance(box.changes(v.modseq), next()&1 != 0)
			case 5: // heard twice
				c := box.changes(v.modseq)
				advance(c, false)
				advance(c, next()&1 != 0)
			case 6: // kept, to be heard late
				late = box.changes(v.modseq)
			case 7:
				advance(late, next()&1 != 0)
			case 8: // STORE .SILENT by this client
				advance(box.changes(v.modseq), false)
				if next()&1 != 0 { // somebody else is faster
					box.flag(int(next()), next())
				}
				if m, ok := box.flag(int(next()), next()); ok {
					v.stored(&m)
					client.knows(v, m)
				}
			case 9: // FETCH FLAGS, or STORE
				if m, ok := box.flag(int(next()), next()); ok {
					client.mayExpunge = false
					v.learn(box.keywords, client)
					if seq, ok := v.seq(m.UID); ok {
						client.fetchFlags(seq, m.UID, m.Flags)
						v.told(&m)
					}
				}
			}
		}
		advance(box.changes(v.modseq), true)
		compare(t, box, v, client)
	})
}

// knows is what a client makes of its own STORE .SILENT: it takes for granted
// the flags it has set. It does not ask the server whether that was right.
func (c *modelClient) knows(v *view, m store.Message) {
	if seq, ok := v.seq(m.UID); ok {
		c.list[seq-1].flags = &m.Flags
	}
}

// check holds after every step.
func check(t *testing.T, v *view, c *modelClient) {
	t.Helper()
	if len(v.uids) != len(c.list) {
		t.Fatalf("the view counts %d, the client %d", len(v.uids), len(c.list))
	}
	for i, m := range c.list {
		if m.uid != 0 && m.uid != v.uids[i] {
			t.Fatalf("message %d is UID %d for the client and %d for us", i+1, m.uid, v.uids[i])
		}
		c.list[i].uid = v.uids[i]
	}
	for uid := range v.gone {
		if _, ok := v.seq(uid); !ok {
			t.Fatalf("UID %d is kept as gone and not counted", uid)
		}
	}
}

// compare holds when all has been told.
func compare(t *testing.T, box *modelMailbox, v *view, c *modelClient) {
	t.Helper()
	if len(v.gone) > 0 || len(v.heard) > 0 {
		t.Fatalf("left over: %v %v", v.gone, v.heard)
	}
	if len(c.list) != len(box.messages) {
		t.Fatalf("the client counts %d, the mailbox has %d", len(c.list), len(box.messages))
	}
	for i, m := range box.messages {
		got := c.list[i]
		if got.uid != m.UID {
			t.Fatalf("message %d is UID %d for the client and %d in the mailbox", i+1, got.uid, m.UID)
		}
		if got.flags != nil && !got.flags.Equal(m.Flags) {
			t.Fatalf("message %d has flags %v for the client and %v in the mailbox", i+1, *got.flags, m.Flags)
		}
	}
}
