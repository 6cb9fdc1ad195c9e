package wiretap

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// record is a session while it is being kept.
//
// Locks: mu may be held when the tap's or a viewer's is taken, never the
// other way round, and never two records' at once.
type record struct {
	tap   *Tap
	id    uint64
	ended atomic.Bool // for evict
	off   atomic.Bool // nothing more is kept: TLS has started, or the session was dropped

	octets [2]atomic.Int64 // by direction, client first
	trips  atomic.Int64
	last   atomic.Int32 // the direction of the last bytes

	mu       sync.Mutex
	session  Session // its lines included
	bytes    int
	claimed  bool // it is in the tap's list
	dropped  bool // its user has not opted in, or there was no room
	owner    int  // whose the lines are now, see Line
	mute     bool // somebody's who has not opted in: they are not kept
	dialogue *dialogue
}

// ownFields is how many lines of a message that we send are shown besides
// the usual ones: a signature and a Received field of ours stand on top.
const ownFields = 12

// lineCost is what a kept line costs beside its text.
const lineCost = 96

func newRecord(t *Tap, local, remote, proto, security string, side Side) *record {
	r := &record{tap: t, id: t.lastID.Add(1)}
	r.session = Session{
		ID: r.id, Proto: proto, Security: security, Side: side,
		Local: local, Remote: remote, Start: t.config.Now(),
	}
	shown := t.config.BodyLines
	outgoing := Protocol(proto) == "relay"
	if outgoing && shown > 0 {
		shown += ownFields
	}
	r.dialogue = newDialogue(family(proto), shown, r.keep)
	r.dialogue.outgoing = outgoing
	if t.config.Everyone {
		r.mu.Lock()
		r.claim()
		r.mu.Unlock()
		t.evict()
	}
	return r
}

