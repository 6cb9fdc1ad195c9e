package smtpd

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Allowance bounds how many recipients elsewhere users may write to, so that
// a stolen password is not the end of this server's good name. One Allowance
// is for all listeners together. In every limit 0 is none.
type Allowance struct {
	UserHour, UserDay     int
	DomainHour, DomainDay int              // all users of a domain together
	Memory                *store.Memory    // of what is spent; nil forgets at a restart
	Now                   func() time.Time // nil is time.Now

	mu  sync.Mutex
	own store.Memory // in place of a nil Memory
}

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

// take counts n recipients of a user, or says which limit they would exceed.
func (a *Allowance) take(u store.User, n int) error {
	if a == nil || n == 0 {
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
		if s.n+n > l.most && s.n > 0 {
			return answer(452, 7, 28, fmt.Sprintf("%s written to %d recipients elsewhere within %s, of %d allowed; try again in %s",
				l.who, s.n, hours(l.window), l.most, hours(s.since.Add(l.window).Sub(at).Truncate(time.Minute)+time.Minute)))
		}
		s.n += n
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

// afford takes recipients elsewhere from the user's allowance. What was named
// counts, sent or not.
func (s *session) afford(found []store.Recipient) error {
	if s.login == nil {
		return nil
	}
	elsewhere := 0
	for _, r := range found {
		if r.User == 0 {
			elsewhere++
		}
	}
	return s.Allowance.take(s.login.user, elsewhere)
}
