package lab

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/yubin-mail/yubin/wiretap"
)

// story prints a run as it happens.
type story struct {
	Options
	w   io.Writer
	err error // the first that w returned
}

// Texts of the story.
var (
	storyOpening = Words{"%d scenarios, played by real mail clients over real connections",
		"%d本のシナリオを、本物のメールクライアントと実際の通信で確かめます"}
	storyOnly = Words{"One scenario, played by real mail clients over real connections",
		"1本のシナリオを、本物のメールクライアントと実際の通信で確かめます"}
	storyFolded  = Words{"(%d more)", "(ほかに%d行)"}
	storyAll     = Words{"Only the lines that matter are shown; --wire all shows all of them.", "通信は要点だけを表示します。--wire all ですべて表示できます。"}
	storyTable   = Words{"measured just now", "測定結果"}
	storyNothing = Words{"Nothing goes over the wire.", "通信は発生しません。"}
	storyWeb     = Words{"This server has no webmail, so there is no column for it.", "このサーバーにはWebメールがないため、表にその列はありません。"}
	storyGood    = Words{"Every result agrees with its lesson (%.1f s).", "結果はすべて解説のとおりでした(%.1f 秒)。"}
	storyBad     = Words{"%d results contradict their lesson: see the marks.", "%d件の結果が解説と食い違いました。印を確認してください。"}
	storyOther   = Words{"this contradicts the lesson", "解説と食い違っています"}
)

func newStory(w io.Writer, o Options) *story {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 40), 110)
	return &story{Options: o, w: w}
}

func (s *story) print(indent int, text string) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.w, strings.TrimRight(strings.Repeat(" ", indent)+text, " "))
	}
}

// sign chooses between a character and what ASCII has for it.
func (s *story) sign(pretty, plain string) string {
	if s.ASCII {
		return plain
	}
	return pretty
}

// Colours, by the names that terminals let their users choose shades for. Each
// protocol has one.
const (
	bold   = "1"
	faint  = "2"
	red    = "1;31"
	green  = "32"
	cyan   = "36"
	ochre  = "33"
	purple = "35"
)

