package wiretap

import (
	"net"
	"slices"

	"github.com/yubin-mail/yubin/internal/listen"
)

// Postmaster stands among the senders for this server itself, which writes
// notices from the null sender.
const Postmaster = "<>"

// Sender tells the tap on an outgoing connection, if there is one, whose mail
// goes over it from now on, and whether they have opted in to being recorded;
// "" is for what is nobody's, such as QUIT. The relay calls it around each
// mail, with an address that is a user's or [Postmaster].
func Sender(conn net.Conn, address string, optedIn bool) {
	if c, ok := listen.Beneath[interface{ tapSender(string, bool) }](conn); ok {
		c.tapSender(address, optedIn)
	}
}

func (c *Conn) tapSender(address string, optedIn bool) {
	r := c.record
	r.mu.Lock()
	switch {
	case r.dropped || r.ended.Load():
	case address == "":
		r.owner, r.mute = 0, false
	case !optedIn && !r.tap.config.Everyone:
		r.owner, r.mute = 0, true
	default:
		i := slices.Index(r.session.Senders, address)
		if i < 0 {
			i = len(r.session.Senders)
			r.session.Senders = append(r.session.Senders, address)
		}
		r.owner, r.mute = i+1, false
		r.claim()
	}
	r.mu.Unlock()
	r.tap.evict()
}

// Secured goes on with a session that became TLS: under is the connection
// that the tap recorded until then, over the TLS connection that we have put
// on it as its client. It returns over recorded, or as it is where under is
// not.
func Secured(under, over net.Conn) net.Conn {
	c, ok := under.(*Conn)
	if !ok {
		return over
	}
	c.covered.Store(true)
	c.record.uncover()
	above := &Conn{Conn: over, record: c.record, reads: c.reads, writes: c.writes}
	return above.withState()
}

// uncover is what Secured calls.
func (r *record) uncover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped || r.ended.Load() || !r.tap.on.Load() {
		return
	}
	r.dialogue.resume()
	r.session.Security = "tls"
	r.off.Store(false)
}

// ForAdmin is what an administrator may see of a session of the relay: all of
// it that is kept, but no message of anybody else's. Of others they see what
// everybody sees.
func (s Session) ForAdmin(address string) Session {
	if Protocol(s.Proto) != "relay" {
		return s.For(address)
	}
	return s.outgoing(func(string) bool { return true }, func(sender string) bool { return sender == address })
}

// outgoing keeps what belongs to the connection and to the senders who are
// shown, and of the messages those that may be read; nil is all.
func (s Session) outgoing(shown, read func(sender string) bool) Session {
	senders, lines := s.Senders, s.Lines
	s.Senders, s.Lines = nil, nil
	now := make([]int, len(senders)+1) // where a sender is in what is returned
	for i, sender := range senders {
		if shown(sender) {
			s.Senders = append(s.Senders, sender)
			now[i+1] = len(s.Senders)
		}
	}
	hidden := false
	for _, line := range lines {
		if line.owner != 0 {
			if now[line.owner] == 0 {
				continue
			}
			if line.Body && read != nil && !read(senders[line.owner-1]) {
				if !hidden {
					s.Lines = append(s.Lines, Line{Time: line.Time, Dir: Note, Text: "the message is its sender's", owner: now[line.owner]})
				}
				hidden = true
				continue
			}
			line.owner = now[line.owner]
		}
		hidden = false
		s.Lines = append(s.Lines, line)
	}
	return s
}
