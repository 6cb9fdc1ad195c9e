package mailauth

import (
	"context"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ARC is what became of the chain of those who handed the message on and said
// how it had come to them (RFC 8617).
type ARC struct {
	Value  Value // None, Pass or Fail
	Reason string
	Sets   []ARCSet // from the first to the last, of a chain that is whole
	// OldestPass is the instance of the oldest set, of a chain that passes,
	// since which nobody has changed the message; 0 is all of them (RFC 8617
	// §5.2).
	OldestPass int
	// Temporary: the chain fails only because DNS did not answer.
	Temporary bool

	last   int  // the highest instance, of a broken chain too
	closed bool // the last seal says that the chain has failed
}

// ARCSet is what one of them has said.
type ARCSet struct {
	Domain     string // whose seal it is
	AuthservID string
	Results    []Claim // of its ARC-Authentication-Results
}

// maxInstance is how long a chain may be (RFC 8617 §4.2.1).
const maxInstance = 50

// arcFields are the three fields of an instance.
type arcFields struct {
	results, message, seal []field
}

// chain is an ARC chain on its way to a result.
type chain struct {
	sets    []arcFields
	message *signature   // of the last instance
	older   []*signature // message signatures of those before it; nil is none that could be valid
	seals   []*signature // of all
	problem *problem
	last    int
	closed  bool
}

// parseChain collects the sets and looks at their form (RFC 8617 §5.2, steps
// 1 to 3).
func parseChain(all []field) *chain {
	c := new(chain)
	byInstance := make(map[int]*arcFields)
	for _, f := range all {
		if f.name != "arc-authentication-results" && f.name != "arc-message-signature" && f.name != "arc-seal" {
			continue
		}
		i := instance(f.value())
		if i == 0 {
			c.problem = failed("an instance number is wrong")
			continue
		}
		set := byInstance[i]
		if set == nil {
			set = new(arcFields)
			byInstance[i] = set
		}
		switch f.name {
		case "arc-authentication-results":
			set.results = append(set.results, f)
		case "arc-message-signature":
			set.message = append(set.message, f)
		default:
			set.seal = append(set.seal, f)
		}
		c.last = max(c.last, i)
	}
	for i := 1; i <= c.last; i++ {
		set := byInstance[i]
		if set == nil || len(set.results) != 1 || len(set.message) != 1 || len(set.seal) != 1 {
			if c.problem == nil {
				c.problem = failed("instance " + strconv.Itoa(i) + " is not whole")
			}
			set = new(arcFields)
		}
		c.sets = append(c.sets, *set)
	}
	if n := len(c.sets); n > 0 && len(c.sets[n-1].seal) == 1 {
		tags, _ := parseTags(c.sets[n-1].seal[0].value())
		c.closed = compact(tags["cv"]) == "fail"
	}
	if c.problem == nil && c.last > 0 {
		c.problem = c.parse()
	}
	return c
}

// instance is a field's i=, or 0.
func instance(value string) int {
	for piece := range strings.SplitSeq(value, ";") {
		name, number, ok := strings.Cut(piece, "=")
		if !ok || trim(name) != "i" {
			continue
		}
		n, err := strconv.Atoi(trim(number))
		if err != nil || n < 1 || n > maxInstance {
			return 0
		}
		return n
	}
	return 0
}

// parse reads the seals, and the message signature that counts.
func (c *chain) parse() *problem {
	if c.closed {
		return failed("the chain had failed before")
	}
	for i, set := range c.sets {
		s, p := parseSignature(set.seal[0])
		if p != nil {
			return failed("seal " + strconv.Itoa(i+1) + ": " + p.reason)
		}
		want := "pass"
		if i == 0 {
			want = "none"
		}
		if _, h := s.tags["h"]; h || compact(s.tags["cv"]) != want {
			return failed("seal " + strconv.Itoa(i+1) + " is not one")
		}
		c.seals = append(c.seals, s)
	}
	for _, set := range c.sets[:len(c.sets)-1] {
		s, p := parseMessageSignature(set.message[0])
		if p != nil {
			s = nil
		}
		c.older = append(c.older, s)
	}
	var p *problem
	if c.message, p = parseMessageSignature(c.sets[len(c.sets)-1].message[0]); p != nil {
		return failed("message signature: " + p.reason)
	}
	for _, name := range c.message.names {
		if strings.EqualFold(name, "ARC-Seal") { // RFC 8617 §4.1.2
			return failed("the message signature covers a seal")
		}
	}
	return nil
}

// needs asks for the forms of the body that the message signatures are over.
func (c *chain) needs(b bodies) {
	if c.problem != nil || c.message == nil {
		return
	}
	b.need(c.message.body)
	for _, s := range c.older {
		if s != nil {
			b.need(s.body)
		}
	}
}

// result verifies the last message signature and every seal, and then looks
// how old the message is as it stands (RFC 8617 §5.2, steps 4 to 6). The latter
// is last, so that it cannot use up the questions that the others need.
func (c *chain) result(ctx context.Context, l *lookups, all []field, sums bodySums, now time.Time) ARC {
	r := ARC{Value: None, last: c.last, closed: c.closed}
	if c.last == 0 && c.problem == nil {
		return r
	}
	r.Value = Fail
	p := c.problem
	if p == nil {
		if p = c.message.check(ctx, l, all, sums, now); p != nil {
			p = &problem{p.value, "message signature: " + p.reason}
		}
	}
	for i := len(c.seals) - 1; i >= 0 && p == nil; i-- {
		if p = c.checkSeal(ctx, l, i); p != nil {
			p = &problem{p.value, "seal " + strconv.Itoa(i+1) + ": " + p.reason}
		}
	}
	if p != nil {
		r.Reason, r.Temporary = p.reason, p.value == TempError
		return r
	}
	r.Value = Pass
	for i, s := range slices.Backward(c.older) {
		if s == nil || s.check(ctx, l, all, sums, now) != nil {
			r.OldestPass = i + 2
			break
		}
	}
	for i, set := range c.sets {
		s := ARCSet{Domain: c.seals[i].domain}
		_, rest, _ := strings.Cut(set.results[0].value(), ";")
		s.AuthservID, s.Results, _ = ParseResults(rest)
		r.Sets = append(r.Sets, s)
	}
	return r
}

func (c *chain) checkSeal(ctx context.Context, l *lookups, i int) *problem {
	s := c.seals[i]
	key, p := lookupKey(ctx, l, s.selector, s.domain, s.algorithm)
	if p != nil {
		return p
	}
	h := sha256.New()
	hashSets(h, c.sets[:i+1])
	if !key.verifies(h.Sum(nil), s.octets) {
		return failed("the signature does not fit")
	}
	return nil
}

// hashSets hashes what a seal covers: all sets up to its own, in the order of
// their instances, and in each the results, the message signature and the
// seal (RFC 8617 §5.1.1).
func hashSets(h hash.Hash, sets []arcFields) {
	var b []byte
	for i, set := range sets {
		b = relaxed.appendField(b[:0], set.results[0].raw)
		b = relaxed.appendField(b, set.message[0].raw)
		if i < len(sets)-1 {
			b = relaxed.appendField(b, set.seal[0].raw)
		}
		h.Write(b)
	}
	hashLast(h, relaxed, sets[len(sets)-1].seal[0].raw)
}
