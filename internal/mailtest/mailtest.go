// Package mailtest is a running mail system inside a test: a store in a
// temporary folder and one listener of each protocol on loopback, as the
// program wires them but without its settings, limits and certificates.
//
// It is for tests that need more than one protocol. A package that tests its
// own protocol starts its own server.
//
// Start with [Start]; [New] is for processes that have no test around them.
package mailtest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/imapd"
	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/pop3d"
	"github.com/yubin-mail/yubin/relay"
	"github.com/yubin-mail/yubin/smtpd"
	"github.com/yubin-mail/yubin/store"
)

// Iterations is the PBKDF2 cost in tests: the least that RFC 7677 §4 allows.
const Iterations = 4096

// System is a mail system at work. The addresses are host:port.
type System struct {
	Store                        *store.Store `json:"-"`
	SMTP, Submission, POP3, IMAP string

	servers []server
	ports   []*listen.Limited
	serving sync.WaitGroup
}

type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// Start runs a system until the test ends.
func Start(tb testing.TB) *System {
	tb.Helper()
	s, err := New(tb.Context(), tb.TempDir(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// New runs a system on the folder dir until Stop; a nil log discards.
func New(ctx context.Context, dir string, log *slog.Logger) (*System, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	st, err := store.Open(ctx, store.Options{Dir: dir, Log: log, Iterations: Iterations, Server: true})
	if err != nil {
		return nil, err
	}
	s := &System{Store: st}
	limiter := auth.NewLimiter(auth.LimiterConfig{FailuresPerAddress: -1, FailuresPerAccount: -1, UnknownRecipients: -1, Pause: -1})
	au := auth.New(st, limiter, log)
	const host = "mail.example.test"
	notices := &relay.Notices{Hostname: host, Store: st, Now: time.Now, Log: log, PerHour: 100_000}
	submission := smtpd.Config{Hostname: host, Role: smtpd.Submission, Store: st, Auth: au, Limiter: limiter, PlaintextOK: true, Log: log, Confirm: notices.Delivered}
	mx := submission
	mx.Role = smtpd.MX
	err = errors.Join(
		s.run(&s.SMTP, smtpd.New(mx)),
		s.run(&s.Submission, smtpd.New(submission)),
		s.run(&s.POP3, pop3d.New(pop3d.Config{Hostname: host, Store: st, Auth: au, PlaintextOK: true, Log: log})),
		s.run(&s.IMAP, imapd.New(imapd.Config{Hostname: host, Store: st, Auth: au, PlaintextOK: true, Log: log})),
	)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *System) run(address *string, srv server) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	*address = l.Addr().String()
	s.servers = append(s.servers, srv)
	port := listen.Limit(l, listen.Limits{}, nil)
	s.ports = append(s.ports, port)
	s.serving.Go(func() { srv.Serve(port) })
	return nil
}

// Conns returns the connections that are open.
func (s *System) Conns() (open []*listen.Conn) {
	for _, port := range s.ports {
		open = append(open, port.Conns()...)
	}
	return open
}

// AddUser makes a user, or leaves one that is there.
func (s *System) AddUser(tb testing.TB, address, password string) store.User {
	tb.Helper()
	u, err := s.Store.CreateUser(tb.Context(), store.NewUser{Address: address, Password: password})
	if errors.Is(err, store.ErrUserExists) {
		u, err = s.Store.UserByAddress(tb.Context(), address)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// Stop ends all servers and closes the store.
func (s *System) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Shutdown(ctx))
	}
	s.serving.Wait()
	return errors.Join(append(errs, s.Store.Close())...)
}
