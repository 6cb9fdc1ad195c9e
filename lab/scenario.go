package lab

import (
	"context"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2/imapclient"
)

// Scenario is a little story with a lesson. It is played in each of its lanes
// with real connections.
type Scenario struct {
	ID    string
	Title Words
	Lanes []Column
	Steps []Step // at most nine
}

// Step is one thing that somebody does, in every lane or in some.
type Step struct {
	Actor Words
	Text  Words
	Why   Words    // what is to be learnt from it, told when it has happened
	RFC   string   // where the protocol's part in it is written
	Only  []Column // the lanes in which it happens; nil is all
	Show  string   // the commands that the folded story prints
	Facts []Fact

	do func(context.Context, *stage) error
}

// Guess is the fact of the step that somebody can guess before, or nil.
func (s Step) Guess() *Fact {
	for i := range s.Facts {
		if s.Facts[i].Choices != nil {
			return &s.Facts[i]
		}
	}
	return nil
}

// In reports whether the step happens in a lane.
func (s Step) In(c Column) bool { return s.Only == nil || slices.Contains(s.Only, c) }

// Scenarios are all there are, in the order in which they are best told.
var Scenarios = []Scenario{
	sendAndReceive, pop3Delete, pop3Keep, readSync, sentMail, deleteAndTrash, folders,
	offline, lostDevice, mixed, attachment, pop3Lock, dropBeforeQuit,
}

// stage is where a scenario is played in one lane: the account, its owner's
// devices and those who write to them.
type stage struct {
	recorder *recorder
	scenario string
	lang     Lang
	column   Column
	account  Account
	bob      Account

	pc, phone, other Device // other is a device that comes later
	outside          *sender
	looker           *looker
	delivered        int64    // letters sent to the account
	folders          []string // made on the server, to be removed
	sent             []byte   // the last letter as it was sent
	shelf            Shelf    // what the server kept when it was asked last
	surveyor         *imapclient.Client
}

// The people and machines of the scenarios.
var (
	hanako   = Words{"Hanako's mail server", "花子さんのメールサーバー"}
	alicePC  = Words{"Alice's PC", "アリスのPC"}
	phone    = Words{"Alice's phone", "アリスのスマホ"}
	newPC    = Words{"Alice's new PC", "アリスの新しいPC"}
	tablet   = Words{"Alice's tablet (IMAP)", "アリスのタブレット(IMAP)"}
	bobsPC   = Words{"Bob's PC", "ボブのPC"}
	observer = Words{"The server", "サーバー"}
	both     = Words{"PC and phone", "PCとスマホ"}
)

// whyDeliver is to be learnt wherever mail is only delivered.
var whyDeliver = Words{"SMTP brings mail as far as the mailbox. How it is read later makes no difference to it.", "SMTPが運ぶのはメールボックスまでです。どの方式で読むかは、送る側には関係ありません。"}

// device puts a machine on the stage, with the mail program of the lane.
func (st *stage) device(name Words, column Column, a Account) Device {
	g := &gear{name: name, stage: st, account: a}
	switch column {
	case IMAP:
		return &IMAPDevice{gear: g}
	case Web:
		return &WebDevice{gear: g}
	}
	return &POP3Device{gear: g, keep: column == Keep}
}

func newStage(r *recorder, s Scenario, lang Lang, column Column, account, bob Account) *stage {
	st := &stage{recorder: r, scenario: s.ID, lang: lang, column: column, account: account, bob: bob}
	st.pc = st.device(alicePC, column, account)
	st.phone = st.device(phone, column, account)
	if column == Mixed {
		st.phone = st.device(phone, IMAP, account)
	}
	st.outside = &sender{gear: &gear{name: hanako, stage: st}, greeting: "mail.example.com"}
	st.looker = &looker{gear: &gear{name: observer, stage: st, account: account}}
	return st
}

// close takes all connections down.
func (st *stage) close() {
	for _, d := range []Device{st.pc, st.phone, st.other} {
		if d != nil {
			d.Disconnect() // at the end nobody waits for the answer
		}
	}
	st.looker.close()
	if st.surveyor != nil {
		st.surveyor.Logout().Wait() // nor here
		st.surveyor.Close()
		st.surveyor = nil
	}
}

// What steps do, as the scenarios name it.

// sendsTwo is how most scenarios begin.
var sendsTwo = Step{
	Actor: hanako,
	Text:  Words{"sends two mails.", "メールを2通送ります。"},
	Why:   whyDeliver,
	RFC:   "RFC 5321 §3.3",
	do:    deliver(meeting, invoice),
}

// deliver lets Hanako's server hand over letters for the account.
func deliver(letters ...letter) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		for _, l := range letters {
			st.sent = l.compose(st.lang, st.scenario, l.from, st.account.Address)
			if err := st.outside.send(ctx, l, l.from, st.account.Address, st.sent); err != nil {
				return err
			}
			st.delivered++
		}
		return nil
	}
}

// fetch lets a device get its mail.
func fetch(devices ...func(*stage) Device) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		for _, who := range devices {
			if err := who(st).Fetch(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// lookAtServer asks the server what it keeps.
func lookAtServer(ctx context.Context, st *stage) error {
	return st.looker.look(ctx)
}

// open shows letters to the person at a device.
func open(who func(*stage) Device, letters ...letter) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		for _, l := range letters {
			if err := who(st).Open(ctx, l.id); err != nil {
				return err
			}
		}
		return nil
	}
}

// all does one thing after the other.
func all(steps ...func(context.Context, *stage) error) func(context.Context, *stage) error {
	return func(ctx context.Context, st *stage) error {
		for _, step := range steps {
			if err := step(ctx, st); err != nil {
				return err
			}
		}
		return nil
	}
}

// find says which scenario is meant by an ID or a number from 1.
func find(name string) (Scenario, error) {
	for i, s := range Scenarios {
		if s.ID == name || fmt.Sprint(i+1) == name {
			return s, nil
		}
	}
	return Scenario{}, fmt.Errorf("%q: %w", name, ErrNoSuchScenario)
}
