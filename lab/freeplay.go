package lab

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// FreePlay is no story: the devices wait for whatever a person does with
// them. It is not among Scenarios.
var FreePlay = Scenario{
	ID:    "free",
	Title: Words{"Free play: try it yourself", "自由に試す"},
	Lanes: []Column{Delete, Keep, IMAP, Web},
}

// Action is what a person can do with a device in free play.
type Action string

// The actions.
const (
	ActFetch   Action = "fetch"
	ActOpen    Action = "open"
	ActDelete  Action = "delete"
	ActReply   Action = "reply"
	ActMove    Action = "move"
	ActOffline Action = "offline"
	ActLose    Action = "lose"
)

// Actions are all there are, in the order of the buttons.
var Actions = []Action{ActFetch, ActOpen, ActDelete, ActReply, ActMove, ActOffline, ActLose}

// Mailed reports whether the action is done to a mail.
func (a Action) Mailed() bool {
	return a == ActOpen || a == ActDelete || a == ActReply || a == ActMove
}

// maxFree is how many letters one free play may write, answers included.
const maxFree = 40

// Deliver lets Hanako send the same letter to all lanes.
func (p *Player) Deliver() error {
	l, err := p.letter(meeting)
	if err != nil {
		return err
	}
	return p.act(func() error {
		for _, st := range p.stages {
			if err := deliver(l)(p.ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}

// letter is a new letter like another.
func (p *Player) letter(like letter) (letter, error) {
	if p.free == maxFree {
		return letter{}, fmt.Errorf("%d letters: %w", maxFree, ErrTooMuch)
	}
	p.free++
	like.id = fmt.Sprintf("f%d", p.free)
	like.subject = like.subject.and(fmt.Sprintf(" (%d)", p.free))
	return like, nil
}

// Act does something with a device: role is that of its card, mail the ID of
// a letter. What the server refuses is not an error: it is in the
// conversation.
func (p *Player) Act(column Column, role string, a Action, mail string) error {
	i := slices.IndexFunc(p.stages, func(st *stage) bool { return st.column == column })
	if i < 0 || p.scenario.ID != FreePlay.ID {
		return ErrNoSuchThing
	}
	st := p.stages[i]
	d := map[string]Device{"pc": st.pc, "phone": st.phone}[role]
	if d == nil || !slices.Contains(Actions, a) {
		return ErrNoSuchThing
	}
	if a.Mailed() && d.base().find(mail, "") == nil {
		return ErrNoSuchThing
	}
	if d.base().lost && a != ActFetch {
		return ErrNoSuchThing // it is at the bottom of the sea
	}
	if !reaches(d) && asksServer(d, a, mail) {
		return ErrOffline
	}
	return p.act(func() error {
		err := p.do(st, d, a, mail)
		if err != nil && p.ctx.Err() == nil {
			hangUp(d)
			err = nil // whatever it was, the conversation shows it
		}
		return err
	})
}

// reaches reports whether a device could ask the server for something.
func reaches(d Device) bool {
	switch d := d.(type) {
	case *IMAPDevice:
		return d.conn != nil
	case *WebDevice:
		return d.conn != nil
	}
	return !d.base().offline // a POP3 program connects when it has to
}

// asksServer reports whether a device cannot do something to a mail by itself.
func asksServer(d Device, a Action, mail string) bool {
	switch a {
	case ActDelete, ActReply:
		return true
	case ActMove:
		_, own := d.(*POP3Device) // whose folders are its own
		return !own
	case ActOpen:
		return d.base().find(mail, "").raw == nil
	}
	return false
}

func (p *Player) do(st *stage, d Device, a Action, mail string) error {
	switch a {
	case ActFetch:
		d.base().lost, d.base().offline = false, false // or it is a new one of the same kind
		if err := d.Fetch(p.ctx); err != nil {
			return err
		}
		if l, ok := d.(listener); ok && !l.listening() {
			return l.Idle()
		}
		return nil
	case ActOpen:
		return d.Open(p.ctx, mail)
	case ActDelete:
		return d.Discard(p.ctx, mail)
	case ActMove:
		return d.File(p.ctx, mail, projects)
	case ActReply:
		l, err := p.letter(answer)
		if err != nil {
			return err
		}
		if err := sendLetter(p.ctx, st, d, l); err != nil {
			return err
		}
		if _, byServer := d.(*WebDevice); byServer {
			return nil // it keeps the copy, once it has sent
		}
		return d.KeepSent(p.ctx, l, st.sent)
	case ActOffline:
		d.base().offline = true
		return d.Disconnect()
	case ActLose:
		hangUp(d)
		d.base().lose()
	}
	return nil
}

// settle is how long free play waits for what the server tells other devices.
const settle = 100 * time.Millisecond

// act does something and then lets everybody who is listening hear of it.
func (p *Player) act(do func() error) error {
	p.before = p.Board()
	if err := do(); err != nil {
		return err
	}
	for _, st := range p.stages {
		for _, d := range []Device{st.pc, st.phone} {
			if l, ok := d.(listener); ok {
				l.hearAll(p.ctx, settle+p.play.Latency)
			}
		}
	}
	return p.survey()
}

func (d *IMAPDevice) hearAll(ctx context.Context, quiet time.Duration) {
	if d.idle == nil {
		return
	}
	stop := time.NewTimer(quiet)
	defer stop.Stop()
	news := false
	for {
		select {
		case push := <-d.heard:
			d.apply(push)
			news = news || push.kind == heardMail
			stop.Reset(quiet)
		case <-ctx.Done():
			return
		case <-stop.C:
			if news {
				_ = d.Fetch(ctx) // a refusal is in the conversation
			}
			return
		}
	}
}

// hangUp ends all connections of a device after something went wrong.
func hangUp(d Device) {
	for _, c := range d.base().talks {
		c.Close()
	}
	switch d := d.(type) {
	case *IMAPDevice:
		d.conn, d.client, d.idle = nil, nil, nil
	case *POP3Device:
		d.conn = nil
	case *WebDevice:
		d.conn, d.heard = nil, nil
	}
}
