package webd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// Bounds of the lab: each run has accounts and connections of its own.
const (
	labsAtOnce = 4
	labTime    = 5 * time.Minute
	labDesks   = 64 // logins whose results are remembered
	labCleanUp = 30 * time.Second
)

// Answers of the lab that are not runs.
var (
	errLabBusy = &problem{http.StatusServiceUnavailable, "error.lab-busy"}
	errLabOver = &problem{http.StatusConflict, "error.lab-over"}
	errLabMuch = &problem{http.StatusTooManyRequests, "error.lab-much"}
	errOffline = &problem{http.StatusConflict, "error.lab-offline"}
	errLabLine = &problem{http.StatusUnprocessableEntity, "error.lab-line"}
	errConsole = &problem{http.StatusUnprocessableEntity, "error.lab-console"}
)

// labs are all runs of the compare lab. Their devices are real clients of our
// own listeners, and their accounts are thrown away after the run.
type labs struct {
	s       *Server
	over    sync.WaitGroup // runs that are not cleaned up yet
	sweep   sync.Once
	counter atomic.Int64

	mu      sync.Mutex
	desks   map[*session]*desk
	running int
	closed  bool
}

// desk is what the lab remembers for one login.
type desk struct {
	used time.Time
	runs map[string]*labRun // the latest of each scenario
}

// labRun is one run of one scenario.
type labRun struct {
	labs     *labs
	n        int64
	scenario string
	latency  time.Duration
	lang     lab.Lang
	ends     time.Time
	ctx      context.Context
	cancel   context.CancelFunc
	guesses  map[string]int // by step and column, as forms name them

	mu       sync.Mutex // held while something is played
	player   *lab.Player
	report   *lab.Report
	accounts []store.UserID
	failed   bool

	seen    sync.Mutex
	changed chan struct{} // closed and renewed when there is something new
	version int
	live    bool
	board   *lab.Board // nil before the first moment
}

func newLabs(s *Server) *labs { return &labs{s: s, desks: map[*session]*desk{}} }

// desk is the visitor's, made when there is none. mu is held.
func (l *labs) desk(v *visit) *desk {
	d := l.desks[v.session]
	if d == nil {
		for s := range l.desks {
			select {
			case <-s.ended: // the login is over
				delete(l.desks, s)
			default:
			}
		}
		if len(l.desks) >= labDesks {
			var oldest *session
			for s, d := range l.desks {
				if oldest == nil || d.used.Before(l.desks[oldest].used) {
					oldest = s
				}
			}
			delete(l.desks, oldest)
		}
		d = &desk{runs: map[string]*labRun{}}
		l.desks[v.session] = d
	}
	d.used = l.s.Now()
	return d
}

// runs are the visitor's latest runs, by scenario.
func (l *labs) runs(v *visit) map[string]*labRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]*labRun{}
	if d := l.desks[v.session]; d != nil {
		for id, r := range d.runs {
			all[id] = r
		}
	}
	return all
}

// begin starts a run. Whoever starts one ends their other.
func (l *labs) begin(v *visit, scenario string, latency time.Duration) (*labRun, error) {
	for _, r := range l.runs(v) {
		r.stop()
	}
	l.mu.Lock()
	if l.closed || l.running >= labsAtOnce {
		l.mu.Unlock()
		return nil, errLabBusy
	}
	l.running++
	l.over.Add(1)
	r := &labRun{
		labs: l, n: l.counter.Add(1), scenario: scenario, latency: latency, lang: lab.Lang(v.language.tag()),
		ends: time.Now().Add(labTime), guesses: map[string]int{}, changed: make(chan struct{}), live: true,
	}
	l.desk(v).runs[scenario] = r
	r.ctx, r.cancel = context.WithTimeout(l.s.ctx, labTime)
	l.mu.Unlock()
	context.AfterFunc(r.ctx, r.end)

	r.mu.Lock()
	defer r.mu.Unlock()
	l.sweep.Do(func() { l.removeLeft(r.ctx) })
	if err := r.setUp(v); err != nil {
		r.cancel()
		return nil, err
	}
	return r, nil
}

// setUp makes the player with accounts of its own.
func (r *labRun) setUp(v *visit) error {
	_, domain, _ := strings.Cut(v.user.Address, "@")
	mark := strings.ToLower(rand.Text()[:8])
	server := *r.labs.s.Lab
	server.Shared = false
	server.Account = func(ctx context.Context, role string) (lab.Account, error) {
		a := lab.Account{Address: fmt.Sprintf("lab-%s-%s@%s", role, mark, domain), Password: rand.Text()}
		u, err := r.labs.s.Store.CreateUser(ctx, store.NewUser{Address: a.Address, Password: a.Password, Name: labName, Quota: labQuota})
		if err == nil {
			r.accounts = append(r.accounts, u.ID)
		}
		return a, err
	}
	var err error
	r.player, err = lab.NewPlayer(r.ctx, server, r.scenario, lab.Options{Lang: r.lang, Latency: r.latency}, r.tell)
	if errors.Is(err, lab.ErrNoSuchScenario) {
		return errNotFound
	}
	if err == nil {
		r.tell()
	}
	return err
}

