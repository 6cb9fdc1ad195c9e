package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/pki"
	"github.com/yubin-mail/yubin/relay"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/webd"
	"github.com/yubin-mail/yubin/wiretap"
)

// grace is how long a shutdown may take.
const grace = 10 * time.Second

func (p *program) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the mail server",
		Long:  "Run the mail server until it is told to stop (Ctrl-C or SIGTERM; a second time stops it at once).\nEvery setting may also come from the environment or a file, see `yubin config print`.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			p.warn(cfg)
			return p.serve(c.Context(), cfg)
		},
	}
	defineFlags(c.Flags())
	return c
}

// serve runs a node until ctx ends.
func (p *program) serve(ctx context.Context, cfg *config) error {
	n, err := start(ctx, cfg, p.handler(cfg))
	if err != nil {
		return err
	}
	p.banner(ctx, n)
	select {
	case <-ctx.Done():
	case err = <-n.broken:
	}
	stop, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return errors.Join(err, n.stop(stop))
}

// handler is where the log goes: standard error, as text for a person and as
// JSON for a program.
func (p *program) handler(cfg *config) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // the registry allows only levels
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if address, ok := a.Value.Any().(net.Addr); ok {
			a.Value = slog.StringValue(address.String()) // as text in JSON too
		}
		return a
	}}
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && isTerminal(p.err) {
		return slog.NewTextHandler(p.err, options)
	}
	return slog.NewJSONHandler(p.err, options)
}

// A node is everything that runs in one process.
type node struct {
	cfg       *config
	log       *slog.Logger
	metrics   *metrics
	lock      *os.File
	store     *store.Store
	certs     *pki.Keeper
	limiter   *auth.Limiter
	auth      *auth.Authenticator
	tap       *wiretap.Tap
	gate      *mailauth.Gate   // nil when nothing is checked
	signer    *mailauth.Signer // nil when nothing is signed
	allowance *auth.Allowance
	rewrite   [][]byte // the secret for senders of forwarded mail
	notices   *relay.Notices

	ports    []*port
	pages    *webd.Server // of one of the browsers' ports; nil without any
	services []service
	serving  sync.WaitGroup
	stopping atomic.Bool
	broken   chan error // capacity 1: the first listener that failed ends the node
}

// A port is one listener of mail. Every port has a server value of its own,
// because "this transport is safe" is a fact about a port.
type port struct {
	name    string // as in NAME.addr
	address string
	secure  bool // TLS from the first byte
	browser bool // speaks HTTP
	refuse  func(net.Conn)
	server  func(portFacts) service

	listener net.Listener // bound
	limited  *listen.Limited
}

// portFacts are what a protocol server must know about its port.
type portFacts struct {
	secure      bool
	tls         *tls.Config // for STARTTLS; nil where the port is secure already
	plaintextOK bool
	log         *slog.Logger
}

// A service is one server value at work.
type service interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// start brings a node up, or says why it cannot and leaves nothing behind.
func start(ctx context.Context, cfg *config, handler slog.Handler) (*node, error) {
	n := &node{cfg: cfg, metrics: newMetrics(), broken: make(chan error, 1)}
	n.log = slog.New(n.metrics.handler(handler))
	err := n.start(ctx)
	if err == nil {
		return n, nil
	}
	stop, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return nil, errors.Join(err, n.stop(stop))
}

func (n *node) start(ctx context.Context) (err error) {
	cfg := n.cfg
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	if n.lock, err = lockFolder(cfg.DataDir); err != nil {
		return err
	}
	n.store, err = store.Open(ctx, store.Options{Dir: cfg.DataDir, Log: n.log, Iterations: hashCost, SpoolMemory: int64(cfg.SpoolMemory), Server: true, Now: cfg.staging.now()})
	if err != nil {
		return fmt.Errorf("open the mail store in %s: %w", cfg.DataDir, err)
	}
	n.metrics.watchStore(n.store)
	if err := n.seed(ctx); err != nil {
		return err
	}
	names := slices.Concat([]string{cfg.Hostname}, cfg.Domains, cfg.TLSNames)
	if cfg.policy() != "" {
		for _, d := range cfg.Domains {
			names = append(names, policyHost(d))
		}
	}
	n.certs, err = pki.Open(pki.Config{
		Dir:      tlsDir(cfg),
		Names:    names,
		CertFile: cfg.TLSCert,
		KeyFile:  cfg.TLSKey,
		Log:      n.log,
	})
	if err != nil {
		return err
	}
	if cfg.origin["hostname"] == "default" && !strings.Contains(cfg.Hostname, ".") {
		// A container's name changes, and the authority must change with it.
		n.log.Warn("the machine's name is not one that others find it by, and may change; set hostname", "hostname", cfg.Hostname)
	}
	n.limiter = auth.NewLimiter(auth.LimiterConfig{
		FailuresPerAddress: orUnlimited(cfg.LoginFailures),
		FailuresPerAccount: orUnlimited((cfg.LoginFailures + 4) / 5),
		UnknownRecipients:  orUnlimited(cfg.UnknownRecipients),
		Pause:              cfg.pause(),
	})
	remember := func(kind string, bounds store.Bounds) (*store.Memory, error) {
		return n.store.Memory(ctx, kind, bounds)
	}
	spent, err := remember("sent", store.Bounds{})
	if err != nil {
		return err
	}
	n.allowance = &auth.Allowance{
		Memory:     spent,
		UserHour:   cfg.SendPerUserHour,
		UserDay:    cfg.SendPerUserDay,
		DomainHour: cfg.SendPerDomainHour,
		DomainDay:  cfg.SendPerDomainDay,
	}
	n.auth = auth.New(n.store, n.limiter, n.log)
	n.tap = wiretap.New(wiretap.Config{
		Enabled:     cfg.WiretapEnabled,
		Everyone:    cfg.Demo,
		MaxSessions: cfg.WiretapSessions,
		MaxBytes:    int(cfg.WiretapBytes),
	})
	if n.gate, err = cfg.gate(remember); err != nil {
		return err
	}
	if n.gate != nil {
		n.gate.Open = webd.IsLabAccount
	}
	if err := cfg.makeKeys(time.Now()); err != nil {
		return err
	}
	n.signer = cfg.signer(n.log)
	if cfg.RelayEnabled {
		secret, err := cfg.keyring().Secret()
		if err != nil {
			return err
		}
		n.rewrite = [][]byte{secret}
	}
	n.notices = n.tell()
	if err := n.bind(ctx); err != nil {
		return err
	}
	for _, p := range n.ports {
		n.limit(p)
	}
	for _, p := range n.ports { // the pages show all of them, so all of them come first
		n.open(p)
	}
	n.run("doorman", newDoorman(n), nil)
	if err := n.send(); err != nil {
		return err
	}
	return n.announce()
}

