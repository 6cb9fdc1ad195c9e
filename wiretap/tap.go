// Package wiretap wraps listeners and connections and keeps what was said on
// them, so that people can watch their mail move.
//
// It is no part of any protocol: servers and clients do not know whether a
// tap exists, and the tap knows of a protocol only the syntax that it needs
// to find secrets and the bodies of messages.
//
// # Notes
//
//   - Secrets are masked before anything is kept: passwords, every message of
//     a SASL exchange in both directions, and any client line that is not a
//     command we know. Where the tap cannot be sure what a line is, it hides
//     it; where it has lost step, it stops.
//   - A session belongs to a user. Until the server has said whose it is
//     (see [User]) it is kept apart and seen by nobody; if the user has not
//     opted in, it is dropped. Config.Everyone, for demonstrations, keeps all.
//   - One SMTP session names all recipients of a message. What a recipient
//     may see of it is [Session.For].
//   - A connection of ours to another server carries the mail of many users.
//     Each line of it belongs to one of them or to the connection, see
//     [Sender]; what belongs to somebody who has not opted in is not kept.
//   - What is kept is bounded, in sessions, in bytes and per line. A viewer
//     who is slow loses lines, which are counted; the session never waits.
//   - A line of the server is recorded before it is sent, so that it always
//     stands before what it causes.
//   - Once TLS starts inside a connection there is nothing more to see. Put
//     the tap above TLS instead: it hands ConnectionState through. Where we
//     are the client, [Secured] does so in the middle of a session.
//
// Read conn.go first (where bytes are seen), then dialogue.go (how they
// become lines) and the grammar of a protocol, such as pop3.go.
package wiretap

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a tap keeps.
type Config struct {
	Enabled     bool             // record from the start; see [Tap.Enable]
	Everyone    bool             // keep every session, whatever its user chose: for demonstrations
	MaxSessions int              // sessions kept; 0 is 200
	MaxBytes    int              // memory for all lines kept; 0 is 16 MiB
	BodyLines   int              // lines shown of each message body; 0 is 12, negative none
	Now         func() time.Time // nil is time.Now
}

// unclaimedBytes bounds what is kept of a session whose user is not known.
const unclaimedBytes = 16 << 10

// Tap keeps the sessions of the listeners and connections it wraps. Its
// methods may be called from several goroutines. A nil Tap is one that is
// not enabled.
type Tap struct {
	config  Config
	on      atomic.Bool
	lastID  atomic.Uint64
	bytes   atomic.Int64
	viewers atomic.Pointer[[]*viewer]

	mu       sync.Mutex
	sessions []*record // oldest first; only those whose user is known
}

// New returns a tap.
func New(c Config) *Tap {
	if c.MaxSessions == 0 {
		c.MaxSessions = 200
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 16 << 20
	}
	if c.BodyLines == 0 {
		c.BodyLines = 12
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := &Tap{config: c}
	t.on.Store(c.Enabled)
	t.viewers.Store(new([]*viewer))
	return t
}

// Enabled reports whether conversations are recorded.
func (t *Tap) Enabled() bool { return t != nil && t.on.Load() }

// Enable switches recording on, from the next connection, or off, at once.
// What is kept stays until it is cleared.
func (t *Tap) Enable(on bool) { t.on.Store(on) }

// Listen returns a listener whose connections are recorded while the tap is
// enabled. proto is smtp, submission, pop3 or imap, or one of them with an s
// at its end; security is for the viewer, such as "tls". A protocol the tap
// does not know is not recorded: it could not tell its secrets.
func (t *Tap) Listen(l net.Listener, proto, security string) net.Listener {
	if t == nil || family(proto) == "" {
		return l
	}
	return &listener{Listener: l, tap: t, proto: proto, security: security}
}

// Wrap returns c recorded; side is the one that we are. Besides the protocols
// of Listen there is relay, which is SMTP to other servers.
func (t *Tap) Wrap(c net.Conn, proto string, side Side) net.Conn {
	if !t.Enabled() || family(proto) == "" {
		return c
	}
	return t.wrap(c, proto, "", side)
}

// Sessions returns what is kept, oldest first.
func (t *Tap) Sessions() []Session {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	records := slices.Clone(t.sessions)
	t.mu.Unlock()
	sessions := make([]Session, 0, len(records))
	for _, r := range records {
		if s, ok := r.visible(); ok {
			sessions = append(sessions, s)
		}
	}
	return sessions
}

// Open returns the sessions that are kept and have not ended, without their
// lines.
func (t *Tap) Open() (open []Session) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	records := slices.Clone(t.sessions)
	t.mu.Unlock()
	for _, r := range records {
		r.mu.Lock()
		if !r.dropped && !r.ended.Load() {
			open = append(open, r.head())
		}
		r.mu.Unlock()
	}
	return open
}

// Session returns one session that is kept.
func (t *Tap) Session(id uint64) (Session, bool) {
	if t == nil {
		return Session{}, false
	}
	t.mu.Lock()
	i := slices.IndexFunc(t.sessions, func(r *record) bool { return r.id == id })
	if i < 0 {
		t.mu.Unlock()
		return Session{}, false
	}
	r := t.sessions[i]
	t.mu.Unlock()
	return r.visible()
}

// add puts a session among those that are kept.
func (t *Tap) add(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions = append(t.sessions, r)
}

// remove takes a session out again.
func (t *Tap) remove(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.sessions, r); i >= 0 {
		t.sessions = slices.Delete(t.sessions, i, i+1)
	}
}

// evict drops sessions until the bounds hold: the oldest that has ended, or
// else the oldest. No record's lock may be held.
func (t *Tap) evict() {
	for {
		t.mu.Lock()
		over := len(t.sessions) > t.config.MaxSessions || t.bytes.Load() > int64(t.config.MaxBytes)
		if !over || len(t.sessions) == 0 {
			t.mu.Unlock()
			return
		}
		i := max(0, slices.IndexFunc(t.sessions, func(r *record) bool { return r.ended.Load() }))
		victim := t.sessions[i]
		t.sessions = slices.Delete(t.sessions, i, i+1)
		t.mu.Unlock()
		victim.forget()
	}
}

// family is the grammar that a protocol's name stands for, or "".
func family(proto string) string {
	switch p := Protocol(proto); p {
	case "relay":
		return "smtp"
	case "smtp", "pop3", "imap":
		return p
	}
	return ""
}

// Protocol is what a session's Proto stands for, whatever is around it: smtp
// for what comes in, relay for what goes out, pop3, imap or http. Another
// name is returned as it is.
func Protocol(proto string) string {
	switch proto {
	case "smtps", "submission", "submissions":
		return "smtp"
	case "pop3s", "imaps", "https":
		return proto[:len(proto)-1]
	}
	return proto
}

// Clear forgets all sessions, those that are still open included: of these
// nothing more is kept.
func (t *Tap) Clear() {
	if t == nil {
		return
	}
	t.mu.Lock()
	records := t.sessions
	t.sessions = nil
	t.mu.Unlock()
	for _, r := range records {
		r.forget()
	}
}

// Kept is how many sessions are kept, and what memory their lines take.
func (t *Tap) Kept() (sessions int, octets int64) {
	if t == nil {
		return 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions), t.bytes.Load()
}
