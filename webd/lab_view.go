package webd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
)

// What the templates of the lab draw. All of it is the board of a run, put
// into the visitor's language; nothing is made up here.

// actionKeys are the words on the buttons of free play.
var actionKeys = map[lab.Action]string{
	lab.ActFetch: "lab.act-fetch", lab.ActOpen: "lab.act-open", lab.ActDelete: "lab.act-delete", lab.ActReply: "lab.act-reply",
	lab.ActMove: "lab.act-move", lab.ActOffline: "lab.act-offline", lab.ActLose: "lab.act-lose",
}

// labClass is the colour of a way of reading.
func labClass(c lab.Column) string {
	switch c {
	case lab.Delete, lab.Keep:
		return "pop"
	case lab.IMAP:
		return "imap"
	case lab.Web:
		return "web"
	}
	return "mix"
}

func protoClass(proto string) string {
	switch strings.TrimSuffix(proto, "s") {
	case "pop3":
		return "pop"
	case "imap":
		return "imap"
	case "http":
		return "web"
	}
	return "smtp"
}

func (v *visit) labChoices(here string) []labChoice {
	runs := v.s.labs.runs(v)
	var all []labChoice
	for i, s := range allScenarios() {
		_, done := runs[s.ID]
		all = append(all, labChoice{N: i + 1, ID: s.ID, Title: s.Title.In(v.labLang()), Here: s.ID == here, Done: done})
	}
	return all
}

func labNotes(v *visit) []string {
	return []string{v.T("lab.note-keep"), v.T("lab.note-uidl"), v.T("lab.note-snapshot"), v.T("lab.note-cache"), v.T("lab.note-web"), v.T("lab.note-space"), v.T("lab.note-local")}
}

// waysOf are the columns that this server has.
func (s *Server) waysOf(columns []lab.Column) []lab.Column {
	return slices.DeleteFunc(slices.Clone(columns), func(c lab.Column) bool { return c == lab.Web && s.Lab.Web == "" })
}

func (v *visit) labPage(sc lab.Scenario) labPage {
	l := v.labLang()
	p := labPage{
		ID: sc.ID, Title: sc.Title.In(l), Choices: v.labChoices(sc.ID), Latencies: latencies, Free: sc.ID == lab.FreePlay.ID,
		Notes: labNotes(v), Table: v.labTable(),
	}
	all := allScenarios()
	p.N = 1 + slices.IndexFunc(all, func(o lab.Scenario) bool { return o.ID == sc.ID })
	p.Next = all[p.N%len(all)].ID
	if _, err := fmt.Sscan(v.URL.Query().Get("step"), &p.Wanted); err != nil || p.Wanted < 0 || p.Wanted > len(sc.Steps) {
		p.Wanted = 0
	}
	board := &lab.Board{Scenario: sc, Started: time.Now()}
	guesses := map[string]int{}
	if r := v.s.labs.runs(v)[sc.ID]; r != nil {
		if b, _, live, _ := r.state(); b != nil {
			board, p.Run, p.Live, p.Latency = b, r.n, live, int(r.latency.Milliseconds())
			p.Failed, p.Left = r.hasFailed(), max(0, int(time.Until(r.ends).Seconds()))
			guesses = r.guessed()
		}
	}
	p.Played, p.Last = board.Played, board.Played == len(sc.Steps)
	for i, st := range sc.Steps {
		s := labStep{N: i + 1, Actor: st.Actor.In(l), Text: st.Text.In(l), Why: st.Why.In(l), RFC: st.RFC, URL: rfcURL(st.RFC), Done: i < p.Played, Here: i == p.Played-1}
		if st.Only != nil {
			var ways []string
			for _, c := range st.Only {
				ways = append(ways, c.In(l))
			}
			s.Ways = strings.Join(ways, ", ")
		}
		p.Steps = append(p.Steps, s)
	}
	if p.Played > 0 {
		p.Say = &p.Steps[p.Played-1]
		for _, r := range board.Results {
			if r.Step() != p.Played {
				continue
			}
			found := v.labResult(sc, r, guesses)
			i := slices.IndexFunc(p.Facts, func(f labFact) bool { return f.Text == found.Text })
			if i < 0 {
				i = len(p.Facts)
				p.Facts = append(p.Facts, labFact{Text: found.Text})
			}
			p.Facts[i].Results = append(p.Facts[i].Results, found)
		}
	}
	if !p.Last {
		p.Guess = v.labGuess(sc, p.Played, guesses)
	}
	p.Lanes = v.labLanes(board, p.Free && p.Live)
	p.Several = len(p.Lanes) > 1
	p.Talks = v.labTalks(board)
	p.Timeline = v.labTimeline(board)
	if p.Free && p.Live {
		p.Console = v.labConsole(board)
	}
	return p
}

