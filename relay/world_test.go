package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/internal/resolve"
	"github.com/yubin-mail/yubin/internal/testdns"
	"github.com/yubin-mail/yubin/store"
)

func TestMain(m *testing.M) { leak.Main(m) }

// world is a relay with a store, a clock, DNS, and whom it can reach.
type world struct {
	t        *testing.T
	store    *store.Store
	clock    *WoundClock
	zone     *testdns.Zone
	relay    *Relay
	ada      store.User
	outcomes chan Outcome

	mu    sync.Mutex
	reach map[string]*peer  // by "127.0.0.2:25"; nil never answers
	other map[string]string // servers that are no peers, likewise
}

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// patient are timeouts for peers that answer.
var patient = Timeouts{Idle: 50 * time.Millisecond}

// soon is when a peer that does not answer is given up.
const soon = 300 * time.Millisecond

// hasty are timeouts for a peer that does not answer at one stage; at the
// others it has all the time it needs.
func hasty(stage string) Timeouts {
	t := patient
	switch stage {
	case "CONNECT":
		t.Greeting = soon
	case "DATA":
		t.DataStart = soon
	case "BODY":
		t.DataBlock = soon
	case "END":
		t.DataEnd = soon
	default:
		t.Command = soon
	}
	return t
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: NewWoundClock(start), reach: make(map[string]*peer), other: make(map[string]string), outcomes: make(chan Outcome, 20000)}
	var err error
	w.store, err = store.Open(t.Context(), store.Options{Dir: t.TempDir(), Server: true, Now: w.clock.Now, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.store.AddDomain(t.Context(), "alpha.test"); err != nil {
		t.Fatal(err)
	}
	if w.ada, err = w.store.CreateUser(t.Context(), store.NewUser{Address: "ada@alpha.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	w.zone = new(testdns.Zone)
	server, err := testdns.Start(w.zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	c := Config{
		Hostname: "mail.alpha.test", Store: w.store, Clock: w.clock, AllowPrivate: true, NoSTS: true, Timeouts: patient,
		Resolver: &resolve.DNS{Servers: []string{server.Addr}, Trusted: true},
		Dial:     w.dial,
		Observe:  func(o Outcome) { w.outcomes <- o },
		Log:      slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&c)
	}
	w.relay = New(c)
	return w
}

// testLog is shown when a test fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// run starts the relay; the test's end stops it.
func (w *world) run() {
	w.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- w.relay.Run(context.Background()) }()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := w.relay.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			w.t.Error(err)
		}
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

// dial reaches peers under the addresses that DNS gives them, and nobody else.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	to, ok := w.reach[address]
	other := w.other[address]
	w.mu.Unlock()
	switch {
	case other != "":
		return new(net.Dialer).DialContext(ctx, network, other)
	case !ok:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case to == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return new(net.Dialer).DialContext(ctx, network, to.addr())
}

func (w *world) at(address string, p *peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reach[address] = p
}

func (w *world) silent(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reach[address] = nil
}

func (w *world) dns(records ...string) {
	w.t.Helper()
	if err := w.zone.Add(records...); err != nil {
		w.t.Fatal(err)
	}
}

// beta is a peer that takes the mail of beta.test.
func (w *world) beta(on func(s *session, stage, line string) string) *peer {
	w.t.Helper()
	p := newPeer(w.t, on)
	w.dns("beta.test. MX 10 mx.beta.test.", "mx.beta.test. A 127.0.0.2")
	w.at("127.0.0.2:25", p)
	return p
}

const letter = "Return-Path: <ada@alpha.test>\r\nReceived: from client\r\n\tby mail.alpha.test with ESMTPSA; Mon, 23 Nov 2026 09:00:00 +0000\r\n" +
	"From: Ada <ada@alpha.test>\r\nTo: Bob <bob@beta.test>\r\nSubject: Hello\r\nMessage-ID: <1@alpha.test>\r\n\r\nHi.\r\n.\r\n..dots\r\n"

// accept queues a mail.
func (w *world) accept(d store.Delivery) {
	w.t.Helper()
	if d.Body == nil {
		d.Body = store.Bytes(letter)
	}
	if _, err := w.store.Accept(w.t.Context(), d); err != nil {
		w.t.Fatal(err)
	}
}

// send queues a mail from ada.
func (w *world) send(to ...string) {
	w.t.Helper()
	d := store.Delivery{Sender: "ada@alpha.test"}
	for _, a := range to {
		d.Recipients = append(d.Recipients, store.Recipient{Address: a, Remote: a})
	}
	w.accept(d)
}

// await returns the next n outcomes, ordered by recipient.
func (w *world) await(n int) []Outcome {
	w.t.Helper()
	var all []Outcome
	for range n {
		select {
		case o := <-w.outcomes:
			all = append(all, o)
		case <-time.After(20 * time.Second):
			w.t.Fatalf("%d of %d outcomes: %+v", len(all), n, all)
		}
	}
	slices.SortFunc(all, func(a, b Outcome) int { return strings.Compare(a.Recipient, b.Recipient) })
	return all
}

// one is the next outcome.
func (w *world) one() Outcome {
	w.t.Helper()
	return w.await(1)[0]
}

// notices are the mails in ada's INBOX.
func (w *world) notices() []string {
	w.t.Helper()
	ctx := w.t.Context()
	box, err := w.store.Mailbox(ctx, w.ada.ID, "INBOX")
	if err != nil {
		w.t.Fatal(err)
	}
	var blobs []store.BlobID
	err = w.store.Each(ctx, box.ID, nil, 0, func(m *store.Message) error {
		blobs = append(blobs, m.Blob)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, b := range blobs {
		body, err := w.store.OpenBody(ctx, b)
		if err != nil {
			w.t.Fatal(err)
		}
		text, err := io.ReadAll(body.Section(0, body.Size()))
		body.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// queued are the recipients that wait.
func (w *world) queued() []store.Queued {
	w.t.Helper()
	q, err := w.store.Queue(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return q
}

func text(part *message.Part, of string) string {
	b, _ := io.ReadAll(part.Decode(strings.NewReader(of[part.BodyOffset() : part.BodyOffset()+part.Size])))
	return string(b)
}
