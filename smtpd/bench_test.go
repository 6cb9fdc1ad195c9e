package smtpd

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// benchMail is a message of 4 KiB.
var benchMail = "From: bob@far.test\r\nTo: ada@example.test\r\nSubject: four kibibytes\r\n\r\n" +
	strings.Repeat("The quick brown fox jumps over the lazy dog, and so on, and on.\r\n", 62)

// BenchmarkDelivery compares durable delivery over SMTP with the store alone.
// Each operation is one message. What the clients and the loopback cost is in
// the figures of smtp and pipelined; wire is that share alone: the same
// dialogue with a server that answers and does nothing else.
func BenchmarkDelivery(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("smtp/%d", n), func(b *testing.B) {
			benchDialogue(b, n, benchHouse(b), lockstep)
		})
		b.Run(fmt.Sprintf("pipelined/%d", n), func(b *testing.B) {
			benchDialogue(b, n, benchHouse(b), pipelined)
		})
		b.Run(fmt.Sprintf("wire/%d", n), func(b *testing.B) {
			h := newHouse(b)
			h.start.Do(func() { h.addr = answering(b) })
			benchDialogue(b, n, h, lockstep)
		})
		b.Run(fmt.Sprintf("store/%d", n), func(b *testing.B) {
			h := benchHouse(b)
			users := make([]store.Recipient, n)
			for i := range users {
				to, err := h.store.Resolve(b.Context(), fmt.Sprintf("user%d@example.test", i))
				if err != nil {
					b.Fatal(err)
				}
				users[i] = to[0]
			}
			share(b, h, n, func(i int) error {
				_, err := h.store.Accept(b.Context(), store.Delivery{Recipients: users[i : i+1], Body: store.Bytes(benchMail)})
				return err
			})
		})
	}
}

func benchHouse(b *testing.B) *house {
	h := newHouse(b)
	h.config.Log = nil
	for i := range 16 {
		h.user(fmt.Sprintf("user%d@example.test", i), "secret")
	}
	return h
}

// A step of a dialogue: what a client sends, and how many lines answer it.
type step struct {
	send    []byte
	answers int
}

// lockstep waits for each answer.
func lockstep(user int) []step {
	return []step{
		{[]byte("MAIL FROM:<bob@far.test>\r\n"), 1},
		{fmt.Appendf(nil, "RCPT TO:<user%d@example.test>\r\n", user), 1},
		{[]byte("DATA\r\n"), 1},
		{[]byte(benchMail + ".\r\n"), 1},
	}
}

func pipelined(user int) []step {
	return []step{{fmt.Appendf(nil, "MAIL FROM:<bob@far.test>\r\nRCPT TO:<user%d@example.test>\r\nBDAT %d LAST\r\n%s", user, len(benchMail), benchMail), 3}}
}

// benchDialogue has n clients deliver. They do as little as a client can.
func benchDialogue(b *testing.B, n int, h *house, dialogue func(user int) []step) {
	type sender struct {
		net.Conn
		r     *bufio.Reader
		steps []step
	}
	clients := make([]sender, n)
	for i := range clients {
		c := h.client()
		c.SetDeadline(time.Now().Add(time.Hour))
		clients[i] = sender{c.Conn, c.r, dialogue(i)}
	}
	share(b, h, n, func(i int) error {
		c := clients[i]
		for _, s := range c.steps {
			if _, err := c.Write(s.send); err != nil {
				return err
			}
			for range s.answers {
				switch line, err := c.r.ReadSlice('\n'); {
				case err != nil:
					return err
				case line[0] != '2' && line[0] != '3' || line[3] != ' ':
					return fmt.Errorf("got %q", line)
				}
			}
		}
		return nil
	})
}

// answering is the address of a server that answers each step of lockstep.
func answering(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReaderSize(c, maxAuth)
				answer, inText := "220 hello\r\n", false
				for {
					if answer != "" {
						if _, err := c.Write([]byte(answer)); err != nil {
							return
						}
					}
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					switch {
					case inText && string(line) != endOfData:
						answer = ""
					case bytes.HasPrefix(line, []byte("DATA")):
						answer, inText = "354 go on\r\n", true
					default:
						answer, inText = "250 2.0.0 OK\r\n", false
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// share does b.N things in n goroutines. Processor time is that of clients and
// server together, and steadier than time on a busy machine.
func share(b *testing.B, h *house, n int, do func(i int) error) {
	b.SetBytes(int64(len(benchMail)))
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	was, spent := h.store.Stats(), processorTime(b)
	b.ResetTimer()
	for i := range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	mails := float64(b.N)
	b.ReportMetric(mails/b.Elapsed().Seconds(), "mails/s")
	b.ReportMetric(float64((processorTime(b)-spent).Microseconds())/mails, "cpu-µs/mail")
	if is := h.store.Stats(); is.Commits > was.Commits {
		b.ReportMetric(float64(is.Requests-was.Requests)/float64(is.Commits-was.Commits), "mails/commit")
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