// limit begins to count a port's connections.
func (n *node) limit(p *port) {
	refuse := p.refuse
	if p.secure {
		refuse = nil // before the handshake there is nothing to say
	}
	p.limited = listen.Limit(p.listener, listen.Limits{
		PerAddress: n.cfg.ConnectionsPerAddress,
		Total:      n.cfg.Connections,
		Rate:       n.cfg.ConnectionRate,
		Log:        n.log.With("listener", p.name),
	}, refuse)
	n.metrics.watchPort(p.name, p.limited)
}

// open puts a port's layers together: this is the way of every connection.
func (n *node) open(p *port) {
	facts := portFacts{
		secure:      p.secure,
		plaintextOK: n.plaintextOK(p),
		log:         n.log.With("listener", p.name),
	}
	var l net.Listener = p.limited
	security := "clear"
	if p.secure {
		l, security = listen.TLS(l, n.certs.TLS()), "tls"
	} else {
		facts.tls = n.certs.TLS()
	}
	if !p.browser {
		l = listen.HTTPGuard(l)
		l = n.tap.Listen(l, p.name, security)
	}
	n.run(p.name, p.server(facts), l)
}

// run serves l in the background until the node stops.
func (n *node) run(name string, s service, l net.Listener) {
	n.services = append(n.services, s)
	n.serving.Go(func() {
		// Only the untimely end is news.
		if err := s.Serve(l); err != nil && !n.stopping.Load() {
			select {
			case n.broken <- fmt.Errorf("listener %s: %w", name, err):
			default:
			}
		}
	})
}

// bind opens all ports, and says of all that are taken.
func (n *node) bind(ctx context.Context) error {
	var failed []error
	for _, p := range append(n.mailPorts(), n.webPorts()...) {
		if p.address == "" {
			continue
		}
		var err error
		if p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", p.address); err != nil {
			failed = append(failed, of(p.name+".addr", err))
			continue
		}
		n.ports = append(n.ports, p)
	}
	return errors.Join(failed...)
}

// plaintextOK reports whether a port takes passwords without TLS.
func (n *node) plaintextOK(p *port) bool { return n.cfg.AllowPlaintext || onLoopback(p.listener) }

func onLoopback(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// orUnlimited turns our "0 is no limit" into a limiter's "negative is none".
func orUnlimited(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}

// stop ends the node: no new connections, a word to the open ones, and the
// store last. When ctx ends, what is still open is cut off.
func (n *node) stop(ctx context.Context) error {
	n.stopping.Store(true)
	n.log.Debug("stopping", "services", len(n.services))
	ended := make(chan error, len(n.services)) // one slot each, so that nobody waits for us
	for _, s := range n.services {
		go func() { ended <- s.Shutdown(ctx) }()
	}
	var failed []error
	for range n.services {
		if err := <-ended; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			failed = append(failed, err)
		}
	}
	n.serving.Wait()
	if ctx.Err() != nil {
		n.log.Warn("connections were cut off, they did not end in time", "grace", grace.String())
	}
	failed = append(failed, n.release())
	return errors.Join(failed...)
}

// release gives back what start took, in the opposite order.
func (n *node) release() error {
	for _, p := range n.ports {
		p.listener.Close() // closed already when its server has shut down
	}
	var failed []error
	if n.store != nil {
		failed = append(failed, n.store.Close())
	}
	if n.lock != nil {
		n.withdraw()
		failed = append(failed, n.lock.Close())
	}
	return errors.Join(failed...)
}
