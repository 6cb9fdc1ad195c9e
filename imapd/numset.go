package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/store"
)

// errBadSequence answers a sequence number beyond the last message.
// RFC 9051 §9: seq-number
var errBadSequence = bad("No message with that sequence number")

// pick resolves what a command names, sequence numbers, UIDs or "$", into
// UIDs, ascending and each once. UIDs that the client does not count are left
// out, as RFC 9051 §6.4.9 wants; such sequence numbers are an error. The
// result does not change when v does.
func (v *view) pick(set imap.NumSet, saved []store.UID) ([]store.UID, error) {
	if imap.IsSearchRes(set) { // RFC 5182 §2.1
		return slices.DeleteFunc(slices.Clone(saved), func(u store.UID) bool {
			_, ok := v.seq(u)
			return !ok
		}), nil
	}
	switch set := set.(type) {
	case imap.SeqSet:
		return v.pickSeqs(set)
	case imap.UIDSet:
		return v.pickUIDs(set), nil
	}
	return nil, bad("Unknown kind of message set")
}

func (v *view) pickSeqs(set imap.SeqSet) ([]store.UID, error) {
	n := uint32(len(v.uids))
	var uids []store.UID
	for _, r := range set {
		start, stop := r.Start, r.Stop
		switch {
		case stop == 0 && n == 0: // "1:*" is what clients ask of an empty mailbox
			continue
		case stop == 0:
			start, stop = starred(start, n)
		}
		if start < 1 || stop > n {
			return nil, errBadSequence
		}
		uids = append(uids, v.uids[start-1:stop]...)
	}
	return ascending(uids), nil
}

func (v *view) pickUIDs(set imap.UIDSet) []store.UID {
	var uids []store.UID
	for _, r := range set {
		start, stop := uint32(r.Start), uint32(r.Stop)
		if stop == 0 {
			start, stop = starred(start, uint32(v.last()))
		}
		i, _ := slices.BinarySearch(v.uids, store.UID(start))
		j, found := slices.BinarySearch(v.uids, store.UID(stop))
		if found {
			j++
		}
		if i < j {
			uids = append(uids, v.uids[i:j]...)
		}
	}
	return ascending(uids)
}

// starred resolves "*", for which the library writes 0, and "n:*". The range
// may run backwards: with 3 messages "5:*" is 3, the last one.
// RFC 9051 §9: seq-range
func starred(start, last uint32) (uint32, uint32) {
	if start == 0 || start > last {
		start = last
	}
	return start, last
}

// ascending sorts uids, which almost always are, and drops doubles.
func ascending(uids []store.UID) []store.UID {
	if !slices.IsSorted(uids) {
		slices.Sort(uids)
	}
	return slices.Compact(uids)
}

// ranges writes UIDs, ascending, as the fewest ranges.
func ranges(uids []store.UID) imap.UIDSet {
	var set imap.UIDSet
	for _, u := range uids {
		uid := imap.UID(u)
		if n := len(set); n > 0 && set[n-1].Stop+1 == uid {
			set[n-1].Stop = uid
			continue
		}
		set = append(set, imap.UIDRange{Start: uid, Stop: uid})
	}
	return set
}

// seqRanges is ranges for sequence numbers.
func seqRanges(seqs []uint32) imap.SeqSet {
	var set imap.SeqSet
	for _, s := range seqs {
		if n := len(set); n > 0 && set[n-1].Stop+1 == s {
			set[n-1].Stop = s
			continue
		}
		set = append(set, imap.SeqRange{Start: s, Stop: s})
	}
	return set
}
