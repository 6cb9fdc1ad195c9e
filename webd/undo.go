package webd

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// notice is what an action has to say when it is done.
type notice struct {
	Text string `json:"text"`
	Undo string `json:"undo,omitempty"` // the name under which it can be taken back
	Bad  bool   `json:"bad,omitempty"`  // it went wrong
	URL  string `json:"url,omitempty"`  // where to go on, when not where one is
}

// undo is how to take an action back.
type undo struct {
	id  string
	run func(*visit) (notice, error)
}

// maxUndo is how many actions a session remembers.
const maxUndo = 30

// say keeps a notice for the next page.
func (s *session) say(n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = &n
}

func (s *session) takeNotice() *notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.notice
	s.notice = nil
	return n
}

// remember keeps how to take an action back, and returns its name.
func (s *session) remember(run func(*visit) (notice, error)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := undo{rand.Text()[:16], run}
	if s.undoing = append(s.undoing, u); len(s.undoing) > maxUndo {
		s.undoing = s.undoing[1:]
	}
	return u.id
}

// recall takes an undo out of memory: it works once.
func (s *session) recall(id string) (func(*visit) (notice, error), bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, u := range s.undoing {
		if u.id == id {
			s.undoing = append(s.undoing[:i:i], s.undoing[i+1:]...)
			return u.run, true
		}
	}
	return nil, false
}

// warn keeps a notice of something that went wrong behind the user's back.
func (s *session) warn(n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warning = &n
}

func (s *session) takeWarning() *notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.warning
	s.warning = nil
	return n
}

// sendsOnce reports whether the letter of that name has not been sent yet in
// this session, and notes that it is.
func (s *session) sendsOnce(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.sent, id) {
		return false
	}
	if s.sent = append(s.sent, id); len(s.sent) > maxUndo {
		s.sent = s.sent[1:]
	}
	return true
}

// mayResend takes that back.
func (s *session) mayResend(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = slices.DeleteFunc(s.sent, func(other string) bool { return other == id })
}

// later does things after a while unless they are taken back: sending, and
// deleting for good. What is waiting when the server stops is done then.
type later struct {
	log  *slog.Logger
	mu   sync.Mutex
	jobs map[string]*job
	done sync.WaitGroup
	over bool
}

type job struct {
	timer *time.Timer
	run   func(context.Context) error
}

func newLater(log *slog.Logger) *later { return &later{log: log, jobs: map[string]*job{}} }

// after runs fn once d has passed, and returns a name to cancel it by.
func (l *later) after(d time.Duration, fn func(context.Context) error) string {
	id := rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	j := &job{run: fn}
	l.done.Add(1)
	if l.over {
		d = 0
	}
	l.jobs[id] = j
	j.timer = time.AfterFunc(d, func() { l.do(id) })
	return id
}

// take gets a job for whoever comes first: its time, or who cancels it.
func (l *later) take(id string) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.jobs[id]
	delete(l.jobs, id)
	return j
}

// laterTime is how long a job may take: it outlives the request that it is from.
const laterTime = time.Minute

func (l *later) do(id string) {
	j := l.take(id)
	if j == nil {
		return
	}
	defer l.done.Done()
	ctx, cancel := context.WithTimeout(context.Background(), laterTime)
	defer cancel()
	if err := j.run(ctx); err != nil {
		l.log.Error("failed", "doing", "what was to be done later", "err", err)
	}
}

// cancel reports whether the job was still waiting.
func (l *later) cancel(id string) bool {
	j := l.take(id)
	if j == nil {
		return false
	}
	j.timer.Stop()
	l.done.Done()
	return true
}

// finish does what is waiting now, and waits for it.
func (l *later) finish() {
	l.mu.Lock()
	l.over = true
	var ids []string
	for id, j := range l.jobs {
		j.timer.Stop()
		ids = append(ids, id)
	}
	l.mu.Unlock()
	for _, id := range ids {
		l.do(id)
	}
	l.done.Wait()
}
