package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Wire says how much of the conversations the story prints.
type Wire string

// How much that can be.
const (
	WireFold Wire = "fold" // the commands that matter; the empty value is this
	WireAll  Wire = "all"
	WireNone Wire = "none"
)

// Options are what a run can be told. The zero value plays everything in
// English, for a file.
type Options struct {
	// Scenarios are IDs, or numbers from 1; none is all of them.
	Scenarios []string
	Lang      Lang
	Wire      Wire
	// JSON writes the report as JSON instead of the story.
	JSON bool

	Width  int  // columns of the terminal; 0 is 80
	Colour bool // only where there is a terminal
	ASCII  bool // no characters outside ASCII but those of the language

	// Pause is called after each step; an error ends the run.
	Pause func(context.Context) error

	// Latency is added to each round trip between a device and the server.
	Latency time.Duration
}

// Errors of Run. Others are failures of the system that was watched.
var (
	ErrNoSuchScenario = errors.New("no such scenario")
	ErrContradicted   = errors.New("a measurement contradicts its lesson")
	ErrNoSuchThing    = errors.New("no such device, action or mail")
)

// Limit is how long a run may take, pauses apart.
const Limit = 2 * time.Minute

// Run plays scenarios on a server, tells the story as it goes and returns
// what was measured. The error is about the run itself: what a measurement
// says against its lesson is told by the report's Err.
func Run(ctx context.Context, server Server, o Options, w io.Writer) (*Report, error) {
	if o.Lang == "" {
		o.Lang = English
	}
	if o.Wire == "" {
		o.Wire = WireFold
	}
	if o.Pause == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Limit)
		defer cancel()
	}
	chosen := Scenarios
	if len(o.Scenarios) > 0 {
		chosen = nil
		for _, name := range o.Scenarios {
			s, err := find(name)
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, s)
		}
	}
	p := newPlay(server, o, w)
	if o.JSON {
		p.story = newStory(io.Discard, o)
	}
	p.story.opening(server, len(chosen))
	for _, s := range chosen {
		if err := p.scenario(ctx, s); err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.ID, err)
		}
	}
	p.report.close(p.recorder)
	p.story.closing(p.report)
	if o.JSON {
		return p.report, p.report.WriteJSON(w)
	}
	return p.report, p.story.err
}

// play is a run under way.
type play struct {
	Options
	server   Server
	recorder *recorder
	story    *story
	report   *Report
	accounts map[string]Account
}

func newPlay(server Server, o Options, w io.Writer) *play {
	return &play{
		Options: o, server: server, recorder: &recorder{server: server, latency: o.Latency},
		story: newStory(w, o), report: newReport(o, server), accounts: make(map[string]Account),
	}
}

// account asks for the account of a role, once.
func (p *play) account(ctx context.Context, role string) (Account, error) {
	if a, ok := p.accounts[role]; ok {
		return a, nil
	}
	a, err := p.server.Account(ctx, role)
	if err != nil {
		return Account{}, fmt.Errorf("an account for %s: %w", role, err)
	}
	if p.server.Shared && role != "bob" {
		if err := mustBeEmpty(ctx, p.server, a); err != nil {
			return Account{}, err
		}
	}
	p.accounts[role] = a
	return a, nil
}

// scenario plays a scenario in its lanes: all of them step by step where each
// has an account of its own, else one after the other.
func (p *play) scenario(ctx context.Context, s Scenario) error {
	p.story.title(s)
	p.report.begin(s, p.Lang)
	lanes := p.server.offers(s.Lanes)
	if !p.server.Shared {
		return p.lanes(ctx, s, lanes)
	}
	for _, lane := range lanes {
		if err := p.lanes(ctx, s, []Column{lane}); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) lanes(ctx context.Context, s Scenario, lanes []Column) (err error) {
	stages, err := p.raise(ctx, s, lanes)
	defer func() {
		for _, st := range stages {
			st.close()
		}
		err = errors.Join(err, p.sweep(ctx, stages))
	}()
	if err != nil {
		return err
	}
	for i := range s.Steps {
		if err := p.step(ctx, s, i, stages, nil); err != nil {
			return fmt.Errorf("step %d, %w", i+1, err)
		}
		if p.Pause != nil {
			if err := p.Pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// raise sets up a stage for each lane. With an error it returns those that
// are there already, which need to be closed.
func (p *play) raise(ctx context.Context, s Scenario, lanes []Column) (stages []*stage, err error) {
	bob, err := p.account(ctx, "bob")
	if err != nil {
		return nil, err
	}
	for _, lane := range lanes {
		a, err := p.account(ctx, lane.role())
		if err != nil {
			return stages, err
		}
		st := newStage(p.recorder, s, p.Lang, lane, a, bob)
		stages = append(stages, st)
		if p.server.Shared {
			if err := st.looker.begin(ctx); err != nil {
				return stages, err
			}
		}
	}
	return stages, nil
}

// step plays step i of a scenario in all lanes that it is for, and measures.
// done, if there is one, is called after each lane.
func (p *play) step(ctx context.Context, s Scenario, i int, stages []*stage, done func(*stage) error) error {
	step := s.Steps[i]
	p.story.step(i+1, len(s.Steps), step)
	p.report.step(i, step, p.Lang)
	for _, st := range stages {
		if !step.In(st.column) {
			continue
		}
		if err := step.do(ctx, st); err != nil {
			return fmt.Errorf("%s: %w", st.column.In(English), err)
		}
		p.story.wire(p.recorder, step, st, len(stages) > 1 || len(s.Lanes) > 1)
		for _, f := range step.Facts {
			r := st.ask(s, f)
			r.step = i
			p.report.add(r)
			p.story.fact(r)
		}
		if done != nil {
			if err := done(st); err != nil {
				return err
			}
		}
	}
	p.story.why(step)
	return nil
}

// sweep removes what a scenario has left. It does so even when the run was
// cancelled, because the accounts may be somebody's.
func (p *play) sweep(ctx context.Context, stages []*stage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	done := make(map[Account]bool)
	var failed []error
	for _, st := range stages {
		for _, a := range []Account{st.account, st.bob} {
			if !done[a] {
				done[a] = true
				failed = append(failed, sweep(ctx, p.server, a, st.folders))
			}
		}
	}
	return errors.Join(failed...)
}

// ask measures a fact.
func (st *stage) ask(s Scenario, f Fact) Result {
	v, refs := f.measure(st)
	if len(refs) == 0 {
		v = Value{}
	}
	r := Result{
		Scenario: s.ID, Column: st.column, Axis: f.Axis, Text: f.Text.In(st.lang),
		Value: v, Shown: v.In(st.lang), Evidence: refs, Lesson: Untaught, text: f.Text,
	}
	if c := f.lesson[st.column]; c != nil {
		r.Lesson = Confirmed
		if v.Kind == "" || !c(v) {
			r.Lesson = Contradicted
		}
	}
	return r
}
