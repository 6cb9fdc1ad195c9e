package lab_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// serve runs a mail system and describes it to the lab.
func serve(t *testing.T, policy store.POP3Policy) (*mailtest.System, lab.Server) {
	t.Helper()
	s := mailtest.Start(t)
	return s, lab.Server{
		SMTP: s.SMTP, Submission: s.Submission, POP3: s.POP3, IMAP: s.IMAP,
		Account: func(ctx context.Context, role string) (lab.Account, error) {
			a := lab.Account{Address: role + "@example.test", Password: secretOf(role)}
			_, err := s.Store.CreateUser(ctx, store.NewUser{Address: a.Address, Password: a.Password, POP3: policy})
			if errors.Is(err, store.ErrUserExists) { // from a run before
				err = nil
			}
			return a, err
		},
	}
}

func secretOf(role string) string { return "hush-" + role + "-hush" }

// play runs scenarios and returns the report and the story.
func play(t *testing.T, s lab.Server, o lab.Options) (*lab.Report, string) {
	t.Helper()
	var story bytes.Buffer
	r, err := lab.Run(t.Context(), s, o, &story)
	if err != nil {
		t.Fatalf("%v\n%s", err, &story)
	}
	return r, story.String()
}

func results(r *lab.Report) (all []lab.Result) {
	for _, s := range r.Scenarios {
		all = append(all, s.Results...)
	}
	return all
}

func TestEveryScenarioTeachesWhatItSays(t *testing.T) {
	defer leak.Check(t)
	for _, lang := range []lab.Lang{lab.English, lab.Japanese} {
		t.Run(string(lang), func(t *testing.T) {
			_, s := serve(t, store.POP3Policy{})
			r, _ := play(t, s, lab.Options{Lang: lang})
			if err := r.Err(); err != nil {
				t.Error(err)
			}
			for _, x := range results(r) {
				if x.Lesson == lab.Contradicted {
					t.Errorf("%s, %s: %s: %s %v", x.Scenario, x.Column, x.Text, x.Shown, x.Evidence)
				}
				if len(x.Evidence) == 0 {
					t.Errorf("%s, %s: %s: no evidence", x.Scenario, x.Column, x.Text)
				}
			}
			for _, row := range r.Table {
				for _, c := range row.Cells {
					if c.Result == nil {
						t.Errorf("%s, %s was not measured", row.Axis, c.Column)
					}
				}
			}
			if len(r.Scenarios) != 13 {
				t.Errorf("%d scenarios were played", len(r.Scenarios))
			}
		})
	}
}

func TestAResultAgainstTheLessonIsMarked(t *testing.T) {
	// A server on which DELE does not free the mailbox.
	_, s := serve(t, store.POP3Policy{Kind: store.POP3Keep})
	r, story := play(t, s, lab.Options{Scenarios: []string{"pop3-delete"}, Lang: lab.English})
	if !errors.Is(r.Err(), lab.ErrContradicted) {
		t.Errorf("Err() is %v", r.Err())
	}
	for _, want := range []string{"✖ mails on the PC / on the server: 2 / 2", "this contradicts the lesson", "2 / 2 ✖"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story does not say %q", want)
		}
	}
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "2 / 2 ✖") {
		t.Error("the Markdown report does not mark it")
	}
}

func TestOneScenarioMeasuresOnlyItsOwn(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	r, story := play(t, s, lab.Options{Scenarios: []string{"2"}})
	if len(r.Scenarios) != 1 || r.Scenarios[0].ID != "pop3-delete" {
		t.Errorf("played %v", r.Scenarios)
	}
	if !strings.Contains(story, "not measured") || strings.Contains(story, "Readable offline") {
		t.Error("the table has results that nobody has measured")
	}
	_, err := lab.Run(t.Context(), s, lab.Options{Scenarios: []string{"no-such"}}, io.Discard)
	if !errors.Is(err, lab.ErrNoSuchScenario) {
		t.Errorf("an unknown scenario: %v", err)
	}
}

func TestSharedAccountsTakeTurnsAndAreLeftAsTheyWere(t *testing.T) {
	sys, s := serve(t, store.POP3Policy{})
	alice := lab.Account{Address: "alice@example.test", Password: secretOf("alice")}
	bob := lab.Account{Address: "bob@example.test", Password: secretOf("bob")}
	users := make(map[string]store.User)
	for _, a := range []lab.Account{alice, bob} {
		users[a.Address] = sys.AddUser(t, a.Address, a.Password)
	}
	s.Shared = true
	s.Account = func(_ context.Context, role string) (lab.Account, error) {
		if role == "bob" {
			return bob, nil
		}
		return alice, nil
	}
	put := func(mailbox string) {
		t.Helper()
		m, err := sys.Store.Mailbox(t.Context(), users[alice.Address].ID, mailbox)
		if err != nil {
			t.Fatal(err)
		}
		own := store.Bytes("Subject: my own\r\nMessage-ID: <mine@example.test>\r\n\r\nHello.\r\n")
		if _, _, err := sys.Store.Append(t.Context(), m.ID, []store.Appended{{Body: own}}); err != nil {
			t.Fatal(err)
		}
	}
	put("Archive")
	r, _ := play(t, s, lab.Options{})
	for _, x := range results(r) {
		if x.Lesson == lab.Contradicted {
			t.Errorf("%s, %s: %s: %s %v", x.Scenario, x.Column, x.Text, x.Shown, x.Evidence)
		}
	}
	for _, told := range r.Scenarios {
		if len(told.Steps) > 9 {
			t.Errorf("%s is told %d steps", told.ID, len(told.Steps))
		}
	}
	if got := contents(t, sys, users[alice.Address]); got != "Archive:1" {
		t.Errorf("alice has %q afterwards", got)
	}
	if got := contents(t, sys, users[bob.Address]); got != "" {
		t.Errorf("bob has %q afterwards", got)
	}
	put("INBOX")
	_, err := lab.Run(t.Context(), s, lab.Options{Scenarios: []string{"pop3-delete"}}, io.Discard)
	if !errors.Is(err, lab.ErrNotEmpty) {
		t.Errorf("with mail in the inbox: %v", err)
	}
	if got := contents(t, sys, users[alice.Address]); got != "INBOX:1 Archive:1" {
		t.Errorf("alice has %q after the refusal", got)
	}
}

