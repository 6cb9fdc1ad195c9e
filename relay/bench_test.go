package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// BenchmarkOutbound sends queued mail to Postfix's smtp-sink over 20
// connections, and has smtp-source do the same to the same sink. One
// operation is 10 000 mails of 4 KiB, with everything the queue costs.
func BenchmarkOutbound(b *testing.B) {
	for _, program := range []string{"smtp-sink", "smtp-source"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Skip(err)
		}
	}
	const mails, connections, size = 10000, 20, 4096
	sink := startSink(b)
	body := store.Bytes(letter + strings.Repeat(strings.Repeat("x", 62)+"\r\n", (size-len(letter))/64))

	var ours, theirs time.Duration
	for b.Loop() {
		b.StopTimer()
		st, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), Server: true, Iterations: 4096})
		if err != nil {
			b.Fatal(err)
		}
		var accepting errGroup
		for part := range connections {
			accepting.run(func() error {
				for i := range mails / connections {
					_, err := st.Accept(b.Context(), store.Delivery{Sender: "ada@alpha.test", Body: body, Recipients: to(fmt.Sprintf("u%d@beta.test", part*mails+i), store.DSN{})})
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := accepting.wait(); err != nil {
			b.Fatal(err)
		}
		left := make(chan Outcome, mails)
		r := New(Config{
			Hostname: "mail.alpha.test", Store: st, NoSTS: true, PerDomain: connections,
			Routes: map[string][]NextHop{"beta.test": {{Host: "127.0.0.1", Port: 25}}},
			Dial: func(ctx context.Context, n, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, n, sink)
			},
			Observe: func(o Outcome) { left <- o },
		})
		ended := make(chan error, 1)
		begin := time.Now()
		b.StartTimer()
		go func() { ended <- r.Run(context.Background()) }()
		for range mails {
			if o := <-left; o.Event != Delivered {
				b.Fatalf("%+v", o)
			}
		}
		b.StopTimer()
		ours += time.Since(begin)
		if err := r.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
		<-ended
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		source := exec.Command("smtp-source", "-d", "-s", fmt.Sprint(connections), "-m", fmt.Sprint(mails), "-l", fmt.Sprint(size), "-f", "ada@alpha.test", "-t", "bob@beta.test", sink)
		if out, err := source.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		theirs += time.Since(begin)
		b.StartTimer()
	}
	rate := func(d time.Duration) float64 { return mails * float64(b.N) / d.Seconds() }
	b.ReportMetric(rate(ours), "mails/s")
	b.ReportMetric(rate(theirs), "smtp-source-mails/s")
	b.ReportMetric(rate(ours)/rate(theirs), "of-smtp-source")
}

// errGroup runs functions and keeps one of their errors.
type errGroup struct {
	n    int
	errs chan error
}

func (g *errGroup) run(f func() error) {
	if g.errs == nil {
		g.errs = make(chan error)
	}
	g.n++
	go func() { g.errs <- f() }()
}

func (g *errGroup) wait() (err error) {
	for range g.n {
		if e := <-g.errs; e != nil {
			err = e
		}
	}
	return err
}

// startSink runs smtp-sink on a free port until the benchmark ends.
func startSink(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	args := []string{addr, "1000"}
	if me, err := user.Current(); err == nil && me.Uid == "0" {
		args = append([]string{"-u", "nobody"}, args...) // it will not run as root
	}
	sink := exec.Command("smtp-sink", args...)
	sink.Stderr = io.Discard
	if err := sink.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = sink.Process.Kill() // it has no other end
		_ = sink.Wait()
	})
	for try := 0; ; try++ {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if try == 100 {
			b.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // it says nothing when it is ready
	}
}
