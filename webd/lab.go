package webd

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/wiretap"
)

// The compare lab: scenarios that are played with real clients, step by step.
func (s *Server) labRoutes(m *routes) {
	if s.Lab == nil {
		return
	}
	m.user("GET /lab", s.showLab)
	m.user("GET /lab/{scenario}", s.showScenario)
	m.user("GET /lab/{scenario}/events", s.labEvents)
	m.user("GET /lab/{scenario}/{file}", s.labFile)
	m.write("POST /lab", smallForm, s.measureAll)
	m.write("POST /lab/{scenario}", smallForm, s.playLab)
}

// allScenarios are those of the lab, with free play at the end.
func allScenarios() []lab.Scenario { return append(slices.Clone(lab.Scenarios), lab.FreePlay) }

// scenario is the one that the URL names.
func (v *visit) scenario() (lab.Scenario, error) {
	for _, s := range allScenarios() {
		if s.ID == v.PathValue("scenario") {
			return s, nil
		}
	}
	return lab.Scenario{}, errNotFound
}

func (s *Server) showLab(v *visit) error {
	return v.render("lab", v.T("title.lab"), labIndex{Choices: v.labChoices(""), Table: v.labTable(), Notes: labNotes(v)})
}

func (s *Server) showScenario(v *visit) error {
	sc, err := v.scenario()
	if err != nil {
		return err
	}
	name := "scenario"
	if v.Header.Get("X-Pane") == "stage" {
		name = "stage"
	}
	v.w.Header().Set("Vary", "X-Pane")
	return v.render(name, sc.Title.In(v.labLang())+" · "+v.T("title.lab"), v.labPage(sc))
}

func (v *visit) labLang() lab.Lang { return lab.Lang(v.language.tag()) }

// latencies are what can be added between the devices and the server.
var latencies = []int{0, 50, 200}

// playLab does what a button of the page says, and shows the page again.
func (s *Server) playLab(v *visit) error {
	sc, err := v.scenario()
	if err != nil {
		return err
	}
	do, rest, _ := strings.Cut(v.PostFormValue("do"), " ")
	r, played := s.labs.runs(v)[sc.ID], 0
	if r != nil {
		var live bool
		if played, live = r.played(); !live {
			r = nil
		}
	}
	step := played
	fresh := r == nil
	switch do {
	case "next":
		step++
		// A page that is behind, or a button that was pressed twice, must not skip.
		if from, err := strconv.Atoi(v.PostFormValue("from")); err == nil && from != played && !fresh {
			return v.toScenario(sc)
		}
		if from, err := strconv.Atoi(v.PostFormValue("from")); err == nil && fresh {
			step = from + 1
		}
	case "back":
		step, fresh = max(0, played-1), true
	case "again":
		step, fresh = 0, true
	case "to":
		if step, err = strconv.Atoi(rest); err != nil || step < 0 || step > len(sc.Steps) {
			return errForm
		}
		fresh = fresh || step < played
	case "stop":
		if r != nil {
			r.stop()
		}
		return v.toScenario(sc)
	}
	if fresh {
		// What has been played cannot be taken back: play again, up to there.
		guesses := map[string]int{}
		if r != nil {
			guesses = r.guessed()
		}
		if r, err = s.labs.begin(v, sc.ID, v.latency()); err != nil {
			return err
		}
		if do != "again" {
			r.keepGuesses(guesses)
		}
	}
	r.takeGuesses(v)
	if sc.ID == lab.FreePlay.ID {
		err = r.free(v, do, rest)
	} else {
		err = r.to(min(step, len(sc.Steps)))
	}
	if err != nil {
		return err
	}
	return v.toScenario(sc)
}

func (v *visit) toScenario(sc lab.Scenario) error {
	if v.wantsJSON() {
		return v.json(map[string]bool{"ok": true})
	}
	return v.redirect("/lab/" + sc.ID)
}

func (v *visit) latency() time.Duration {
	ms, _ := strconv.Atoi(v.PostFormValue("latency"))
	if !slices.Contains(latencies, ms) {
		ms = 0
	}
	return time.Duration(ms) * time.Millisecond
}

// keepGuesses makes the guesses of another run those of this one.
func (r *labRun) keepGuesses(guesses map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guesses = guesses
}

// takeGuesses keeps what somebody thinks will happen in the next step.
func (r *labRun) takeGuesses(v *visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, values := range v.PostForm {
		if key, ok := strings.CutPrefix(name, "guess."); ok && len(r.guesses) < 100 && len(key) < 40 {
			if n, err := strconv.Atoi(values[0]); err == nil {
				r.guesses[key] = n
			}
		}
	}
}

// guessKey names a guess.
func guessKey(step int, c lab.Column) string { return fmt.Sprintf("%d.%s", step, c) }

