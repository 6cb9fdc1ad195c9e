package mailauth

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Greylist asks clients that nobody has seen before to come again (RFC 6647):
// mail servers do, most senders of junk do not.
type Greylist struct {
	Memory GreyMemory
	Delay  time.Duration // how long a newcomer waits; 0 is 5 minutes
	Window time.Duration // how long it has to come again; 0 is 24 hours
	Keep   time.Duration // how long one that did is known after its last mail; 0 is 36 days
	Now    func() time.Time

	mu sync.Mutex // from reading an entry to writing it
}

// GreyMemory remembers, also over a restart if it can. It may forget what has
// expired, and what has not been set for the longest time. It is for
// concurrent use.
type GreyMemory interface {
	Get(key string) (value string, ok bool)
	Set(key, value string, expires time.Time)
}

// greyEntry is what is remembered of a client's network, a sender and a
// recipient.
type greyEntry struct {
	first time.Time // when it came first
	last  time.Time // when it came last
	known bool      // it has come again in time
}

func (e greyEntry) String() string {
	return fmt.Sprintf("%d %d %t", e.first.Unix(), e.last.Unix(), e.known)
}

// parseGreyEntry gives the zero greyEntry for what is none.
func parseGreyEntry(s string) greyEntry {
	var first, last int64
	var known bool
	if n, _ := fmt.Sscanf(s, "%d %d %t", &first, &last, &known); n != 3 {
		return greyEntry{}
	}
	return greyEntry{time.Unix(first, 0), time.Unix(last, 0), known}
}

// Wait is how long the client has to wait before the mail is taken; 0 is not
// at all.
func (g *Greylist) Wait(f Facts, recipient string) time.Duration {
	now := time.Now()
	if g.Now != nil {
		now = g.Now()
	}
	key := greyKey(f, recipient)
	g.mu.Lock()
	defer g.mu.Unlock()
	value, _ := g.Memory.Get(key)
	e := parseGreyEntry(value)
	var wait time.Duration
	age, idle := now.Sub(e.first), now.Sub(e.last)
	delay, window, keep := cmp.Or(g.Delay, 5*time.Minute), cmp.Or(g.Window, 24*time.Hour), cmp.Or(g.Keep, 36*24*time.Hour)
	switch {
	case e.known && idle <= keep:
	case !e.known && age >= delay && age <= window:
		e.known = true
	case !e.known && age < delay:
		wait = delay - age
	default:
		e, wait = greyEntry{first: now}, delay
	}
	e.last = now
	expires := e.first.Add(window)
	if e.known {
		expires = now.Add(keep)
	}
	g.Memory.Set(key, e.String(), expires)
	return wait
}

// greyKey is hashed: who writes to whom need not be remembered. Of the client
// it has the network, because large senders come again from a neighbouring
// address.
func greyKey(f Facts, recipient string) string {
	ip := f.RemoteIP.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits)
	sum := sha256.Sum256([]byte(strings.ToLower(network.String() + "\x00" + f.MailFrom + "\x00" + recipient)))
	return string(sum[:])
}