func (r *labRun) hasFailed() bool {
	if !r.mu.TryLock() {
		return false // it is playing
	}
	defer r.mu.Unlock()
	return r.failed
}

func (r *labRun) guessed() map[string]int {
	if !r.mu.TryLock() {
		return map[string]int{} // while it plays there is nothing to reveal
	}
	defer r.mu.Unlock()
	some := map[string]int{}
	for k, n := range r.guesses {
		some[k] = n
	}
	return some
}

// rfcURL is where "RFC 9051 §6.4.8" can be read.
func rfcURL(name string) string {
	number, section, _ := strings.Cut(strings.TrimPrefix(name, "RFC "), " §")
	if number == "" {
		return ""
	}
	return "https://www.rfc-editor.org/rfc/rfc" + number + ".html#section-" + section
}

func (v *visit) labResult(sc lab.Scenario, r lab.Result, guesses map[string]int) labResult {
	l := v.labLang()
	found := labResult{At: slices.Index(v.s.waysOf(sc.Lanes), r.Column), Way: r.Column.In(l), Class: labClass(r.Column), Text: r.Question(l), Shown: r.Value.In(l), Lesson: r.Lesson}
	var names []string
	for _, ref := range r.Evidence {
		names = append(names, ref.String())
		found.URL = refURL(ref)
	}
	found.Refs = strings.Join(names, " ")
	step := sc.Steps[r.Step()-1]
	if g := step.Guess(); g != nil && g.Text.In(l) == r.Question(l) {
		if n, ok := guesses[guessKey(r.Step()-1, r.Column)]; ok && n >= 0 && n < len(g.Choices) {
			found.Guess, found.Right = g.Choices[n].In(l), g.Choices[n].Is(r.Value)
		}
	}
	return found
}

func refURL(ref lab.Ref) string { return fmt.Sprintf("#c%d-%d", ref.Conversation, ref.From) }

func (v *visit) labGuess(sc lab.Scenario, next int, guesses map[string]int) *labGuess {
	if next >= len(sc.Steps) {
		return nil
	}
	step := sc.Steps[next]
	f := step.Guess()
	if f == nil {
		return nil
	}
	l := v.labLang()
	g := &labGuess{Text: f.Text.In(l)}
	for _, c := range v.s.waysOf(sc.Lanes) {
		if !step.In(c) {
			continue
		}
		key := guessKey(next, c)
		chosen, has := guesses[key]
		lane := labGuessLane{Way: c.In(l), Class: labClass(c), Name: "guess." + key}
		for i, value := range f.Choices {
			lane.Choices = append(lane.Choices, labGuessChoice{i, value.In(l), has && chosen == i})
		}
		g.Lanes = append(g.Lanes, lane)
	}
	return g
}

// labLanes are the rows of the board. Before a run they are empty.
func (v *visit) labLanes(b *lab.Board, free bool) []labLane {
	l := v.labLang()
	lanes := b.Lanes
	if lanes == nil {
		for _, c := range v.s.waysOf(b.Scenario.Lanes) {
			lanes = append(lanes, lab.Lane{Column: c, Devices: []lab.Card{{Name: lab.Words{EN: v.T("lab.pc"), JA: v.T("lab.pc")}, Place: lab.PlaceA}, {Name: lab.Words{EN: v.T("lab.phone"), JA: v.T("lab.phone")}, Place: lab.PlaceB}}})
		}
	}
	var rows []labLane
	for _, lane := range lanes {
		row := labLane{Column: lane.Column, Class: labClass(lane.Column), Name: lane.Column.In(l)}
		switch lane.Column {
		case lab.Delete:
			row.Name, row.Sub = "POP3", v.T("lab.way-delete")
		case lab.Keep:
			row.Name, row.Sub = "POP3", v.T("lab.way-keep")
		}
		for _, d := range lane.Devices {
			c := v.labCard(lane.Column, d, free)
			if d.Place == lab.PlaceA {
				row.A = append(row.A, c)
			} else {
				row.B = append(row.B, c)
			}
		}
		row.Server = v.labServer(lane)
		rows = append(rows, row)
	}
	return rows
}