// free does something in free play.
func (r *labRun) free(v *visit, do, rest string) error {
	words := strings.Fields(rest)
	return r.play(func(p *lab.Player) error {
		switch {
		case do == "deliver":
			return p.Deliver()
		case do == "act" && len(words) >= 3:
			mail := v.PostFormValue("mail." + words[0] + "." + words[1])
			if len(words) > 3 {
				mail = words[3]
			}
			return p.Act(lab.Column(words[0]), words[1], lab.Action(words[2]), mail)
		case do == "connect":
			return p.Connect(v.PostFormValue("proto"), lab.Column(v.PostFormValue("column")))
		case do == "type":
			return p.Type(v.PostFormValue("line"))
		}
		return nil
	})
}

// measureAll plays every scenario to its end.
func (s *Server) measureAll(v *visit) error {
	for _, sc := range lab.Scenarios {
		r, err := s.labs.begin(v, sc.ID, v.latency())
		if err == nil {
			err = r.to(len(sc.Steps))
			r.stop()
		}
		if err != nil {
			return err
		}
	}
	return v.redirect("/lab#results")
}

// labEvents tells a browser when the page of a scenario has something new. An
// event is a hint: what is new, the page says.
func (s *Server) labEvents(v *visit) error {
	sc, err := v.scenario()
	if err != nil {
		return err
	}
	last := v.Header.Get("Last-Event-ID")
	return v.stream(func(send sender) error {
		for {
			r := s.labs.runs(v)[sc.ID]
			var changed <-chan struct{}
			if r != nil {
				var version int
				_, version, _, changed = r.state()
				played, live := r.played()
				if id := fmt.Sprintf("%d.%d", r.n, version); id != last {
					last = id
					if err := send(id, "board", fmt.Sprintf(`{"played":%d,"live":%t}`, played, live)); err != nil {
						return err
					}
				}
			}
			wait := time.NewTimer(labBeat)
			select {
			case <-changed:
			case <-wait.C: // a run that has begun since is not known here
				if err := send("", "", ""); err != nil {
					return err
				}
			case <-v.Context().Done():
				return nil
			case <-s.ctx.Done():
				return nil
			case <-v.session.ended:
				return nil
			}
			wait.Stop()
		}
	})
}

// labBeat is how often an event stream shows that it is alive.
const labBeat = time.Second

// labFile serves reports and transcripts.
func (s *Server) labFile(v *visit) error {
	if v.PathValue("scenario") == "all" {
		return v.labTableReport()
	}
	sc, err := v.scenario()
	if err != nil {
		return err
	}
	r := s.labs.runs(v)[sc.ID]
	if r == nil {
		return errNotFound
	}
	name := v.PathValue("file")
	if number, ok := strings.CutSuffix(strings.TrimPrefix(name, "c"), ".txt"); ok {
		return v.labTranscript(r, number)
	}
	return v.labReport(sc.ID, r.measured())
}

// labTableReport is about all that the table shows.
func (v *visit) labTableReport() error {
	runs := slices.SortedFunc(maps.Values(v.s.labs.runs(v)), func(a, b *labRun) int { return cmp.Compare(a.n, b.n) })
	var reports []*lab.Report
	for _, r := range runs {
		if report := r.measured(); report != nil && r.scenario != lab.FreePlay.ID {
			reports = append(reports, report)
		}
	}
	if len(reports) == 0 {
		return errNotFound
	}
	return v.labReport("all", lab.Join(v.labLang(), reports))
}

func (v *visit) labReport(about string, report *lab.Report) error {
	formats := map[string]struct {
		kind  string
		write func(*lab.Report, io.Writer) error
	}{
		"report.md":   {"text/markdown", (*lab.Report).WriteMarkdown},
		"report.csv":  {"text/csv", (*lab.Report).WriteCSV},
		"report.json": {"application/json", (*lab.Report).WriteJSON},
	}
	name := v.PathValue("file")
	f, ok := formats[name]
	if !ok || report == nil {
		return errNotFound
	}
	var b bytes.Buffer
	if name == "report.csv" {
		b.WriteString("\ufeff") // without it Excel takes Japanese for something else
	}
	if err := f.write(report, &b); err != nil {
		return err
	}
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", about+"-"+name))
	v.send(f.kind, b.Bytes())
	return nil
}

func (v *visit) labTranscript(r *labRun, number string) error {
	n, err := strconv.Atoi(number)
	board, _, _, _ := r.state()
	if err != nil || board == nil || n < 1 || n > len(board.Talks) {
		return errNotFound
	}
	t := board.Talks[n-1]
	var b bytes.Buffer
	fmt.Fprintf(&b, "# c%d  %s  %s %s\n", t.ID, t.Who.In(v.labLang()), strings.ToUpper(t.Proto), t.Remote)
	for _, line := range t.Lines {
		b.WriteString(line.Text + "\n")
		if !line.Meaning.None() && line.Dir == wiretap.Client {
			fmt.Fprintf(&b, "#   %s\n", line.Meaning.In(v.labLang()))
		}
	}
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", r.scenario+"-c"+number+".txt"))
	v.send("text/plain", b.Bytes())
	return nil
}
