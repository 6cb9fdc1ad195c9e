package lab

import (
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/wiretap"
)

// Board is a scenario as it stands at one moment: what every device has in
// its own store, what the server keeps, and all that was said. It is a copy
// that nobody changes, in every language.
type Board struct {
	Scenario Scenario
	Lang     Lang // in which its mails are written
	Played   int  // steps
	Lanes    []Lane
	Talks    []Talk
	Results  []Result
	Started  time.Time
}

// Lane is one way of reading, with a mailbox of its own.
type Lane struct {
	Column  Column
	Address string
	Devices []Card
	Server  Shelf
}

// Place is where on the board a device stands: at the left or at the right of
// the server.
type Place string

// The places.
const (
	PlaceA Place = "a"
	PlaceB Place = "b"
)

// Card is a device as its own store has it.
type Card struct {
	Name   Words
	Place  Place
	Role   string // "pc", "phone" or "other"
	Online bool
	Lost   bool
	Doing  string // the last command, or what the server told unasked
	Mails  []Mail
	Octets int64 // received to read mail
	Talk   int   // its latest conversation, or 0
}

// Mail is a mail as a device or the server has it.
type Mail struct {
	ID      string // which letter
	Subject string
	Folder  string
	Seen    bool
	Here    bool     // all of its text is in the device
	Flags   []string // on the server
	Fresh   bool     // it is new, or has changed, since the step before
}

// Shelf is what the server keeps for one account.
type Shelf struct {
	Known   bool // it has been asked
	Mails   []Mail
	Octets  int64
	Valid   uint32 // UIDVALIDITY of the inbox
	Folders []string
}

// Unseen counts the mails without \Seen.
func (s Shelf) Unseen() (n int) {
	for _, m := range s.Mails {
		if !m.Seen {
			n++
		}
	}
	return n
}

// Talk is one conversation of a device.
type Talk struct {
	ID     int
	Who    Words
	Column Column
	Proto  string // smtp, pop3, imap or http
	Remote string
	// Looking says that it is not a device's: the lab has asked the server
	// what it keeps.
	Looking        bool
	Open           bool
	Octets, Trips  int64
	Lines          []Spoken
	Console        bool
	Sent, Received int64
}

// Spoken is a line of a conversation with what it means.
type Spoken struct {
	N       int // its number, from 1
	Time    time.Time
	After   time.Duration // since the run began
	Dir     wiretap.Dir
	Text    string // as transcripts have it
	Body    bool
	Pushed  bool   // the server said it without being asked
	Verb    string // the command that it is, or answers
	First   bool   // of an exchange
	Meaning Words
}

// board describes the moment. It runs where the devices are played.
func (p *play) board(s Scenario, stages []*stage, played int, before *Board) *Board {
	b := &Board{Scenario: s, Lang: p.Lang, Played: played, Started: p.report.Started}
	for _, st := range stages {
		b.Lanes = append(b.Lanes, st.lane())
	}
	if before != nil {
		b.compare(before)
	}
	for _, c := range p.recorder.conversations {
		b.Talks = append(b.Talks, c.talk(b.Started))
	}
	for _, told := range p.report.Scenarios {
		b.Results = append(b.Results, told.Results...)
	}
	return b
}

func (st *stage) lane() Lane {
	l := Lane{Column: st.column, Address: st.account.Address, Server: st.shelf}
	l.Server.Mails = slices.Clone(l.Server.Mails)
	pc, phone := st.pc.base().card("pc", PlaceA), st.phone.base().card("phone", PlaceB)
	l.Devices = append(l.Devices, pc, phone)
	if st.other != nil {
		g := st.other.base()
		place := PlaceB
		if g.name == newPC {
			place = PlaceA
		}
		if place == PlaceB && len(st.phone.base().talks) == 0 {
			l.Devices = l.Devices[:1] // it has no part in this
		}
		l.Devices = append(l.Devices, g.card("other", place))
	}
	return l
}