func addr(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// heard takes bytes as they pass.
func (r *record) heard(dir Dir, b []byte) {
	r.octets[dir-Client].Add(int64(len(b)))
	if Dir(r.last.Swap(int32(dir))) == Client && dir == Server {
		r.trips.Add(1)
	}
	if r.off.Load() {
		return
	}
	r.mu.Lock()
	if !r.tap.on.Load() {
		r.dialogue.stop("recording was switched off here")
	}
	r.dialogue.feed(dir, b)
	if r.dialogue.stopped {
		r.off.Store(true)
	}
	r.mu.Unlock()
	r.tap.evictIfOver()
}

func (t *Tap) evictIfOver() {
	if t.bytes.Load() > int64(t.config.MaxBytes) {
		t.evict()
	}
}

// keep is where the dialogue's lines arrive, masked. mu is held.
func (r *record) keep(line Line) {
	if r.dropped || r.mute {
		return
	}
	line.owner = r.owner
	line.Time = r.tap.config.Now()
	r.session.Lines = append(r.session.Lines, line)
	r.grow(len(line.Text) + lineCost)
	limit := unclaimedBytes
	if r.claimed {
		limit = max(unclaimedBytes, r.tap.config.MaxBytes/4)
	}
	if r.bytes > limit {
		r.shorten()
	}
	for _, v := range *r.tap.viewers.Load() {
		v.line(r, line)
	}
}

func (r *record) grow(n int) {
	r.bytes += n
	if r.claimed {
		r.tap.bytes.Add(int64(n))
	}
}

// shorten forgets the first quarter of the lines.
func (r *record) shorten() {
	n := (len(r.session.Lines) + 3) / 4
	for _, line := range r.session.Lines[:n] {
		r.grow(-len(line.Text) - lineCost)
	}
	r.session.Lines = slices.Delete(r.session.Lines, 0, n)
	r.session.Missing += n
}

// claim puts the session where it can be seen. mu is held.
func (r *record) claim() {
	if r.claimed || r.dropped {
		return
	}
	r.claimed = true
	r.tap.bytes.Add(int64(r.bytes))
	r.tap.add(r)
}

// setUser is what TapUser calls.
func (r *record) setUser(address string, optedIn bool) {
	optedIn = optedIn || r.tap.config.Everyone
	r.mu.Lock()
	switch {
	case r.dropped || r.ended.Load():
	case r.session.User == address:
	case r.dialogue.family == "smtp" && (!r.dialogue.auth || r.session.User != ""):
		r.recipient(address, address, optedIn)
	case r.session.User != "":
		r.dialogue.stop("another user from here")
		r.off.Store(true)
	case optedIn:
		r.session.User = address
		r.hideNames(address)
		r.claim()
	default:
		r.drop()
	}
	r.mu.Unlock()
	r.tap.evict()
}

// hideNames masks what was given as a name before the login that succeeded,
// unless it is the user's: some type their password there. mu is held.
func (r *record) hideNames(address string) {
	local, _, _ := strings.Cut(address, "@")
	for i := range r.session.Lines {
		line := &r.session.Lines[i]
		words := strings.Fields(line.Text)
		at := map[string]int{"pop3": 1, "imap": 2}[r.dialogue.family]
		if line.Dir != Client || line.Body || at == 0 || at >= len(words) || words[at] == Mask || !slices.Contains([]string{"USER", "APOP", "LOGIN"}, strings.ToUpper(words[at-1])) {
			continue
		}
		if name := strings.Trim(words[at], `"`); strings.EqualFold(name, address) || strings.EqualFold(name, local) {
			continue
		}
		was := len(line.Text)
		line.Text = strings.Join(words[:at], " ") + " " + Mask
		r.grow(len(line.Text) - was)
	}
}

// addRecipient is what TapRecipient calls.
func (r *record) addRecipient(named, address string, optedIn bool) {
	r.mu.Lock()
	if !r.dropped && !r.ended.Load() {
		r.recipient(named, address, optedIn || r.tap.config.Everyone)
	}
	r.mu.Unlock()
	r.tap.evict()
}

// recipient notes a recipient. That another has not opted in takes nothing
// from one who has: each sees only their own part. mu is held.
func (r *record) recipient(named, address string, optedIn bool) {
	if !optedIn || address == "" {
		return
	}
	known := slices.Contains(r.session.Recipients, address)
	if !known && len(r.session.Recipients) == maxNamings {
		return
	}
	if !known {
		r.session.Recipients = append(r.session.Recipients, address)
	}
	n := naming{named, address}
	if !isAddress(named, address) && len(r.session.namings) < maxNamings && !slices.Contains(r.session.namings, n) {
		r.session.namings = append(r.session.namings, n)
	}
	r.claim()
}

// maxNamings bounds the recipients that one session is remembered to have had,
// and the aliases they had there: a client may go on naming them for ever.
// Whoever comes later does not see the session.
const maxNamings = 500

// drop forgets everything and keeps nothing more. mu is held.
func (r *record) drop() {
	r.grow(-r.bytes)
	r.session.Lines = nil
	r.dropped = true
	r.off.Store(true)
	r.dialogue.forget()
	if r.claimed {
		r.tap.remove(r)
	}
	for _, v := range *r.tap.viewers.Load() {
		v.end(r)
	}
}

// forget is drop for a session that had to give its room away.
func (r *record) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dropped {
		r.drop()
	}
}

// end is what Close calls.
func (r *record) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off.Store(true)
	if r.dropped || r.ended.Load() {
		return
	}
	r.dialogue.finish()
	r.dialogue.forget()
	if !r.claimed {
		r.drop()
		return
	}
	r.session.End = r.tap.config.Now()
	if r.shared() {
		before := r.bytes
		r.session = r.session.forAll()
		r.grow(r.session.size() - before)
	}
	for _, v := range *r.tap.viewers.Load() {
		v.end(r)
	}
	r.ended.Store(true)
}

// shared reports that the session may be seen by some of its recipients but
// is nobody's own. mu is held.
func (r *record) shared() bool {
	return !r.tap.config.Everyone && r.session.User == ""
}

// copied returns the session as it is now. mu is held.
func (r *record) copied() Session {
	s := r.head()
	s.Lines = slices.Clone(r.session.Lines)
	return s
}

// visible returns the session as a viewer may see it.
func (r *record) visible() (Session, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped {
		return Session{}, false
	}
	s := r.copied()
	if r.shared() {
		s = s.forAll()
	}
	return s, true
}

// head is the session without its lines, for events. mu is held.
func (r *record) head() Session {
	s := r.session
	s.Lines = nil
	s.Recipients, s.namings, s.Senders = slices.Clone(s.Recipients), slices.Clone(s.namings), slices.Clone(s.Senders)
	s.ClientOctets, s.ServerOctets = r.octets[0].Load(), r.octets[1].Load()
	s.Trips = r.trips.Load()
	return s
}

func (s *Session) size() (n int) {
	for _, line := range s.Lines {
		n += len(line.Text) + lineCost
	}
	return n
}