func (s *story) paint(colour, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func colourOf(proto string) string {
	switch grammar(proto) {
	case "smtp":
		return cyan
	case "pop3":
		return ochre
	case "http":
		return purple
	}
	return green
}

func (s *story) opening(server Server, scenarios int) {
	const name = "yubin"
	what := storyOpening.In(s.Lang, scenarios)
	if scenarios == 1 {
		what = storyOnly.In(s.Lang)
	}
	for i, line := range wrap(name+"  "+what, s.Width) {
		if i == 0 {
			line = s.paint(bold, name) + strings.TrimPrefix(line, name)
		}
		s.print(0, line)
	}
	if s.Wire == WireFold {
		s.faintly(storyAll.In(s.Lang))
	}
	where := fmt.Sprintf("SMTP %s  POP3 %s  IMAP %s", server.SMTP, server.POP3, server.IMAP)
	if server.Web != "" {
		where += "  HTTP " + server.Web
	}
	s.faintly(where)
}

// faintly prints what is good to know, in as many lines as it takes.
func (s *story) faintly(text string) {
	for _, line := range wrap(text, s.Width) {
		s.print(0, s.paint(faint, line))
	}
}

func (s *story) title(scenario Scenario) {
	n := 0
	for i := range Scenarios {
		if Scenarios[i].ID == scenario.ID {
			n = i + 1
		}
	}
	rule := s.sign("━", "=")
	head := fmt.Sprintf("%s %d  %s ", strings.Repeat(rule, 2), n, scenario.Title.In(s.Lang))
	s.print(0, "")
	s.print(0, s.paint(bold, head+strings.Repeat(rule, max(0, s.Width-columnsOf(head)))))
}

func (s *story) step(i, n int, step Step) {
	number := fmt.Sprintf(" %d/%d  ", i, n)
	room := s.Width - len(number)
	lines := wrap(step.Actor.In(s.Lang)+colon.In(s.Lang)+step.Text.In(s.Lang), room)
	last := len(lines) - 1
	if gap := room - columnsOf(lines[last]) - len(step.RFC); gap > 1 {
		lines[last] += strings.Repeat(" ", gap) + s.paint(faint, asASCII(step.RFC, s.ASCII))
	} else if step.RFC != "" {
		lines = append(lines, s.paint(faint, asASCII(step.RFC, s.ASCII)))
	}
	s.print(0, number+lines[0])
	for _, line := range lines[1:] {
		s.print(len(number), line)
	}
}

// why tells what is to be learnt from a step.
func (s *story) why(step Step) {
	for _, line := range wrap(step.Why.In(s.Lang), s.Width-indent) {
		s.print(indent, s.paint(faint, line))
	}
}

func asASCII(rfc string, ascii bool) string {
	if ascii {
		return strings.ReplaceAll(rfc, "§", "s.")
	}
	return rfc
}

const indent = 6

// wire prints what was said in a lane since the last time.
func (s *story) wire(r *recorder, step Step, st *stage, several bool) {
	headed := several && (len(step.Facts) > 0 || s.Wire != WireNone && step.Show != "")
	if headed {
		s.print(indent, s.paint(bold, s.sign("▸ ", "> ")+st.column.In(s.Lang)))
	}
	silent, printed, folded := true, 0, 0
	for _, c := range r.news(st.column) {
		lines := c.lines()
		shown, left := s.conversation(c, step, exchanges(grammar(c.proto), lines[c.shown:], c.idling))
		c.idling = idlesAfter(grammar(c.proto), lines)
		c.shown = len(lines)
		printed += shown
		if c.proto != looking {
			silent = false
			folded += left
		}
	}
	switch {
	case s.Wire == WireNone:
	case silent && headed:
		s.print(indent, s.paint(faint, storyNothing.In(s.Lang)))
	case printed > 0 && folded > 0:
		s.print(indent, s.paint(faint, s.sign("…  ", "...  ")+storyFolded.In(s.Lang, folded)))
	}
}

// conversation prints the exchanges of one conversation that matter, and
// counts the lines that it printed and left out.
func (s *story) conversation(c *conversation, step Step, talk []exchange) (printed, folded int) {
	told := make(map[string]int)
	headed := false
	for _, x := range talk {
		lines := s.choose(c, step, x, told)
		printed += len(lines)
		folded += len(x.lines) - len(lines)
		if len(lines) > 0 && !headed {
			headed = true
			head := fmt.Sprintf("c%d  %s  %s %s", c.id, c.who.In(s.Lang), strings.ToUpper(grammar(c.proto)), c.remote)
			s.print(indent, s.paint(colourOf(c.proto), head))
		}
		for _, line := range lines {
			s.line(c, x.verb, line)
		}
	}
	return printed, folded
}

// repeats is how often the folded story shows the same command.
const repeats = 1

// choose picks the lines of an exchange that are to be printed.
func (s *story) choose(c *conversation, step Step, x exchange, told map[string]int) []wiretap.Line {
	switch {
	case s.Wire == WireNone:
		return nil
	case s.Wire == WireAll:
		return x.lines
	case x.pushed:
		return x.lines
	case c.proto == looking || !slices.Contains(strings.Fields(step.Show), x.verb):
		return nil
	}
	if told[x.verb]++; told[x.verb] > repeats {
		return nil
	}
	return essence(grammar(c.proto), x.lines)
}

// essence is the command and what was answered, without what is in between.
func essence(proto string, lines []wiretap.Line) (chosen []wiretap.Line) {
	for i, line := range lines {
		switch {
		case i == 0:
		case line.Body || line.Dir != wiretap.Server || len(chosen) > 2:
			continue
		case proto != "imap":
			if len(chosen) > 1 {
				continue
			}
		case strings.HasPrefix(line.Text, "* "):
			if !slices.ContainsFunc(telling, func(word string) bool { return strings.Contains(line.Text, word) }) {
				continue
			}
		case strings.HasPrefix(line.Text, ")"), len(chosen) > 1:
			continue
		}
		chosen = append(chosen, line)
	}
	return chosen
}

// telling are the untagged responses that a story needs.
var telling = []string{" EXISTS", " FETCH ", " EXPUNGE", " LIST "}

// explained is the column in which explanations begin.
const explained = 40

func (s *story) line(c *conversation, verb string, line wiretap.Line) {
	meaning := explain(c.proto, verb, line, s.Lang)
	text := line.String()
	if s.Wire != WireAll {
		text, _, _ = strings.Cut(text, "\n")
	}
	text = printable(strings.ReplaceAll(Legible(text), "\t", "    "), s.ASCII)
	room := s.Width - indent
	if s.Wire != WireAll {
		text = clip(text, room, s.sign("…", "..."))
	}
	painted := text
	if line.Dir == wiretap.Client {
		painted = s.paint(colourOf(c.proto), text)
	}
	if meaning == "" {
		s.print(indent, painted)
		return
	}
	left := max(explained-indent, columnsOf(text)+2)
	if left+columnsOf(meaning) <= room {
		s.print(indent, painted+strings.Repeat(" ", left-columnsOf(text))+s.paint(faint, meaning))
		return
	}
	s.print(indent, painted)
	s.print(indent+3, s.paint(faint, s.sign("└ ", "^ ")+meaning))
}

// printable keeps what a mail says from commanding the terminal.
func printable(text string, ascii bool) string {
	if ascii {
		text = strings.ReplaceAll(text, wiretap.Mask, "****")
		text = strings.ReplaceAll(text, "…", "...")
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

// fact prints a result with its evidence.
func (s *story) fact(r Result) {
	sign, colour := s.sign("✔", "ok"), green
	switch r.Lesson {
	case Contradicted:
		sign, colour = s.sign("✖", "XX"), red
	case Untaught:
		sign, colour = s.sign("·", "-"), faint
	}
	question := " " + r.Text + colon.In(s.Lang)
	left := s.paint(colour, sign) + question + s.paint(bold, r.Shown)
	width := columnsOf(sign+question+r.Shown) + indent
	proof := "[" + evidence(r.Evidence) + "]"
	if len(r.Evidence) > 3 {
		proof = fmt.Sprintf("[%s %s]", evidence(r.Evidence[:2]), s.sign("…", "..."))
	}
	if r.Lesson == Contradicted {
		proof = storyOther.In(s.Lang) + " " + proof
	}
	if gap := s.Width - width - columnsOf(proof); gap > 0 {
		s.print(indent, left+strings.Repeat(" ", gap)+s.paint(faint, proof))
		return
	}
	s.print(indent, left)
	s.print(indent+2, s.paint(faint, proof))
}

// closing prints the table, if it has anything in it, and the verdict.
func (s *story) closing(r *Report) {
	s.print(0, "")
	if lines := s.table(r); len(lines) > 0 {
		for _, line := range lines {
			s.print(1, line)
		}
		if r.server.Web == "" {
			s.print(1, s.paint(faint, storyWeb.In(s.Lang)))
		}
	}
	if r.Contradicted > 0 {
		s.print(1, s.paint(red, storyBad.In(s.Lang, r.Contradicted)))
	} else {
		s.print(1, s.paint(green, storyGood.In(s.Lang, r.Seconds)))
	}
}
