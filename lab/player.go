package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// Player plays one scenario step by step, for somebody who watches. There is
// no way back: real connections cannot be wound back, so going back is a new
// player that plays up to the step before, on fresh accounts.
//
// Its methods are for one goroutine at a time, except Board.
type Player struct {
	ctx      context.Context // the connections stay open between the steps
	play     *play
	scenario Scenario
	stages   []*stage
	played   int
	before   *Board // before the step under way
	board    atomic.Pointer[Board]
	changed  func()
	free     int // letters that were written in free play
	console  *Console
}

// NewPlayer sets up a scenario; nothing has happened yet. The player's
// connections end with ctx. changed is called, where Next runs, whenever
// Board has something new.
func NewPlayer(ctx context.Context, server Server, scenario string, o Options, changed func()) (*Player, error) {
	s, err := find(scenario)
	if scenario == FreePlay.ID {
		s, err = FreePlay, nil
	}
	if err != nil {
		return nil, err
	}
	if o.Lang == "" {
		o.Lang = English
	}
	o.Wire = WireNone
	p := &Player{ctx: ctx, play: newPlay(server, o, io.Discard), scenario: s, changed: changed}
	p.play.report.begin(s, o.Lang)
	if p.stages, err = p.play.raise(ctx, s, server.offers(s.Lanes)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.play.recorder.watch = func() { p.show() }
	return p, p.survey()
}

// Next plays the next step. After the last one it returns io.EOF.
func (p *Player) Next() error {
	if p.played == len(p.scenario.Steps) {
		return io.EOF
	}
	p.before = p.Board()
	p.played++
	err := p.play.step(p.ctx, p.scenario, p.played-1, p.stages, func(st *stage) error {
		defer p.show()
		return st.survey(p.ctx)
	})
	p.show()
	if err != nil {
		return fmt.Errorf("step %d, %w", p.played, err)
	}
	return nil
}

// Board is the latest moment. It may be called from any goroutine.
func (p *Player) Board() *Board { return p.board.Load() }

// Report is what has been measured so far.
func (p *Player) Report() *Report {
	r := *p.play.report
	r.close(p.play.recorder)
	return &r
}

// Close takes all devices down.
func (p *Player) Close() error {
	p.play.recorder.watch = nil
	if p.console != nil {
		p.console.Close()
	}
	for _, st := range p.stages {
		st.close()
	}
	if p.board.Load() != nil {
		p.show()
	}
	return nil
}

// survey asks the server of all lanes.
func (p *Player) survey() error {
	for _, st := range p.stages {
		if err := st.survey(p.ctx); err != nil {
			return err
		}
	}
	p.show()
	return nil
}

func (p *Player) show() {
	p.board.Store(p.play.board(p.scenario, p.stages, p.played, p.before))
	if p.changed != nil {
		p.changed()
	}
}