// contents says what is in which mailbox.
func contents(t *testing.T, sys *mailtest.System, u store.User) string {
	t.Helper()
	boxes, err := sys.Store.Mailboxes(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range boxes {
		if m.Name == "Invoices" {
			t.Error("a folder of the lab is left")
		}
		if m.Messages > 0 {
			found = append(found, fmt.Sprintf("%s:%d", m.Name, m.Messages))
		}
	}
	return strings.Join(found, " ")
}

func TestNoSecretIsTold(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	for _, colour := range []bool{false, true} {
		r, story := play(t, s, lab.Options{Scenarios: []string{"1", "4", "12"}, Wire: lab.WireAll, Colour: colour})
		var b strings.Builder
		b.WriteString(story)
		for _, write := range []func(io.Writer) error{r.WriteJSON, r.WriteCSV, r.WriteMarkdown} {
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(b.String(), "hush") || !strings.Contains(b.String(), "PASS ••••") {
			t.Error("a password is not masked")
		}
	}
}

// variable is what differs between two runs: times and ids, and with them the
// widths of columns and the rules above them.
var variable = regexp.MustCompile(`250 2\.0\.0 OK [a-z0-9]+|\[c[^\]]*\]|\d+(\.\d+)?| +|─+|…`)

func TestStoriesAreTheSameEachTime(t *testing.T) {
	var stories [2]string
	for i := range stories {
		_, s := serve(t, store.POP3Policy{})
		r, story := play(t, s, lab.Options{})
		for _, x := range results(r) {
			if x.Value.Kind == lab.Octets || x.Value.Kind == lab.Traffic {
				continue // ids in Received are not all of one length
			}
			x.Value.After = 0
			story += fmt.Sprintln(x.Scenario, x.Column, x.Value, x.Lesson)
		}
		stories[i] = variable.ReplaceAllString(story, " ")
	}
	a, b := strings.Split(stories[0], "\n"), strings.Split(stories[1], "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("line %d:\n%s\n%s", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d and %d lines", len(a), len(b))
	}
}

func TestStoryInASCII(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	_, story := play(t, s, lab.Options{Scenarios: []string{"1", "4", "10"}, ASCII: true})
	for i, line := range strings.Split(story, "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r < 32 }) {
			t.Errorf("line %d: %q", i+1, line)
		}
	}
}

func TestPauseComesAfterEachStep(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	steps := 0
	pause := func(context.Context) error { steps++; return nil }
	r, _ := play(t, s, lab.Options{Scenarios: []string{"pop3-delete"}, Pause: pause})
	if steps != len(r.Scenarios[0].Steps) {
		t.Errorf("%d pauses in %d steps", steps, len(r.Scenarios[0].Steps))
	}
	enough := errors.New("enough")
	_, err := lab.Run(t.Context(), s, lab.Options{
		Scenarios: []string{"pop3-keep"}, Pause: func(context.Context) error { return enough },
	}, io.Discard)
	if !errors.Is(err, enough) {
		t.Errorf("a pause that ends the run: %v", err)
	}
}

func TestReportsAgree(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	var out bytes.Buffer
	r, err := lab.Run(t.Context(), s, lab.Options{JSON: true, Scenarios: []string{"2", "4"}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var again lab.Report
	if err := json.Unmarshal(out.Bytes(), &again); err != nil {
		t.Fatalf("what --json prints is not JSON: %v", err)
	}
	if len(again.Conversations) != len(r.Conversations) || len(results(&again)) != len(results(r)) {
		t.Error("the JSON report is not whole")
	}
	dir := t.TempDir()
	read := func(name string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := lab.Save(file, r); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if !json.Valid([]byte(read("report.json"))) {
		t.Error("report.json is not JSON")
	}
	rows, err := csv.NewReader(strings.NewReader(read("report.csv"))).ReadAll()
	if err != nil || len(rows) != 1+len(results(r)) {
		t.Errorf("report.csv has %d rows: %v", len(rows), err)
	}
	md := read("report.md")
	for _, x := range results(r) {
		if !strings.Contains(md, x.Text+" | ") {
			t.Errorf("report.md lacks %q", x.Text)
		}
		for _, ref := range x.Evidence {
			if !strings.Contains(md, fmt.Sprintf("\n### c%d\n", ref.Conversation)) {
				t.Errorf("report.md lacks the conversation of %v", ref)
			}
		}
	}
}
