// Package leak tells whether a test has left goroutines behind.
//
// It is goleak, which looks again for less than half a second, with more
// patience: on a machine that is busy the goroutines of connections that have
// been closed need longer to notice.
package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines have for their end. Only a test that fails
// waits as long.
const patience = 20 * time.Second

// Check fails the test unless all goroutines end but its own and those of
// options. It is for the end of a test, when everything has been closed.
func Check(t testing.TB, options ...goleak.Option) {
	t.Helper()
	if err := find(patience, options...); err != nil {
		t.Error(err)
	}
}

// Main is for TestMain: it runs the tests, and they fail as well when they have
// left goroutines behind.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := find(patience); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func find(patience time.Duration, options ...goleak.Option) error {
	for until := time.Now().Add(patience); ; {
		err := goleak.Find(options...)
		if err == nil || time.Now().After(until) {
			return err
		}
	}
}
