package smtpd

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// Allowance bounds how many recipients elsewhere users may write to, so that
// a stolen password is not the end of this server's good name. One Allowance
// is for all listeners together; it forgets at a restart. In every limit 0 is
// none.
type Allowance struct {
	UserHour, UserDay     int
	DomainHour, DomainDay int              // all users of a domain together
	Now                   func() time.Time // nil is time.Now

	mu    sync.Mutex
	spent map[spender]*spending
}

// spender is a user's address or a domain of ours, and the length of a window.
type spender struct {
	name   string
	window time.Duration
}

type spending struct {
	since time.Time
	n     int
}

// many is when ended windows are looked for: those who can have one are users
// of ours, so there are never many more than that.
const many = 10_000

// take counts n recipients of a user, or says which limit they would exceed.
func (a *Allowance) take(u store.User, n int) error {
	if a == nil || n == 0 {
		return nil
	}
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	at := now()
	domain := u.Address[strings.LastIndexByte(u.Address, '@')+1:]
	limits := []struct {
		spender
		limit int
		who   string
	}{
		{spender{u.Address, time.Hour}, a.UserHour, "You have"},
		{spender{u.Address, 24 * time.Hour}, a.UserDay, "You have"},
		{spender{domain, time.Hour}, a.DomainHour, "All of " + domain + " have"},
		{spender{domain, 24 * time.Hour}, a.DomainDay, "All of " + domain + " have"},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(at)
	for _, l := range limits {
		if s := a.spent[l.spender]; l.limit > 0 && s != nil && at.Sub(s.since) < l.window && s.n+n > l.limit {
			return answer(452, 7, 28, fmt.Sprintf("%s written to %d recipients elsewhere within %d hours, of %d allowed; try again in %s",
				l.who, s.n, int(l.window.Hours()), l.limit, s.since.Add(l.window).Sub(at).Truncate(time.Minute)+time.Minute))
		}
	}
	for _, l := range limits {
		if l.limit == 0 {
			continue
		}
		s := a.spent[l.spender]
		if s == nil || at.Sub(s.since) >= l.window {
			s = &spending{since: at}
			a.spent[l.spender] = s
		}
		s.n += n
	}
	return nil
}

// sweep forgets windows that have ended, once there are many.
func (a *Allowance) sweep(at time.Time) {
	if a.spent == nil {
		a.spent = make(map[spender]*spending)
	}
	if len(a.spent) < many {
		return
	}
	for who, s := range a.spent {
		if at.Sub(s.since) >= who.window {
			delete(a.spent, who)
		}
	}
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
