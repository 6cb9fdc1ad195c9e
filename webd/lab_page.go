package webd

import "github.com/yubin-mail/yubin/lab"

// What the templates of the lab draw; lab_view.go and lab_table.go fill it in.

// labIndex is the page of all scenarios.
type labIndex struct {
	Choices []labChoice
	Table   labTable
	Notes   []string
}

// labChoice is a scenario to choose.
type labChoice struct {
	N          int
	ID, Title  string
	Here, Done bool
}

// labPage is one scenario.
type labPage struct {
	ID, Title string
	N         int
	Choices   []labChoice
	Steps     []labStep
	Played    int
	Run       int64 // 0: nothing has been played
	Live      bool
	Failed    bool
	Left      int // seconds until the run ends
	Latency   int // ms
	Latencies []int
	Wanted    int // the step that the URL asks for
	Say       *labStep
	Guess     *labGuess
	Facts     []labFact // of the latest step
	Lanes     []labLane
	Talks     []labTalk
	Timeline  *labTimeline
	Table     labTable
	Notes     []string
	Free      bool
	Console   *labConsole
	Last      bool // the scenario is over
	Several   bool // lanes
	Next      string
}

type labStep struct {
	N                    int
	Actor, Text, Why     string
	RFC, URL             string
	Done, Here           bool
	Ways                 string // the lanes, when not all
	Started              bool
	Questions, Confirmed int
}

type labResult struct {
	Way, Class, Text, Shown string
	At                      int // the lane
	Lesson                  lab.Lesson
	URL, Refs               string // the lines that prove it
	Guess                   string
	Right                   bool
}

// labFact is one question with its answers, lane by lane.
type labFact struct {
	Text    string
	Results []labResult
}

type labGuess struct {
	Text  string
	Lanes []labGuessLane
}

type labGuessLane struct {
	Way, Class, Name string
	Choices          []labGuessChoice
}

type labGuessChoice struct {
	N       int
	Text    string
	Checked bool
}

type labLane struct {
	Column      lab.Column
	Class       string
	Name, Sub   string
	A, B        []labCard
	Server      labServer
	Contradicts bool
}

type labCard struct {
	Name, Role, Class string
	Column            lab.Column
	Online, Lost      bool
	Doing             string
	Mails             []labMail
	Left, Right       string
	Talk              int
	Actions           []labAction
}

type labAction struct {
	Do, Name string
	Mailed   bool
}

type labMail struct {
	ID, Subject, Folder string
	Mark                string // "read", "unread" or "none"
	Flags               string
	Fresh, Here         bool
}

type labServer struct {
	Address, Class string
	Known          bool
	Mails          []labMail
	Left, Right    string
}

type labTalk struct {
	ID                   int
	Name, Class, Proto   string
	Who, Remote, Way     string
	Looking, Open, Shown bool
	Lines                []labLine
	Bytes                string
	Trips                int
	Try                  string
}

type labLine struct {
	N       int
	At      string
	Dir     string // "c", "s" or "n"
	Text    string
	Meaning string
	Body    bool
	Pushed  bool
	First   bool
}

type labTimeline struct {
	Width, Height int
	Lanes         []labTimeLane
	Ticks         []labTick
	Steps         []int
}

type labTimeLane struct {
	Name, Class string
	Y           int
}

type labTick struct {
	X, Y, H    int
	Class, URL string
	Title      string
}

type labTable struct {
	Columns  []labColumn
	Rows     []labRow
	Measured bool // anything at all
}

type labColumn struct{ Name, Class string }

type labRow struct {
	Name  string
	Cells []labCell
}

type labCell struct {
	Shown, URL, Title   string
	Measured, Wrong     bool
	Answer              string // "yes", "no" or ""
	Run                 int64
	Scenario            string
	Question, Scenarios string
}

type labConsole struct {
	Protos   []string
	Proto    string
	Column   string
	Open     bool
	Columns  []labColumn
	Commands []labCommand
	Values   []lab.Column
}

type labCommand struct{ Word, Meaning string }
