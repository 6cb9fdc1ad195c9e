package lab

import (
	"context"
	"slices"
)

// Device is one of a person's machines with a mail program on it. What the
// person does is the same whatever the program speaks; what comes of it is
// not, and that is what the lab is about.
type Device interface {
	// Fetch gets what is new and hangs up, unless the program stays online.
	Fetch(context.Context) error
	// Open shows a mail to the person, and marks it as read.
	Open(ctx context.Context, mail string) error
	// Discard is the person's click on "delete".
	Discard(ctx context.Context, mail string) error
	// Restore brings a deleted mail back to the inbox.
	Restore(ctx context.Context, mail string) error
	// File makes a folder where there is none and puts a mail there.
	File(ctx context.Context, mail, folder string) error
	// KeepSent keeps a copy of a mail that has been sent.
	KeepSent(ctx context.Context, l letter, raw []byte) error
	// Disconnect ends the connection, if there is one.
	Disconnect() error

	base() *gear
}

// viewer is a device whose folders are the server's.
type viewer interface {
	// Look lists another folder of the server into the local store.
	Look(ctx context.Context, folder string) error
	// Folders asks which there are.
	Folders(context.Context) ([]string, error)
}

// folder names as the local stores have them.
const (
	inbox = "INBOX"
	sent  = "Sent"
	trash = "Trash"
)

// gear is what all devices have: a name, settings and a local store.
type gear struct {
	name     Words
	stage    *stage
	account  Account
	shelf    []*entry
	events   []event
	settings []string // what had to be typed in, each once
	talks    []*conversation
	lost     bool
	offline  bool // in free play: until mail is fetched again
}

// entry is one mail in the local store of a device.
type entry struct {
	mail    string // which letter
	subject string
	folder  string
	key     string // POP3: the UIDL; IMAP: the UID
	raw     []byte // what the device has of it, nil when only its heading
	seen    bool
	ref     Ref // where it came from
}

func (g *gear) base() *gear { return g }

func (g *gear) note(k kind, ref Ref) *event {
	if watch := g.stage.recorder.watch; watch != nil {
		watch()
	}
	g.events = append(g.events, event{kind: k, ref: ref})
	return &g.events[len(g.events)-1]
}

// last returns the latest event of a kind, about a mail unless it is "".
func (g *gear) last(k kind, mail string) (event, bool) {
	for i := len(g.events) - 1; i >= 0; i-- {
		if e := g.events[i]; e.kind == k && (mail == "" || e.mail == mail) {
			return e, true
		}
	}
	return event{}, false
}

// refs are the lines of all events of some kinds.
func (g *gear) refs(kinds ...kind) (refs []Ref) {
	for _, e := range g.events {
		if slices.Contains(kinds, e.kind) {
			refs = append(refs, e.ref)
		}
	}
	return refs
}

// find returns a mail of the local store, in a folder unless it is "".
func (g *gear) find(mail, folder string) *entry {
	i := slices.IndexFunc(g.shelf, func(e *entry) bool {
		return e.mail == mail && (folder == "" || e.folder == folder)
	})
	if i < 0 {
		return nil
	}
	return g.shelf[i]
}

// count returns how many mails of the local store are as wanted.
func (g *gear) count(wanted func(*entry) bool) (n int64) {
	for _, e := range g.shelf {
		if wanted(e) {
			n++
		}
	}
	return n
}

func inInbox(e *entry) bool { return e.folder == inbox }

// readable tells whether the device can show the mail without a network.
func readable(e *entry) bool { return e.folder == inbox && e.raw != nil }

// setUp counts what a person must type in before a device can do something.
func (g *gear) setUp(settings ...string) {
	for _, s := range settings {
		if !slices.Contains(g.settings, s) {
			g.settings = append(g.settings, s)
		}
	}
}

// open connects the device, and is how settings come into use.
func (g *gear) open(ctx context.Context, proto, address string) (*conversation, error) {
	c, err := g.stage.recorder.open(ctx, g.name, g.stage.column, proto, address)
	if err == nil {
		g.talks = append(g.talks, c)
	}
	return c, err
}

// lose takes the device away, with all that was stored on it.
func (g *gear) lose() {
	g.shelf, g.lost = nil, true
	for _, c := range g.talks {
		c.Close()
	}
}
