package auth

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestAllowance(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	a := &Allowance{UserHour: 3, UserDay: 5, DomainHour: 4, Now: func() time.Time { return now }}
	ada, bob := store.User{Address: "ada@example.test"}, store.User{Address: "bob@example.test"}
	step := func(after time.Duration, u store.User, n int, want string) {
		t.Helper()
		now = now.Add(after)
		err := a.Spend(u, n)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s, %d: %v, want %q", u.Address, n, err, want)
		}
	}
	step(0, ada, 3, "")
	step(time.Minute, ada, 1, "You have written to 3 recipients elsewhere within 1h, of 3 allowed; try again in 1h")
	step(10*time.Minute, ada, 1, "within 1h, of 3 allowed; try again in 50m")
	step(0, bob, 1, "")
	step(0, bob, 1, "All of example.test have written to 4")
	step(time.Hour, ada, 2, "")
	step(0, ada, 1, "within 24h, of 5 allowed")
	step(24*time.Hour, ada, 3, "")

	// A letter to several counts whole or not at all; an alias that leads to
	// more than the limit passes alone.
	a, now = &Allowance{UserHour: 3, Now: a.Now}, now.Add(time.Hour)
	for _, c := range []struct {
		letter []int
		passes bool
	}{{[]int{1, 1, 1, 1}, false}, {[]int{0, 1, 1}, true}, {[]int{1, 1}, false}, {[]int{1}, true}, {[]int{0}, true}, {[]int{1}, false}} {
		if err := a.Spend(ada, c.letter...); (err == nil) != c.passes || err != nil && !errors.Is(err, ErrSpent) {
			t.Errorf("%v: %v", c.letter, err)
		}
	}
	if err := a.Spend(bob, 7); err != nil {
		t.Error(err)
	}
}

func TestAllowanceOutlivesARestart(t *testing.T) {
	_, s, _ := door(t, LimiterConfig{})
	memory, err := s.Memory(t.Context(), "sent", store.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	ada := store.User{Address: "ada@example.test"}
	for i, want := range []bool{true, false} {
		a := &Allowance{UserHour: 2, Memory: memory}
		if err := a.Spend(ada, 2); (err == nil) != want {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// However many connections there are, no limit is exceeded.
func TestAllowanceIsSharedBetweenConnections(t *testing.T) {
	a := &Allowance{UserDay: 100}
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if a.Spend(store.User{Address: "ada@example.test"}, 1) == nil {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("%d of 100", n)
	}
}
