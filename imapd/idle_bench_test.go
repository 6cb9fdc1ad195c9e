package imapd

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/listen"
)

const (
	idleClients = 500
	idleEnv     = "YUBIN_IDLE_AT"  // where TestIdleClients connects to
	idleTLSEnv  = "YUBIN_IDLE_TLS" // set when that is over TLS
)

// BenchmarkIdleConnection measures what a client costs that has selected a
// mailbox of 100 messages, asked for all envelopes, and idles. The clients
// are in another process, so that only the server's half is measured.
func BenchmarkIdleConnection(b *testing.B) {
	for _, kind := range []string{"clear", "TLS"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				idleConnections(b, kind == "TLS")
				b.StartTimer()
			}
		})
	}
}

func idleConnections(b *testing.B, overTLS bool) {
	h := newHouse(b, func(c *Config) { c.Log = nil })
	h.putMany(100)
	address := h.addr
	if overTLS {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		address = l.Addr().String()
		server, _ := selfSigned(b)
		go h.server.Serve(listen.TLS(l, server)) // ends with the house
	}
	before := measure()
	clients := exec.Command(os.Args[0], "-test.run=^TestIdleClients$")
	clients.Env = append(os.Environ(), idleEnv+"="+address)
	if overTLS {
		clients.Env = append(clients.Env, idleTLSEnv+"=1")
	}
	clients.Stderr = os.Stderr
	leave, err := clients.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatalf("%q %v", line, err)
	}
	after := measure()
	b.ReportMetric(float64(after.resident-before.resident)/idleClients, "resident-B/conn")
	b.ReportMetric(float64(after.heap-before.heap)/idleClients, "heap-B/conn")
	b.ReportMetric(float64(after.stacks-before.stacks)/idleClients, "stack-B/conn")
	b.ReportMetric(float64(after.goroutines-before.goroutines)/idleClients, "goroutines/conn")
	leave.Close()
	if err := clients.Wait(); err != nil {
		b.Error(err)
	}
}

// TestIdleClients is the other half of BenchmarkIdleConnection: it idles
// until its standard input ends.
func TestIdleClients(t *testing.T) {
	address := os.Getenv(idleEnv)
	if address == "" {
		t.Skip("run by BenchmarkIdleConnection")
	}
	h := &house{TB: t, addr: address}
	for range idleClients {
		c := h.dial()
		if os.Getenv(idleTLSEnv) != "" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // ourselves
		}
		l := h.talkOver(c)
		l.enter("INBOX")
		l.ok("FETCH 1:* (FLAGS ENVELOPE)")
		l.idle()
	}
	fmt.Println("idle")
	io.Copy(io.Discard, os.Stdin)
}

type memory struct{ resident, heap, stacks, goroutines int64 }

func measure() memory {
	for range 3 { // stacks shrink by half each time
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var pages int64
	if f, err := os.Open("/proc/self/statm"); err == nil {
		defer f.Close()
		text, _ := io.ReadAll(f)
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return memory{pages * int64(os.Getpagesize()), int64(m.HeapInuse), int64(m.StackInuse), int64(runtime.NumGoroutine())}
}