func (g *gear) card(role string, place Place) Card {
	c := Card{Name: g.name, Place: place, Role: role, Lost: g.lost}
	for _, e := range g.shelf {
		c.Mails = append(c.Mails, Mail{ID: e.mail, Subject: e.subject, Folder: e.folder, Seen: e.seen, Here: e.raw != nil})
	}
	var latest time.Time
	for _, t := range g.talks {
		if t.reads() {
			c.Octets += t.session().ServerOctets
		}
		c.Online = c.Online || !t.closed()
		// What it did last it may have done in an older conversation.
		if at := t.latest(); !at.Before(latest) {
			latest, c.Talk, c.Doing = at, t.id, t.doing()
		}
	}
	return c
}

// latest is when something was said last.
func (c *conversation) latest() (at time.Time) {
	if lines := c.lines(); len(lines) > 0 {
		at = lines[len(lines)-1].Time
	}
	return at
}

// doing is the last thing that was said, in a word or two.
func (c *conversation) doing() string {
	found := exchanges(grammar(c.proto), c.lines(), false)
	for i := len(found) - 1; i >= 0; i-- {
		switch {
		case found[i].pushed:
			words := strings.Fields(found[i].lines[0].Text)
			if c.proto == "http" {
				return "SSE ← " + words[len(words)-1]
			}
			return "IDLE ← " + words[min(2, len(words)-1)]
		case found[i].verb != "" && found[i].verb != ".":
			return found[i].verb
		}
	}
	return ""
}

func (c *conversation) talk(since time.Time) Talk {
	s := c.session()
	t := Talk{
		ID: c.id, Who: c.who, Column: c.column, Proto: grammar(c.proto), Remote: c.remote, Looking: c.proto == looking,
		Open: !c.closed(), Octets: s.ClientOctets + s.ServerOctets, Sent: s.ClientOctets, Received: s.ServerOctets, Trips: s.Trips,
		Console: c.console,
	}
	t.Lines = Explain(t.Proto, s.Lines)
	for i := range t.Lines {
		t.Lines[i].After = t.Lines[i].Time.Sub(since)
	}
	return t
}

// Explain says of each line of a conversation in SMTP, POP3, IMAP or HTTP what
// it means, as far as that is worth saying.
func Explain(proto string, lines []wiretap.Line) []Spoken {
	proto = grammar(strings.TrimSuffix(proto, "s"))
	all := make([]Spoken, 0, len(lines))
	for _, x := range exchanges(proto, lines, false) {
		for i, line := range x.lines {
			w := meaning(proto, x.verb, line)
			switch {
			case !w.None() || line.Body:
			case line.Dir == wiretap.Note:
				w = lookUp(remarks, line.Text)
			case line.Dir == wiretap.Server:
				w = lookUp(usual[proto], untagged(proto, line.Text))
			case line.Dir != wiretap.Client || line.Text != wiretap.Mask:
			case x.unknown():
				w = noCommand
			default:
				w = credentials
			}
			all = append(all, Spoken{
				N: len(all) + 1, Time: line.Time, Dir: line.Dir, Text: line.String(), Body: line.Body,
				Pushed: x.pushed, Verb: x.verb, First: i == 0, Meaning: w,
			})
		}
	}
	return all
}

// untagged is an IMAP status response with its tag replaced, so that it can
// be looked up.
func untagged(proto, text string) string {
	if proto != "imap" || strings.HasPrefix(text, "* ") || strings.HasPrefix(text, "+") {
		return text
	}
	_, rest, _ := strings.Cut(text, " ")
	return "tag " + rest
}

// compare marks what is not as it was.
func (b *Board) compare(before *Board) {
	for i := range b.Lanes {
		if i >= len(before.Lanes) {
			return
		}
		now, then := &b.Lanes[i], &before.Lanes[i]
		mark(now.Server.Mails, then.Server.Mails)
		for j := range now.Devices {
			was := []Mail(nil)
			for _, d := range then.Devices {
				if d.Role == now.Devices[j].Role {
					was = d.Mails
				}
			}
			mark(now.Devices[j].Mails, was)
		}
	}
}

func mark(now, then []Mail) {
	for i, m := range now {
		now[i].Fresh = !slices.ContainsFunc(then, func(o Mail) bool {
			return m.ID == o.ID && m.Subject == o.Subject && m.Folder == o.Folder && m.Seen == o.Seen && m.Here == o.Here
		})
	}
}
