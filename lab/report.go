package lab

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"time"
)

// Report is what a run has measured, with everything that proves it.
type Report struct {
	Lang          Lang           `json:"lang"`
	Started       time.Time      `json:"started"`
	Seconds       float64        `json:"seconds"`
	Table         []Row          `json:"table"`
	Scenarios     []Told         `json:"scenarios"`
	Contradicted  int            `json:"contradicted"`
	Conversations []Conversation `json:"conversations"`

	server  Server
	latency time.Duration
}

// Row is a row of the table: an axis, with a cell for each of Columns.
type Row struct {
	Axis  Axis   `json:"axis"`
	Name  string `json:"name"`
	Cells []Cell `json:"cells"`
}

// Cell is the latest result for an axis in a column, or none.
type Cell struct {
	Column Column  `json:"column"`
	Shown  string  `json:"shown"`
	Result *Result `json:"result,omitempty"`
}

// Told is a scenario as it was played.
type Told struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Latency int64    `json:"latency_ms,omitempty"` // added to each round trip
	Steps   []string `json:"steps"`
	Results []Result `json:"results"`
}

// Result is a fact in one lane.
type Result struct {
	Scenario string `json:"scenario"`
	Column   Column `json:"column"`
	Axis     Axis   `json:"axis,omitempty"`
	Text     string `json:"text"`
	Value    Value  `json:"value"`
	Shown    string `json:"shown"`
	Evidence []Ref  `json:"evidence"`
	Lesson   Lesson `json:"lesson,omitempty"`

	text Words
	step int // of the scenario, from 0
}

// Question is what was measured, in any language; Text is it in the run's.
func (r Result) Question(l Lang) string { return r.text.In(l) }

// Step is the step of the scenario after which it was measured, from 1.
func (r Result) Step() int { return r.step + 1 }

// Lesson says how a result stands to what is taught.
type Lesson string

// How it can stand.
const (
	Untaught     Lesson = "" // a mere figure
	Confirmed    Lesson = "confirmed"
	Contradicted Lesson = "contradicted"
)

// Conversation is one connection as its client saw it.
type Conversation struct {
	ID           int    `json:"id"`
	Who          string `json:"who"`
	Column       Column `json:"column"`
	Proto        string `json:"proto"`
	Remote       string `json:"remote"`
	ClientOctets int64  `json:"client_octets"`
	ServerOctets int64  `json:"server_octets"`
	Trips        int64  `json:"round_trips"`
	Lines        []Line `json:"lines"`
}

// Line is one line of it; its number is its place, from 1.
type Line struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"` // in the format of conversation files
}

func newReport(o Options, server Server) *Report {
	return &Report{Lang: o.Lang, Started: time.Now(), latency: o.Latency, server: server}
}

func (r *Report) begin(s Scenario, lang Lang) {
	r.Scenarios = append(r.Scenarios, Told{ID: s.ID, Title: s.Title.In(lang), Latency: r.latency.Milliseconds()})
}

// step takes a step down, once however many lanes take turns.
func (r *Report) step(i int, s Step, lang Lang) {
	told := &r.Scenarios[len(r.Scenarios)-1]
	if i == len(told.Steps) {
		told.Steps = append(told.Steps, s.Actor.In(lang)+colon.In(lang)+s.Text.In(lang))
	}
}

func (r *Report) add(result Result) {
	told := &r.Scenarios[len(r.Scenarios)-1]
	told.Results = append(told.Results, result)
	if result.Lesson == Contradicted {
		r.Contradicted++
	}
}

// close makes the table and takes the conversations over.
func (r *Report) close(rec *recorder) {
	for _, c := range rec.conversations {
		r.Seconds = max(r.Seconds, c.latest().Sub(r.Started).Seconds())
	}
	r.tabulate()
	for _, c := range rec.conversations {
		s := c.session()
		told := Conversation{
			ID: c.id, Who: c.who.In(r.Lang), Column: c.column, Proto: c.proto, Remote: c.remote,
			ClientOctets: s.ClientOctets, ServerOctets: s.ServerOctets, Trips: s.Trips,
		}
		for _, line := range s.Lines {
			told.Lines = append(told.Lines, Line{line.Time, line.String()})
		}
		r.Conversations = append(r.Conversations, told)
	}
}

func (r *Report) tabulate() {
	for _, a := range axes {
		row := Row{Axis: a.axis, Name: a.name.In(r.Lang)}
		for _, column := range r.server.offers(Columns) {
			row.Cells = append(row.Cells, r.cell(a.axis, column))
		}
		r.Table = append(r.Table, row)
	}
}

// Join makes one report of several runs. For its table a later run counts more
// than an earlier one. Conversations get new numbers; what a run has said in its
// own language stays.
func Join(lang Lang, runs []*Report) *Report {
	all := &Report{Lang: lang}
	for _, r := range runs {
		if all.Started.IsZero() || r.Started.Before(all.Started) {
			all.Started = r.Started
		}
		all.Seconds += r.Seconds
		all.Contradicted += r.Contradicted
		all.server = r.server
		known := len(all.Conversations)
		for _, told := range r.Scenarios {
			told.Results = slices.Clone(told.Results)
			for i := range told.Results {
				x := &told.Results[i]
				x.Evidence = slices.Clone(x.Evidence)
				for j := range x.Evidence {
					x.Evidence[j].Conversation += known
				}
			}
			all.Scenarios = append(all.Scenarios, told)
		}
		for _, c := range r.Conversations {
			c.ID += known
			all.Conversations = append(all.Conversations, c)
		}
	}
	all.tabulate()
	return all
}

func (r *Report) cell(axis Axis, column Column) Cell {
	c := Cell{Column: column, Shown: wordUnknown.In(r.Lang)}
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Results {
			result := &r.Scenarios[i].Results[j]
			if result.Axis == axis && result.Column == column {
				c.Result, c.Shown = result, result.Shown
			}
		}
	}
	return c
}

// Err returns ErrContradicted when some result is not what its lesson says.
func (r *Report) Err() error {
	if r.Contradicted == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of the results above are marked", ErrContradicted, r.Contradicted)
}

// WriteJSON writes everything.
func (r *Report) WriteJSON(w io.Writer) error { return WriteJSON(w, r) }

// WriteCSV writes the results, one a line.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"scenario", "column", "axis", "fact", "result", "kind", "n", "of", "after_ns", "lesson", "evidence"})
	for _, s := range r.Scenarios {
		for _, x := range s.Results {
			v := x.Value
			c.Write([]string{x.Scenario, string(x.Column), string(x.Axis), x.Text, x.Shown, string(v.Kind),
				fmt.Sprint(v.N), fmt.Sprint(v.Of), fmt.Sprint(int64(v.After)), string(x.Lesson), evidence(x.Evidence)})
		}
	}
	c.Flush()
	return c.Error()
}
