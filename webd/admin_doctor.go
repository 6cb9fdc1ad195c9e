package webd

import (
	"sync"
	"time"
)

// The grades of a Finding.
const (
	Good    = "ok"
	Skipped = "skipped"
	Warning = "warning"
	Problem = "problem"
)

// Finding is one thing that the doctor has looked at.
type Finding struct{ Group, Grade, What, Why, Next string }

// checkup is what the doctor has found.
type checkup struct {
	At       time.Time // zero: there has been none
	Findings []Finding
}

// Count is how many findings have a grade.
func (c checkup) Count(grade string) int {
	n := 0
	for _, f := range c.Findings {
		if f.Grade == grade {
			n++
		}
	}
	return n
}

// checkups are the last of each language.
type checkups struct {
	running sync.Mutex // one at a time: it sends a mail through the system
	mu      sync.Mutex
	by      map[string]checkup
}

func (c *checkups) last(lang string) checkup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[lang]
}

func (c *checkups) keep(lang string, up checkup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]checkup{}
	}
	c.by[lang] = up
}

// check asks the doctor, which takes a moment, and shows on the page what was
// found.
func (s *Server) check(v *visit) error {
	if s.Operation.Doctor == nil {
		return errNotFound
	}
	s.checkups.running.Lock()
	defer s.checkups.running.Unlock()
	lang := v.language.tag()
	s.checkups.keep(lang, checkup{s.Now(), s.Operation.Doctor(v.Context(), lang)})
	return v.redirect("/admin#overview")
}
