package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// childDir is set in the process that is killed.
const childDir = "RELAY_CRASH_DIR"

// child relays until it is killed; its way to beta.test is in the
// environment.
func child(dir string) error {
	st, err := store.Open(context.Background(), store.Options{Dir: dir, Server: true})
	if err != nil {
		return err
	}
	r := New(Config{
		Hostname: "mail.alpha.test", Store: st, NoSTS: true, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Routes: map[string][]NextHop{"beta.test": {{Host: "127.0.0.1", Port: 25}}},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, os.Getenv("RELAY_CRASH_PEER"))
		},
		Observe: func(o Outcome) { fmt.Println(o.Event, o.Recipient) },
	})
	return r.Run(context.Background())
}

// TestCrashLosesNothing kills the process with SIGKILL again and again while
// it sends. Every mail arrives, and no more often than once and once more for
// each crash at its moment.
func TestCrashLosesNothing(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		t.Fatal(child(dir))
	}
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("YUBIN_CRASH_ROUNDS")); err == nil {
		kills = n
	}
	// A child may send more than it is waited for, up to half as much again: no
	// more is taken of it, so that the next ones have something to send.
	const each = 40
	mails := each * 5 / 2 * kills
	dir := t.TempDir()
	open := func() *store.Store {
		st, err := store.Open(t.Context(), store.Options{Dir: dir, Server: true, Iterations: 4096})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	st := open()
	for i := range mails {
		_, err := st.Accept(t.Context(), store.Delivery{Sender: "ada@alpha.test", Body: store.Bytes(letter), Recipients: to(fmt.Sprintf("u%d@beta.test", i), store.DSN{})})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	var room atomic.Int64
	p := newPeer(t, func(_ *session, stage, _ string) string {
		if stage == "END" && room.Add(-1) < 0 {
			return hang
		}
		return ""
	})
	run := func(until int) {
		t.Helper()
		room.Store(int64(until * 3 / 2))
		c := exec.Command(os.Args[0], "-test.run=^TestCrashLosesNothing$")
		c.Env = append(os.Environ(), childDir+"="+dir, "RELAY_CRASH_PEER="+p.addr())
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stderr = testLog{t}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < until && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), string(Delivered)) {
				n++
			}
		}
		if err := c.Process.Kill(); err != nil {
			t.Error(err)
		}
		var killed *exec.ExitError
		if err := c.Wait(); !errors.As(err, &killed) {
			t.Errorf("the child ended by itself: %v", err)
		}
	}
	for range kills {
		run(each)
	}
	st = open()
	left, err := st.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left) == 0 || len(left) == mails {
		t.Fatalf("%d left, which tests nothing", len(left))
	}
	run(len(left)) // without waiting for the leases of the dead

	counts := make(map[string]int)
	twice := 0
	for _, m := range p.got() {
		if counts[m.to[0]]++; counts[m.to[0]] > 1 {
			twice++
		}
	}
	if len(counts) != mails {
		t.Errorf("%d of %d mails have arrived", len(counts), mails)
	}
	// Each of the connections has one mail under way at a crash, and some
	// whose outcome is on its way to the disk.
	if most := kills * 5 * (unrecorded + 1); twice > most {
		t.Errorf("%d duplicates, at most %d could be", twice, most)
	}
	t.Logf("%d duplicates after %d crashes", twice, kills)
	st = open()
	defer st.Close()
	if q, err := st.Queue(t.Context()); err != nil || len(q) != 0 {
		t.Errorf("left in the queue: %+v, %v", q, err)
	}
}

// A shutdown lets the mail that is being sent come to its end, leaves the rest
// alone, and is not an attempt.
func TestShutdownFinishesWhatItHasBegun(t *testing.T) {
	reached, going := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(c *Config) { c.PerDomain = 1 })
	p := w.beta(func(_ *session, stage, _ string) string {
		if stage == "BODY" {
			close(reached)
			<-going
		}
		return ""
	})
	w.send("a@beta.test")
	w.send("b@beta.test")
	ended := make(chan error, 2)
	go func() { ended <- w.relay.Run(context.Background()) }()
	<-reached
	go func() { ended <- w.relay.Shutdown(context.Background()) }()
	<-w.relay.stopping
	close(going)
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Error(err)
	}
	if q := w.queued(); len(p.got()) != 1 || len(q) != 1 || !q[0].Leased.IsZero() || !q[0].Next.Equal(start) {
		t.Errorf("%d sent, queue %+v", len(p.got()), q)
	}
}

// A shutdown that cannot wait breaks the mail off, to be sent again at once.
func TestShutdownBreaksOff(t *testing.T) {
	reached := make(chan struct{})
	w := newWorld(t, nil)
	w.beta(func(_ *session, stage, _ string) string {
		if stage == "BODY" {
			close(reached)
			return hang
		}
		return ""
	})
	w.send("bob@beta.test")
	ended := make(chan error, 1)
	go func() { ended <- w.relay.Run(context.Background()) }()
	<-reached
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := w.relay.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if o := w.one(); o.Event != Deferred || !o.Again.Equal(start) {
		t.Errorf("%+v", o)
	}
	if q := w.queued(); len(q) != 1 || !q[0].Next.Equal(start) || !q[0].Leased.IsZero() {
		t.Errorf("queue %+v", q)
	}
}

// Held mail stays, dropped mail is gone without a word.
func TestHoldAndDrop(t *testing.T) {
	w := newWorld(t, nil)
	p := w.beta(nil)
	w.send("a@beta.test")
	w.send("b@beta.test")
	w.send("c@beta.test")
	q := w.queued()
	if _, err := w.store.Hold(t.Context(), true, q[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Drop(t.Context(), q[1].ID); err != nil {
		t.Fatal(err)
	}
	w.run()
	if o := w.one(); o.Recipient != "c@beta.test" {
		t.Errorf("%+v", o)
	}
	if _, err := w.store.Hold(t.Context(), false, q[0].ID); err != nil {
		t.Fatal(err)
	}
	if o := w.one(); o.Recipient != "a@beta.test" || len(p.got()) != 2 || len(w.notices()) != 0 {
		t.Errorf("%+v", o)
	}
}
