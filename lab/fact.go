package lab

import (
	"fmt"
	"strings"
	"time"
)

// Fact is a question about what has happened, asked after a step in each lane
// that took part in it.
type Fact struct {
	Axis Axis // the row of the table it fills, or ""
	Text Words

	// Choices are answers for somebody to guess from before it is measured;
	// which of them is right, only the measurement says.
	Choices []Value

	// measure answers it from what was recorded. An answer without evidence
	// is none: the fact counts as not measured.
	measure func(*stage) (Value, []Ref)
	// lesson is what the scenario teaches about each lane. A fact without
	// one is a mere figure.
	lesson map[Column]check
}

type check func(Value) bool

// ValueKind says how to read a Value.
type ValueKind string

// The kinds of values.
const (
	Count   ValueKind = "count"   // N of Of mails
	Answer  ValueKind = "answer"  // N is 1 for yes, 0 for no; After is how long it took
	Octets  ValueKind = "octets"  // N octets
	Number  ValueKind = "number"  // N of something the fact names
	Places  ValueKind = "places"  // N mails on the device, Of on the server
	Traffic ValueKind = "traffic" // N octets in Of round trips
)

// Value is a measured result.
type Value struct {
	Kind  ValueKind     `json:"kind"`
	N     int64         `json:"n"`
	Of    int64         `json:"of,omitempty"`
	After time.Duration `json:"after_ns,omitempty"`
}

func count(n, of int64) Value { return Value{Kind: Count, N: n, Of: of} }

func yesNo(yes bool) Value {
	v := Value{Kind: Answer}
	if yes {
		v.N = 1
	}
	return v
}

// What lessons ask for.
func is(n, of int64) check    { return func(v Value) bool { return v.N == n && v.Of == of } }
func yes(v Value) bool        { return v.N == 1 }
func no(v Value) bool         { return v.N == 0 }
func some(v Value) bool       { return v.N > 0 }
func none(v Value) bool       { return v.N == 0 }
func under(limit int64) check { return func(v Value) bool { return v.N > 0 && v.N < limit } }
func over(limit int64) check  { return func(v Value) bool { return v.N > limit } }

// Is reports whether two values are the same answer.
func (v Value) Is(o Value) bool { return v.Kind == o.Kind && v.N == o.N && v.Of == o.Of }

// What can be guessed.
var (
	yesOrNo = []Value{yesNo(true), yesNo(false)}
	ofOne   = []Value{count(0, 1), count(1, 1)}
	ofTwo   = []Value{count(0, 2), count(1, 2), count(2, 2)}
)

// everywhere is a lesson that does not depend on the lane.
func everywhere(c check) map[Column]check {
	return map[Column]check{Delete: c, Keep: c, IMAP: c, Web: c, Mixed: c}
}

var (
	wordCount    = Words{"%d of %d", "%[2]d通中%[1]d通"}
	wordYes      = Words{"yes", "はい"}
	wordNo       = Words{"no", "いいえ"}
	wordYesAfter = Words{"yes (%s)", "はい(%s)"}
	wordTraffic  = Words{"%s / %d", "%s / %d回"}
	wordPlaces   = Words{"%d / %d", "%d通 / %d通"}
	wordUnknown  = Words{"not measured", "未測定"}
)

// In writes the value for a person.
func (v Value) In(l Lang) string {
	switch v.Kind {
	case Count:
		return wordCount.In(l, v.N, v.Of)
	case Places:
		return wordPlaces.In(l, v.N, v.Of)
	case Octets:
		return size(v.N)
	case Number:
		return fmt.Sprint(v.N)
	case Traffic:
		return wordTraffic.In(l, size(v.N), v.Of)
	case Answer:
		switch {
		case v.N == 0:
			return wordNo.In(l)
		case v.After > 0:
			return wordYesAfter.In(l, milliseconds(v.After))
		}
		return wordYes.In(l)
	}
	return wordUnknown.In(l)
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// size writes octets as mail programs do.
func size(n int64) string {
	switch {
	case n < 10_000:
		return thousands(n) + " B"
	case n < 1_000_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// What several scenarios measure.

// shown counts the letters that a device's inbox shows.
func shown(who func(*stage) Device) func(*stage) (Value, []Ref) {
	return func(st *stage) (Value, []Ref) {
		g := who(st).base()
		return count(g.count(inInbox), st.delivered), g.shows()
	}
}

// shows is the evidence for what the inbox of a device shows.
func (g *gear) shows() []Ref {
	if refs := g.refs(heardGone); len(refs) > 0 {
		return refs
	}
	refs := g.refs(stat, download)
	if e, ok := g.last(list, ""); ok {
		refs = []Ref{e.ref}
	}
	return refs
}

// unread counts the letters that a device shows as unread.
func unread(who func(*stage) Device) func(*stage) (Value, []Ref) {
	return func(st *stage) (Value, []Ref) {
		g := who(st).base()
		n := g.count(func(e *entry) bool { return e.folder == inbox && !e.seen })
		return count(n, st.delivered), g.shows()
	}
}

// kept counts where the mail is: on the PC, in full, and on the server.
func kept(st *stage) (Value, []Ref) {
	looked, ok := st.looker.last(look, "")
	if !ok {
		return Value{}, nil
	}
	pc := st.pc.base()
	return Value{Kind: Places, N: pc.count(readable), Of: looked.n}, append(st.copies(pc), st.looked(looked)...)
}

// looked is the evidence of a look at the server: where other mail was there
// before, the look at that, too.
func (st *stage) looked(e event) []Ref {
	for _, before := range st.looker.before {
		if before.kind == e.kind && before.n+before.octets > 0 {
			return []Ref{before.ref, e.ref}
		}
	}
	return []Ref{e.ref}
}

// copies are the lines by which what is readable came to a device.
func (st *stage) copies(g *gear) (refs []Ref) {
	for _, e := range g.shelf {
		if readable(e) && e.ref.Conversation > 0 {
			refs = append(refs, e.ref)
		}
	}
	return refs
}

// onServer counts the mails that the server keeps.
func onServer(st *stage) (Value, []Ref) {
	looked, ok := st.looker.last(look, "")
	if !ok {
		return Value{}, nil
	}
	return count(looked.n, st.delivered), st.looked(looked)
}

// space is what the mails occupy on the server.
func space(st *stage) (Value, []Ref) {
	looked, ok := st.looker.last(weigh, "")
	if !ok {
		return Value{}, nil
	}
	return Value{Kind: Octets, N: looked.octets}, st.looked(looked)
}

// traffic is what reading has cost on the wire, all devices together.
func traffic(devices ...func(*stage) Device) func(*stage) (Value, []Ref) {
	return func(st *stage) (Value, []Ref) {
		v, refs := Value{Kind: Traffic}, []Ref(nil)
		for _, who := range devices {
			for _, c := range who(st).base().talks {
				if !c.reads() {
					continue
				}
				s := c.session()
				v.N += s.ClientOctets + s.ServerOctets
				v.Of += s.Trips
				refs = append(refs, c.whole())
			}
		}
		return v, refs
	}
}

func thePC(st *stage) Device    { return st.pc }
func thePhone(st *stage) Device { return st.phone }
func theOther(st *stage) Device { return st.other }

func evidence(refs []Ref) string {
	words := make([]string, len(refs))
	for i, r := range refs {
		words[i] = r.String()
	}
	return strings.Join(words, " ")
}
