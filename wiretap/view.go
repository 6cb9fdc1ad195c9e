package wiretap

import (
	"slices"
	"sync"
	"time"
)

// Filter chooses sessions.
type Filter struct {
	Proto string // what [Protocol] returns, or "" for all
	User  string // the address of a user, or "" for all
	// Outgoing lets a user who administers the server have the relay's
	// sessions as [Session.ForAdmin] shows them.
	Outgoing bool
}

// Event is a line of a session as it happens, or the session's end.
type Event struct {
	Session Session // without its lines
	Line    Line
	Ended   bool // the session is over; Line is empty
	Lost    int  // events before this one that the viewer was too slow for
}

// backlog is how many events may wait for a viewer. A body of a few lines
// comes in one burst, so it is more than one.
const backlog = 1024

// Subscribe returns the events of the sessions that the filter chooses, from
// now on. A session whose user becomes known late comes with the lines that
// it had since; mail for a recipient comes when its session is over, because
// only then is it known what they may see. cancel closes the channel.
func (t *Tap) Subscribe(f Filter) (events <-chan Event, cancel func()) {
	v := &viewer{filter: f, events: make(chan Event, backlog), joined: make(map[uint64]bool)}
	if t == nil {
		return v.events, sync.OnceFunc(func() { close(v.events) })
	}
	v.since = t.config.Now()
	t.mu.Lock()
	viewers := append(slices.Clone(*t.viewers.Load()), v)
	t.viewers.Store(&viewers)
	t.mu.Unlock()
	return v.events, sync.OnceFunc(func() {
		t.mu.Lock()
		viewers := slices.Clone(*t.viewers.Load())
		viewers = slices.DeleteFunc(viewers, func(o *viewer) bool { return o == v })
		t.viewers.Store(&viewers)
		t.mu.Unlock()
		v.close()
	})
}

type viewer struct {
	filter Filter
	since  time.Time

	mu     sync.Mutex
	events chan Event
	closed bool
	lost   int
	joined map[uint64]bool // sessions whose lines this viewer gets as they come
}

// line shows the latest line of a session. The record's lock is held.
func (v *viewer) line(r *record, line Line) {
	if !v.live(r) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.joined[r.id] {
		v.send(Event{Session: r.head(), Line: line})
		return
	}
	v.joined[r.id] = true
	v.sendAll(r.copied())
}

// live reports whether the viewer may see the session as it goes on.
func (v *viewer) live(r *record) bool {
	if !r.claimed || !v.wants(r) {
		return false
	}
	if v.filter.User != "" {
		return r.session.User == v.filter.User
	}
	return !r.shared()
}

func (v *viewer) wants(r *record) bool {
	return v.filter.Proto == "" || Protocol(v.filter.Proto) == Protocol(r.session.Proto)
}

// end shows the end of a session, and before it what could not be shown
// earlier. The record's lock is held.
func (v *viewer) end(r *record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.joined[r.id] {
		user := v.filter.User
		s := r.copied()
		mine := user == "" || user == s.User || slices.Contains(s.Recipients, user) || slices.Contains(s.Senders, user)
		all := v.filter.Outgoing && Protocol(s.Proto) == "relay"
		if r.dropped || !v.wants(r) || !mine && !all {
			return
		}
		if all {
			s = s.ForAdmin(user)
		} else if user != "" && user != s.User {
			s = s.For(user)
		}
		v.sendAll(s)
	}
	delete(v.joined, r.id)
	v.send(Event{Session: r.head(), Ended: true})
}

func (v *viewer) sendAll(s Session) {
	head := s
	head.Lines = nil
	for _, line := range s.Lines {
		if !line.Time.Before(v.since) {
			v.send(Event{Session: head, Line: line})
		}
	}
}

// send never waits.
func (v *viewer) send(e Event) {
	if v.closed {
		return
	}
	e.Lost = v.lost
	select {
	case v.events <- e:
		v.lost = 0
	default:
		v.lost++
	}
}

func (v *viewer) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	close(v.events)
}
