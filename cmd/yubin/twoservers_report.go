package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/lab"
)

// playReport is what a play has shown, with everything that proves it.
type playReport struct {
	Lang         lab.Lang  `json:"lang"`
	Started      time.Time `json:"started"`
	Seconds      float64   `json:"seconds"`
	Scenario     string    `json:"scenario"`
	Title        string    `json:"title"`
	Acts         []played  `json:"acts"`
	Contradicted int       `json:"contradicted"`
}

// played is an act with the statements that were made about it.
type played struct {
	Title string `json:"title"`
	Facts []fact `json:"facts"`
}

// playTwoServers plays acts and tells of each when it is over. pause, where
// there is one, is called after each. The error is of the play itself; what
// was recorded against a statement is told by the report's err.
func (p *program) playTwoServers(ctx context.Context, acts []act, tell io.Writer, pause func(context.Context) error) (r *playReport, err error) {
	lang := lab.Lang(p.tongue)
	r = &playReport{Lang: lang, Started: time.Now(), Scenario: twoServersName, Title: twoServersTitle.In(lang)}
	s, err := openTwoServers(ctx, lang)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	yes, _, no, _ := marks(p.getenv)
	fmt.Fprintln(tell, r.Title)
	for i, a := range acts {
		title := a.title.In(lang)
		fmt.Fprintf(tell, "\n%d. %s\n", i+1, title)
		s.facts = nil
		if err := a.play(ctx, s); err != nil {
			return nil, of(title, err)
		}
		r.Acts = append(r.Acts, played{title, s.facts})
		for _, f := range s.facts {
			mark := yes
			if !f.Holds {
				mark = no
				r.Contradicted++
			}
			fmt.Fprintf(tell, "   %s %s\n", mark, f.Text)
			if f.Evidence != "" {
				fmt.Fprintf(tell, "       %s\n", strings.ReplaceAll(f.Evidence, "\n", "\n       "))
			}
		}
		if pause != nil {
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
	}
	r.Seconds = time.Since(r.Started).Seconds()
	if r.Contradicted == 0 {
		fmt.Fprintf(tell, "\n%s\n", twoServersGood.In(lang))
	}
	return r, nil
}

// err is lab.ErrContradicted when what was recorded says otherwise than a
// statement.
func (r *playReport) err() error {
	if r.Contradicted == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", twoServersBad.In(r.Lang, r.Contradicted), lab.ErrContradicted)
}

// WriteJSON writes everything.
func (r *playReport) WriteJSON(w io.Writer) error { return lab.WriteJSON(w, r) }

// WriteCSV writes the statements, one a line.
func (r *playReport) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"scenario", "act", "text", "holds", "evidence"}}
	for _, a := range r.Acts {
		for _, f := range a.Facts {
			lines = append(lines, []string{r.Scenario, a.Title, f.Text, strconv.FormatBool(f.Holds), f.Evidence})
		}
	}
	return c.WriteAll(lines)
}

func (r *playReport) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", r.Title)
	for i, a := range r.Acts {
		fmt.Fprintf(&b, "\n## %d. %s\n\n", i+1, a.Title)
		for _, f := range a.Facts {
			mark := "x"
			if !f.Holds {
				mark = " "
			}
			fmt.Fprintf(&b, "- [%s] %s\n", mark, f.Text)
			if f.Evidence != "" {
				fmt.Fprintf(&b, "\n  ```\n  %s\n  ```\n", strings.ReplaceAll(f.Evidence, "\n", "\n  "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
