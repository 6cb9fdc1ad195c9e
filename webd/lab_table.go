package webd

import (
	"fmt"
	"slices"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/wiretap"
)

// Sizes of the timeline, in its own units.
const (
	timeWidth = 1200
	timeLane  = 22
	timeGap   = 8 // the most that a pause takes
	timeTicks = 1500
)

// labTimeline draws one tick for each line that was said: the same place from
// the left is the same moment. Pauses are cut short.
func (v *visit) labTimeline(b *lab.Board) *labTimeline {
	type said struct {
		at    time.Time
		lane  int
		talk  *lab.Talk
		line  *lab.Spoken
		class string
	}
	lanes := map[lab.Column]int{}
	t := &labTimeline{Width: timeWidth}
	for i, lane := range b.Lanes {
		lanes[lane.Column] = i
		t.Lanes = append(t.Lanes, labTimeLane{lane.Column.In(v.labLang()), labClass(lane.Column), i * timeLane})
	}
	t.Height = len(b.Lanes) * timeLane
	var all []said
	for i := range b.Talks {
		talk := &b.Talks[i]
		for j := range talk.Lines {
			if line := &talk.Lines[j]; !talk.Looking && !line.Body && line.Dir != wiretap.Note {
				all = append(all, said{line.Time, lanes[talk.Column], talk, line, protoClass(talk.Proto)})
			}
		}
	}
	if len(all) == 0 || len(all) > timeTicks {
		return nil
	}
	slices.SortStableFunc(all, func(a, b said) int { return a.at.Compare(b.at) })
	// Within a pause of more than a moment time stands still.
	const moment = 5 * time.Millisecond
	places := make([]float64, len(all))
	for i := 1; i < len(all); i++ {
		gap := all[i].at.Sub(all[i-1].at)
		places[i] = places[i-1] + min(0.4+float64(gap)/float64(moment), timeGap)
	}
	scale := float64(timeWidth-8) / max(places[len(places)-1], 1)
	for i, s := range all {
		tick := labTick{X: 2 + int(places[i]*scale), Y: s.lane*timeLane + 3, H: timeLane - 6, Class: s.class, URL: fmt.Sprintf("#c%d-%d", s.talk.ID, s.line.N)}
		if s.line.Dir == wiretap.Server {
			tick.Y, tick.H = tick.Y+(timeLane-6)/2, (timeLane-6)/2
			tick.Class += " back"
		}
		tick.Title = s.talk.Who.In(v.labLang()) + " " + clipText(s.line.Text, 80)
		t.Ticks = append(t.Ticks, tick)
	}
	return t
}

func clipText(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// labTable is what the visitor's latest runs have measured.
func (v *visit) labTable() labTable {
	l := v.labLang()
	type key struct {
		axis   lab.Axis
		column lab.Column
	}
	type found struct {
		lab.Result
		run *labRun
	}
	latest := map[key]found{}
	for _, r := range v.s.labs.runs(v) {
		board, _, _, _ := r.state()
		if board == nil {
			continue
		}
		for _, result := range board.Results {
			k := key{result.Axis, result.Column}
			if old, ok := latest[k]; !ok || old.run.n <= r.n {
				latest[k] = found{result, r}
			}
		}
	}
	var t labTable
	columns := v.s.waysOf(lab.Columns)
	for _, c := range columns {
		t.Columns = append(t.Columns, labColumn{c.In(l), labClass(c)})
	}
	for _, axis := range lab.Axes() {
		row := labRow{Name: axis.In(l)}
		for _, c := range columns {
			r, ok := latest[key{axis, c}]
			if !ok || r.Value.Kind == "" {
				row.Cells = append(row.Cells, labCell{Shown: lab.Unmeasured(l)})
				continue
			}
			t.Measured = true
			cell := labCell{
				Shown: r.Value.In(l), Measured: true, Wrong: r.Lesson == lab.Contradicted, Run: r.run.n,
				Title: fmt.Sprintf("%s · %s", r.Question(l), v.T("lab.run", r.run.n)),
			}
			if len(r.Evidence) > 0 {
				cell.URL = "/lab/" + r.run.scenario + refURL(r.Evidence[len(r.Evidence)-1])
			}
			if r.Value.Kind == lab.Answer || r.Value.Kind == lab.Count {
				cell.Answer = map[bool]string{true: "yes", false: "no"}[r.Value.N > 0]
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
