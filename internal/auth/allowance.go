package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Allowance bounds how many recipients elsewhere users may write to, so that
// a stolen password is not the end of this server's good name. One Allowance
// is for all listeners together. In every limit 0 is none; nil has none.
type Allowance struct {
	UserHour, UserDay     int
	DomainHour, DomainDay int              // all users of a domain together
	Memory                *store.Memory    // of what is spent; nil forgets at a restart
	Now                   func() time.Time // nil is time.Now

	mu  sync.Mutex
	own store.Memory // in place of a nil Memory
}

// Spent says which limit a user, or their domain, has reached.
type Spent struct{ text string }

// ErrSpent is what every [Spent] is.
var ErrSpent = errors.New("the allowance is spent")

func (s *Spent) Error() string        { return s.text }
func (s *Spent) Is(target error) bool { return target == ErrSpent }

// limit is what a user, or all users of a domain, may spend in a window.
type limit struct {
	name   string
	window time.Duration
	most   int
	who    string // as in a reply
}

// key is what a limit's spending is remembered under.
func (l limit) key() string { return l.name + " " + l.window.String() }

// spending is what has been spent in a window that has begun.
type spending struct {
	since time.Time
	n     int
}

func (s spending) String() string { return fmt.Sprintf("%d %d", s.since.UnixMilli(), s.n) }

// parseSpending gives the zero spending for what is none.
func parseSpending(text string) spending {
	var since int64
	var n int
	if read, _ := fmt.Sscanf(text, "%d %d", &since, &n); read != 2 {
		return spending{}
	}
	return spending{time.UnixMilli(since), n}
}

// Spend counts the recipients elsewhere whom a user writes to, for each
// address that was named those that it leads to. It answers [Spent], and counts
// none of them, when they would exceed a limit.
func (a *Allowance) Spend(u store.User, elsewhere ...int) error {
	if a == nil {
		return nil
	}
	elsewhere = slices.DeleteFunc(elsewhere, func(n int) bool { return n == 0 })
	if len(elsewhere) == 0 {
		return nil
	}
	now, memory := time.Now, a.Memory
	if a.Now != nil {
		now = a.Now
	}
	if memory == nil {
		memory = &a.own
	}
	at := now()
	domain := u.Address[strings.LastIndexByte(u.Address, '@')+1:]
	limits := slices.DeleteFunc([]limit{
		{u.Address, time.Hour, a.UserHour, "You have"},
		{u.Address, 24 * time.Hour, a.UserDay, "You have"},
		{domain, time.Hour, a.DomainHour, "All of " + domain + " have"},
		{domain, 24 * time.Hour, a.DomainDay, "All of " + domain + " have"},
	}, func(l limit) bool { return l.most == 0 })
	spent := make([]spending, len(limits))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, l := range limits {
		text, _ := memory.Get(l.key())
		s := parseSpending(text)
		if at.Sub(s.since) >= l.window {
			s = spending{since: at}
		}
		before := s.n
		for _, n := range elsewhere {
			// An alias may lead to more than the limit: alone, it passes.
			if s.n+n <= l.most || s.n == 0 {
				s.n += n
				continue
			}
			noun := "recipients"
			if before == 1 {
				noun = "recipient"
			}
			return &Spent{fmt.Sprintf("%s written to %d %s elsewhere within %s, of %d allowed; try again in %s",
				l.who, before, noun, hours(l.window), l.most, hours(s.since.Add(l.window).Sub(at).Truncate(time.Minute)+time.Minute))}
		}
		spent[i] = s
	}
	for i, l := range limits {
		memory.Set(l.key(), spent[i].String(), spent[i].since.Add(l.window))
	}
	return nil
}

// hours is a duration of whole minutes as people write it.
func hours(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
