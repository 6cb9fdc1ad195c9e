package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/wiretap"
)

// Ref names lines of a conversation: the evidence of a fact.
type Ref struct {
	Conversation int `json:"conversation"`
	From         int `json:"from"` // line numbers, from 1
	To           int `json:"to"`
}

// String is the form that reports use, such as "c4:7-9".
func (r Ref) String() string {
	if r.From == r.To {
		return fmt.Sprintf("c%d:%d", r.Conversation, r.From)
	}
	return fmt.Sprintf("c%d:%d-%d", r.Conversation, r.From, r.To)
}

// kind is what an event is about.
type kind string

const (
	logIn     kind = "log in"     // a device has logged in
	refused   kind = "refused"    // a login was refused
	stat      kind = "stat"       // POP3 said how many messages and octets there are
	uidl      kind = "uidl"       // POP3 said what each message is called
	download  kind = "download"   // a whole message has come to a device
	peek      kind = "peek"       // part of a message has
	remove    kind = "remove"     // DELE, or STORE \Deleted and EXPUNGE
	commit    kind = "commit"     // QUIT was answered
	cut       kind = "cut"        // the connection was cut
	list      kind = "list"       // IMAP said what is in a mailbox
	flag      kind = "flag"       // STORE
	file      kind = "file"       // CREATE and MOVE
	keepSent  kind = "keep sent"  // APPEND
	send      kind = "send"       // a mail was accepted by SMTP
	look      kind = "look"       // the server said how many mails are in all mailboxes
	weigh     kind = "weigh"      // the server said how large they are
	heardMail kind = "heard mail" // told without asking: new mail
	heardFlag kind = "heard flag" // told without asking: a flag
	heardGone kind = "heard gone" // told without asking: a mail is gone

	unreachable kind = "unreachable" // the device had to ask, and there was no network
)

// event is something that happened between a device and a server.
type event struct {
	kind   kind
	mail   string // which letter, where it is about one
	n      int64  // messages
	octets int64
	ref    Ref
}

// recorder keeps the conversations of a run.
type recorder struct {
	server        Server
	latency       time.Duration // added to each round trip
	conversations []*conversation
	watch         func() // called when a device has done something; may be nil
}

// conversation is one connection of a device.
type conversation struct {
	id      int
	who     Words // whose
	proto   string
	column  Column
	remote  string
	tap     *wiretap.Tap // of this connection alone
	shown   int          // lines the story has told
	web     *weblog      // instead of the tap, for HTTP
	hang    func()       // closes what a browser has open
	console bool         // a person types it
	idling  bool         // where the story has stopped, the client is listening

	mu    sync.Mutex
	alive func() bool // stops the context's grip; nil when closed
	net.Conn
}

// dial connects a device over the distance that the run asks for.
func (r *recorder) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := r.server.dial(ctx, address)
	if err == nil && r.latency > 0 {
		conn = delay(conn, r.latency/2)
	}
	return conn, err
}

// browse is open for a browser, whose connections come and go.
func (r *recorder) browse(ctx context.Context, who Words, column Column) *conversation {
	w := new(weblog)
	t := &http.Transport{
		DialTLSContext: func(_ context.Context, _, _ string) (net.Conn, error) {
			conn, err := r.dial(ctx, r.server.Web)
			if err != nil {
				return nil, err
			}
			return &counted{conn, w}, nil
		},
		DisableCompression: true,
	}
	w.next = t
	c := &conversation{id: len(r.conversations) + 1, who: who, proto: "http", column: column, remote: r.server.Web, web: w}
	c.hang = t.CloseIdleConnections
	c.alive = context.AfterFunc(ctx, t.CloseIdleConnections)
	r.conversations = append(r.conversations, c)
	return c
}

// open connects a device and records what it says from the first byte.
func (r *recorder) open(ctx context.Context, who Words, column Column, proto, address string) (*conversation, error) {
	conn, err := r.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &conversation{
		id: len(r.conversations) + 1, who: who, proto: proto, column: column, remote: address,
		tap: wiretap.New(wiretap.Config{Enabled: true, Everyone: true, BodyLines: 8}),
	}
	c.Conn = c.tap.Wrap(conn, grammar(proto), wiretap.ClientSide)
	c.alive = context.AfterFunc(ctx, func() { conn.Close() })
	r.conversations = append(r.conversations, c)
	return c, nil
}

// Close ends the connection. It may be called more than once.
func (c *conversation) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive == nil {
		return nil
	}
	c.alive()
	c.alive = nil
	if c.web != nil {
		c.hang()
		return nil
	}
	return c.Conn.Close()
}

// session is the conversation so far.
func (c *conversation) session() wiretap.Session {
	if c.web != nil {
		return c.web.session()
	}
	sessions := c.tap.Sessions()
	if len(sessions) == 0 {
		return wiretap.Session{}
	}
	return sessions[0]
}

// lines are what has been said so far.
func (c *conversation) lines() []wiretap.Line { return c.session().Lines }

// since refers to all lines after the first n.
func (c *conversation) since(n int) Ref { return Ref{c.id, n + 1, len(c.lines())} }

// whole refers to everything said.
func (c *conversation) whole() Ref { return c.since(0) }

// find looks for the last line, after the first n, that a direction said and
// that has all the words.
func (c *conversation) find(n int, dir wiretap.Dir, words ...string) (Ref, bool) {
	lines := c.lines()
	for i := len(lines) - 1; i >= n; i-- {
		if lines[i].Dir == dir && hasAll(lines[i].Text, words) {
			return Ref{c.id, i + 1, i + 1}, true
		}
	}
	return Ref{}, false
}

func hasAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// at is when the first line of ref was said.
func (r *recorder) at(ref Ref) time.Time {
	return r.conversations[ref.Conversation-1].lines()[ref.From-1].Time
}

// closed tells whether the device has no part in the conversation any more.
func (c *conversation) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive == nil
}

// news are the conversations of a lane that have gone on since the story last
// told of them, in the order in which they did.
func (r *recorder) news(column Column) (found []*conversation) {
	for _, c := range r.conversations {
		if c.column == column && len(c.lines()) > c.shown {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *conversation) int {
		return a.lines()[a.shown].Time.Compare(b.lines()[b.shown].Time)
	})
	return found
}

// reads reports whether the conversation is in a way of reading mail.
func (c *conversation) reads() bool {
	return c.proto == "pop3" || c.proto == "imap" || c.proto == "http"
}
