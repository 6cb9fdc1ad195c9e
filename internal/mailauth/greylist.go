package mailauth

import (
	"cmp"
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Greylist asks clients that nobody has seen before to come again (RFC 6647):
// mail servers do, most senders of junk do not.
//
// Newcomers and those who have come again are remembered apart: whoever comes
// under a hundred thousand names, and never again, must not make us forget
// anybody whom we know.
type Greylist struct {
	Newcomers GreyMemory
	Known     GreyMemory
	Delay     time.Duration // how long a newcomer waits; 0 is 5 minutes
	Window    time.Duration // how long it has to come again; 0 is 24 hours
	Keep      time.Duration // how long one that did is known after its last mail; 0 is 36 days
	Now       func() time.Time

	mu sync.Mutex // from reading to writing
}

// GreyMemory remembers, also over a restart if it can. It may forget what has
// expired, and what has not been set for the longest time. The first eight
// octets of a key stand for the client's network. It is for concurrent use.
type GreyMemory interface {
	Get(key string) (value string, ok bool)
	Set(key, value string, expires time.Time)
}

// Wait is how long the client has to wait before the mail is taken; 0 is not
// at all.
func (g *Greylist) Wait(f Facts, recipient string) time.Duration {
	now := time.Now()
	if g.Now != nil {
		now = g.Now()
	}
	key := greyKey(f, recipient)
	delay, window, keep := cmp.Or(g.Delay, 5*time.Minute), cmp.Or(g.Window, 24*time.Hour), cmp.Or(g.Keep, 36*24*time.Hour)
	g.mu.Lock()
	defer g.mu.Unlock()
	if last, ok := recall(g.Known, key); ok && now.Sub(last) <= keep {
		note(g.Known, key, now, now.Add(keep))
		return 0
	}
	first, ok := recall(g.Newcomers, key)
	switch age := now.Sub(first); {
	case ok && age < delay:
		return delay - age
	case ok && age <= window:
		note(g.Known, key, now, now.Add(keep))
		return 0
	}
	note(g.Newcomers, key, now, now.Add(window))
	return delay
}

// recall is the moment under a key, if there is one.
func recall(m GreyMemory, key string) (time.Time, bool) {
	value, _ := m.Get(key)
	seconds, err := strconv.ParseInt(value, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func note(m GreyMemory, key string, at, expires time.Time) {
	m.Set(key, strconv.FormatInt(at.Unix(), 10), expires)
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
	prefix, _ := ip.Prefix(bits)
	network := sha256.Sum256([]byte(prefix.String()))
	pair := sha256.Sum256([]byte(strings.ToLower(f.MailFrom + "\x00" + recipient)))
	return string(network[:8]) + string(pair[:24])
}