const (
	labName  = "yubin lab"
	labQuota = 100 << 20
)

// labAccount is how setUp names accounts.
var labAccount = regexp.MustCompile(`^lab-(pop|keep|imap|web|mixed|bob)-[a-z2-7]{8}@`)

// IsLabAccount reports whether an address is named as the compare lab names
// its own. Nobody else knows such a name, it is gone after minutes, and what
// arrives there claims to be from domains that are not ours: what judges the
// mail of strangers need not look.
func IsLabAccount(address string) bool { return labAccount.MatchString(strings.ToLower(address)) }

func isLabs(u store.User) bool { return u.Name == labName && IsLabAccount(u.Address) }

// removeLeft removes what runs before the start of this server have left.
func (l *labs) removeLeft(ctx context.Context) {
	users, err := l.s.Store.Users(ctx)
	if err != nil {
		return
	}
	for _, u := range users {
		if isLabs(u) && u.Created.Before(l.s.Now().Add(-2*labTime)) {
			if err := l.s.Store.DeleteUser(ctx, u.ID); err != nil {
				l.s.Log.Warn("failed", "doing", "remove an account of the lab", "err", err)
			}
		}
	}
}

// tell wakes whoever watches. It is called where the player plays.
func (r *labRun) tell() {
	if r.player == nil {
		return
	}
	r.seen.Lock()
	defer r.seen.Unlock()
	r.board = r.player.Board()
	r.version++
	close(r.changed)
	r.changed = make(chan struct{})
}

// state is the latest moment, and what is closed when there is a later one.
func (r *labRun) state() (board *lab.Board, version int, live bool, changed <-chan struct{}) {
	r.seen.Lock()
	defer r.seen.Unlock()
	return r.board, r.version, r.live, r.changed
}

// played is how many steps have been, and false when the run is over.
func (r *labRun) played() (int, bool) {
	board, _, live, _ := r.state()
	if board == nil {
		return 0, live
	}
	return board.Played, live
}

// stop ends the run and waits until its accounts are gone.
func (r *labRun) stop() {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanUp()
}

// end is what happens when the time is over, or the server stops.
func (r *labRun) end() { r.stop() }

// cleanUp removes what the run had. It does so once. mu is held.
func (r *labRun) cleanUp() {
	r.seen.Lock()
	live := r.live
	r.seen.Unlock()
	if !live {
		return
	}
	l := r.labs
	if r.player != nil {
		r.report = r.player.Report()
		if err := r.player.Close(); err != nil {
			l.s.Log.Debug("failed", "doing", "close a run of the lab", "err", err)
		}
		r.player = nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), labCleanUp)
	defer cancel()
	for _, id := range r.accounts {
		if err := l.s.Store.DeleteUser(ctx, id); err != nil {
			l.s.Log.Warn("failed", "doing", "remove an account of the lab", "err", err)
		}
	}
	r.seen.Lock()
	r.live = false
	r.version++
	close(r.changed)
	r.changed = make(chan struct{})
	r.seen.Unlock()
	l.mu.Lock()
	l.running--
	l.mu.Unlock()
	l.over.Done()
}

// finish ends all runs and waits for them.
func (l *labs) finish() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.over.Wait() // their contexts have ended with the server's
}

// play does something with the player, unless the run is over. A run that
// fails is over.
func (r *labRun) play(do func(*lab.Player) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.player == nil || r.ctx.Err() != nil {
		return errLabOver
	}
	err := do(r.player)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, lab.ErrNoSuchThing):
		return errForm
	case errors.Is(err, lab.ErrNotAllowed):
		return errConsole
	case errors.Is(err, lab.ErrOffline):
		return errOffline
	case errors.Is(err, lab.ErrNoLine):
		return errLabLine
	case errors.Is(err, lab.ErrTooMuch):
		return errLabMuch
	case r.ctx.Err() != nil:
		return errLabOver // it was ended while it played
	}
	r.failed = true
	r.cancel()
	return err
}

// to plays up to a step.
func (r *labRun) to(step int) error {
	return r.play(func(p *lab.Player) error {
		for p.Board().Played < step {
			if err := p.Next(); err != nil {
				return err
			}
		}
		return nil
	})
}

// measured is what the run has measured so far.
func (r *labRun) measured() *lab.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.player != nil {
		return r.player.Report()
	}
	return r.report
}