func (v *visit) labCard(column lab.Column, d lab.Card, free bool) labCard {
	c := labCard{
		Name: d.Name.In(v.labLang()), Role: d.Role, Class: labClass(column), Column: column,
		Online: d.Online, Lost: d.Lost, Doing: d.Doing, Talk: d.Talk,
	}
	own := 0
	for _, m := range d.Mails {
		mark := "unread"
		if m.Seen {
			mark = "read"
		}
		if m.Here {
			own++
		}
		c.Mails = append(c.Mails, labMail{ID: m.ID, Subject: v.labSubject(m), Folder: v.labFolder(m.Folder), Mark: mark, Fresh: m.Fresh, Here: m.Here})
	}
	c.Mails = inboxFirst(c.Mails)
	switch {
	case d.Lost:
		c.Left = v.T("lab.lost")
	case d.Talk == 0:
		c.Left = v.T("lab.not-yet")
	case column == lab.Web:
		c.Left = v.T("lab.shows", len(d.Mails))
		if own == 0 {
			c.Left = v.T("lab.shows-only", len(d.Mails))
		}
	case own == len(d.Mails):
		c.Left = v.T("lab.has", own)
	default:
		c.Left = v.T("lab.shows-has", len(d.Mails), own)
	}
	if d.Octets > 0 {
		c.Right = v.T("lab.received", sizeText(d.Octets))
	}
	if free {
		for _, a := range lab.Actions {
			if d.Lost && a != lab.ActFetch {
				continue
			}
			if a.Mailed() && !slices.ContainsFunc(c.Mails, func(m labMail) bool { return m.Folder == "" }) {
				continue // there is none to choose
			}
			c.Actions = append(c.Actions, labAction{fmt.Sprintf("act %s %s %s", column, d.Role, a), v.T(actionKeys[a]), a.Mailed()})
		}
	}
	return c
}

// inboxFirst puts the mails of all cards into one order, so that the eye can
// compare them.
func inboxFirst(mails []labMail) []labMail {
	slices.SortStableFunc(mails, func(a, b labMail) int {
		return cmp.Or(cmp.Compare(a.Folder, b.Folder), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return mails
}

func (v *visit) labSubject(m lab.Mail) string { return cmp.Or(m.Subject, v.T("list.no-subject")) }

// labFolder is a folder's name, and nothing for the inbox.
func (v *visit) labFolder(name string) string {
	for _, s := range special {
		if strings.EqualFold(strings.TrimPrefix(s.use, `\`), name) {
			if name == "INBOX" {
				return ""
			}
			return v.T(s.key)
		}
	}
	return name
}

func (v *visit) labServer(lane lab.Lane) labServer {
	s := labServer{Address: lane.Address, Class: labClass(lane.Column), Known: lane.Server.Known}
	if !s.Known {
		return s
	}
	pop := lane.Column == lab.Delete || lane.Column == lab.Keep
	for _, m := range lane.Server.Mails {
		found := labMail{ID: m.ID, Subject: v.labSubject(m), Folder: v.labFolder(m.Folder), Fresh: m.Fresh, Mark: "unread"}
		switch {
		case pop:
			found.Mark = "none"
		case m.Seen:
			found.Mark = "read"
		}
		if !pop {
			var flags []string
			for _, f := range m.Flags {
				if strings.HasPrefix(f, `\`) {
					flags = append(flags, f)
				}
			}
			found.Flags = strings.Join(flags, " ")
		}
		s.Mails = append(s.Mails, found)
	}
	s.Mails = inboxFirst(s.Mails)
	n := len(s.Mails)
	switch {
	case n == 0:
		s.Left = v.T("lab.server-empty")
	case pop:
		s.Left = v.T("lab.server-pop", n)
	default:
		s.Left = v.T("lab.server-unread", n, lane.Server.Unseen())
	}
	if n > 0 {
		s.Right = sizeText(lane.Server.Octets)
	}
	return s
}
