package imapd

import (
	"slices"

	"github.com/yubin-mail/yubin/store"
)

// A view is the selected mailbox as its client believes it to be.
//
// A client counts messages: the third line of its list is message 3, and it
// changes that list only when we tell it to. So a view is that very list, and
// nothing enters or leaves it without the client hearing of it in the same
// breath. What really happened is asked of the store, whenever there is time;
// advance then works out what to say.
//
// Notes:
//
//   - uids ascend, so a new message always goes to the end and a sequence
//     number is found by binary search. RFC 9051 §2.3.1.1
//   - A message that is gone keeps its number until EXPUNGE may be said:
//     not while FETCH, STORE or SEARCH answer. RFC 9051 §7.5.1
//   - EXPUNGE goes from the highest number down, so that no line of a batch
//     moves the number in the next.
//   - modseq says up to where the mailbox has been told. What comes twice, or
//     comes late, lies at or below it and is not said again.
type view struct {
	uids     []store.UID                // position + 1 is the sequence number
	gone     map[store.UID]bool         // expunged, but the client still counts them
	modseq   store.ModSeq               // everything up to here has been told
	heard    map[store.UID]store.ModSeq // flags the client knows although they lie beyond modseq
	keywords []string                   // as announced by FLAGS
}

// An announcer puts what advance has to say into words.
type announcer interface {
	expunge(seq uint32) error
	exists(n uint32) error
	fetchFlags(seq uint32, uid store.UID, f store.Flags) error
	flags(keywords []string) error
}

// newView is the view of a client that is being told s by SELECT.
func newView(s store.Snapshot) *view {
	return &view{
		uids:     slices.Clone(s.UIDs),
		gone:     make(map[store.UID]bool),
		modseq:   s.Mailbox.ModSeq,
		heard:    make(map[store.UID]store.ModSeq),
		keywords: slices.Clone(s.Keywords),
	}
}

// advance brings the client up to c. Expunged messages are kept for later
// unless mayExpunge. After an error the client's state is unknown and the
// connection must end.
func (v *view) advance(c store.Changes, mayExpunge bool, w announcer) error {
	for _, uid := range c.Expunged {
		if _, ok := v.seq(uid); ok {
			v.gone[uid] = true
		}
	}
	if mayExpunge {
		if err := v.expunge(w); err != nil {
			return err
		}
	}
	if err := v.learn(c.Keywords, w); err != nil {
		return err
	}
	if err := v.reflag(c.Changed, w); err != nil {
		return err
	}
	if err := v.grow(c.Changed, w); err != nil {
		return err
	}
	v.modseq = max(v.modseq, c.Mailbox.ModSeq)
	for uid, m := range v.heard {
		if m <= v.modseq {
			delete(v.heard, uid)
		}
	}
	return nil
}

// expunge tells of every message that is gone and closes the gaps.
func (v *view) expunge(w announcer) error {
	if len(v.gone) == 0 {
		return nil
	}
	for i := len(v.uids) - 1; i >= 0; i-- {
		if !v.gone[v.uids[i]] {
			continue
		}
		if err := w.expunge(uint32(i + 1)); err != nil {
			return err
		}
	}
	v.uids = slices.DeleteFunc(v.uids, func(u store.UID) bool { return v.gone[u] })
	clear(v.gone)
	return nil
}

// learn announces keywords that the client has not seen yet, before the first
// FETCH that uses them.
func (v *view) learn(keywords []string, w announcer) error {
	known := len(v.keywords)
	for _, k := range keywords {
		if !slices.Contains(v.keywords, k) {
			v.keywords = append(v.keywords, k)
		}
	}
	if len(v.keywords) == known {
		return nil
	}
	return w.flags(v.keywords)
}

// knows reports whether all of keywords have been announced.
func (v *view) knows(keywords []string) bool {
	return !slices.ContainsFunc(keywords, func(k string) bool { return !slices.Contains(v.keywords, k) })
}

// reflag tells the flags of messages that the client counts already.
func (v *view) reflag(changed []store.Message, w announcer) error {
	for i := range changed {
		m := &changed[i]
		seq, ok := v.seq(m.UID)
		if !ok || v.gone[m.UID] || m.ModSeq <= v.modseq || m.ModSeq <= v.heard[m.UID] {
			continue
		}
		if err := w.fetchFlags(seq, m.UID, m.Flags); err != nil {
			return err
		}
	}
	return nil
}

// grow counts in messages that are new. One that would have to go between
// others cannot be told of in IMAP and waits for the next SELECT; the store
// hands UIDs out in the order in which messages become visible (I1, I2).
func (v *view) grow(changed []store.Message, w announcer) error {
	counted := len(v.uids)
	for i := range changed {
		if m := &changed[i]; m.UID > v.last() && m.ModSeq > v.modseq {
			v.uids = append(v.uids, m.UID)
		}
	}
	if len(v.uids) == counted {
		return nil
	}
	return w.exists(uint32(len(v.uids)))
}

// told notes that the client knows m as it is, because it has just been sent
// m's flags.
func (v *view) told(m *store.Message) {
	if m.ModSeq > v.modseq {
		v.heard[m.UID] = m.ModSeq
	}
}

// stored notes that the client has itself changed m with STORE .SILENT and so
// knows its flags. It does not when somebody else has changed the mailbox
// since the view was last brought up to date: then it is better told twice.
func (v *view) stored(m *store.Message) {
	if m.ModSeq == v.modseq+1 {
		v.told(m)
	}
}

// seq is the sequence number of uid.
func (v *view) seq(uid store.UID) (n uint32, ok bool) {
	i, ok := slices.BinarySearch(v.uids, uid)
	return uint32(i + 1), ok
}

// last is the highest UID that the client counts, or 0.
func (v *view) last() store.UID {
	if len(v.uids) == 0 {
		return 0
	}
	return v.uids[len(v.uids)-1]
}

// lost reports whether any of uids is gone, though the client cannot know.
func (v *view) lost(uids []store.UID) bool {
	return len(v.gone) > 0 && slices.ContainsFunc(uids, func(u store.UID) bool { return v.gone[u] })
}
