package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/spf13/pflag"

	"github.com/yubin-mail/yubin/internal/pki"
	"github.com/yubin-mail/yubin/internal/testdns"
	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/relay"
	"github.com/yubin-mail/yubin/store"
)

// staging is what a play with several servers in one process puts in the
// place of the world. The zero value changes nothing.
type staging struct {
	clock   *relay.WoundClock
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	observe func(relay.Outcome)
}

// now is the time for the store and for notices.
func (s staging) now() func() time.Time {
	if s.clock == nil {
		return time.Now
	}
	return s.clock.Now
}

// apply gives a relay the stage's clock, network and listener.
func (s staging) apply(c *relay.Config) {
	if s.clock != nil {
		c.Clock = s.clock
	}
	c.Dial, c.Observe = s.dial, s.observe
}

// twoServers is the stage: alpha.test and beta.test, each with a store of its
// own, DNS for both, and a clock that is wound by hand.
type twoServers struct {
	dir    string
	lang   lab.Lang
	zone   *testdns.Zone
	dns    *testdns.Server
	clock  *relay.WoundClock
	alpha  *house
	beta   *house
	events chan relay.Outcome

	mu    sync.Mutex
	reach map[string]string // where the port 25 of an address really is

	facts []fact // of the act that is played
}

// house is one of the servers, with the one person who lives there.
type house struct {
	stage  *twoServers
	domain string
	ip     string
	user   string
	node   *node // nil while it is down
	run    runFile
	alone  bool // its certificate is one that nobody else knows
}

// fact is a statement with what was measured: whether it holds, and by what.
type fact struct {
	Text     string `json:"text"`
	Holds    bool   `json:"holds"`
	Evidence string `json:"evidence,omitempty"`
}

func (s *twoServers) state(words lab.Words, holds bool, evidence ...any) {
	s.facts = append(s.facts, fact{words.In(s.lang), holds, strings.TrimSpace(fmt.Sprintln(evidence...))})
}

// openTwoServers sets the stage up, or leaves nothing behind.
func openTwoServers(ctx context.Context, lang lab.Lang) (*twoServers, error) {
	s := &twoServers{lang: lang, clock: relay.NewWoundClock(time.Now()), events: make(chan relay.Outcome, 1000), reach: make(map[string]string)}
	s.alpha = &house{stage: s, domain: "alpha.test", ip: "127.0.0.10", user: "alice@alpha.test"}
	s.beta = &house{stage: s, domain: "beta.test", ip: "127.0.0.20", user: "bob@beta.test"}
	err := s.open(ctx)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *twoServers) open(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "yubin-two-"); err != nil {
		return err
	}
	if err := pki.Issue(s.authority(), time.Now(), s.alpha.names(), s.beta.names()); err != nil {
		return err
	}
	s.zone = new(testdns.Zone)
	if s.dns, err = testdns.Start(s.zone); err != nil {
		return err
	}
	for _, h := range []*house{s.alpha, s.beta} {
		err := s.zone.Add(
			h.domain+". MX 10 mail."+h.domain+".",
			"mail."+h.domain+". A "+h.ip,
			policyHost(h.domain)+". A "+h.ip,
			"_mta-sts."+h.domain+`. TXT "v=STSv1; id=1"`,
			h.domain+`. TXT "v=spf1 ip4:127.0.0.1 -all"`, // where both really send from
			"_dmarc."+h.domain+`. TXT "v=DMARC1; p=quarantine"`,
		)
		if err == nil {
			err = h.start(ctx)
		}
		if err == nil {
			_, err = h.node.store.CreateUser(ctx, store.NewUser{Address: h.user, Password: "secret"})
		}
		if err == nil {
			err = h.publishKeys()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *twoServers) close() error {
	failed := []error{s.alpha.stop(), s.beta.stop()}
	if s.dns != nil {
		failed = append(failed, s.dns.Close())
	}
	if s.dir != "" {
		failed = append(failed, os.RemoveAll(s.dir))
	}
	return errors.Join(failed...)
}

// dial leads the addresses that DNS knows to where the servers listen.
func (s *twoServers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	to, ok := s.reach[address]
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("nobody is at %s", address)
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// authority is the folder with what vouches for both servers.
func (s *twoServers) authority() string { return filepath.Join(s.dir, "authority") }

// names are those that the server's certificate is for.
func (h *house) names() []string { return []string{"mail." + h.domain, policyHost(h.domain)} }

// start brings the server up, on its folder as it is.
func (h *house) start(ctx context.Context) error {
	dir := filepath.Join(h.stage.dir, h.domain)
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	defineFlags(flags)
	cert := filepath.Join(h.stage.authority(), h.names()[0]+".pem")
	if h.alone {
		cert = ""
	}
	err := flags.Parse([]string{
		"--data-dir", dir, "--hostname", "mail." + h.domain, "--domains", h.domain, "--auth-make-keys",
		"--smtp-addr", "127.0.0.1:0", "--submission-addr", "127.0.0.1:0", "--submissions-addr=",
		"--pop3-addr", "127.0.0.1:0", "--pop3s-addr=", "--imap-addr", "127.0.0.1:0", "--imaps-addr=", "--admin-addr=", "--http-addr=",
		"--https-addr", "127.0.0.1:0", "--mta-sts-mode", "enforce", "--tls-cert", cert, "--tls-key", cert,
		"--relay-authorities", filepath.Join(h.stage.authority(), "ca.pem"),
		"--auth-trusted-networks=", "--dns-resolver", h.stage.dns.Addr,
		"--relay-enabled", "--relay-allow-private",
	})
	if err != nil {
		return err
	}
	// The person's own settings have no part in it.
	cfg, err := loadConfig(flags, func(name string) (string, bool) { return os.DevNull, name == "YUBIN_CONFIG" }, nil)
	if err != nil {
		return err
	}
	cfg.staging = staging{clock: h.stage.clock, dial: h.stage.dial, observe: func(o relay.Outcome) { h.stage.events <- o }}
	if h.node, err = start(ctx, cfg, slog.DiscardHandler); err != nil {
		return err
	}
	if h.run, err = readRunFile(dir); err != nil {
		return err
	}
	h.stage.mu.Lock()
	defer h.stage.mu.Unlock()
	h.stage.reach[net.JoinHostPort(h.ip, "25")] = h.run.reach("smtp")
	h.stage.reach[net.JoinHostPort(h.ip, "443")] = h.run.reach("https")
	return nil
}

func (h *house) stop() error {
	if h.node == nil {
		return nil
	}
	h.stage.mu.Lock()
	delete(h.stage.reach, net.JoinHostPort(h.ip, "25"))
	delete(h.stage.reach, net.JoinHostPort(h.ip, "443"))
	h.stage.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := h.node.stop(ctx)
	h.node = nil
	return err
}

// publishKeys puts the records of all the server's keys into DNS.
func (h *house) publishKeys() error {
	keys, err := h.node.cfg.keyring().List(h.domain)
	for _, k := range keys {
		if err == nil {
			h.stage.zone.Remove(k.Name(), "TXT")
			err = h.stage.zone.Add(k.DNSRecord())
		}
	}
	return err
}

// write lets the person submit a mail.
func (h *house) write(ctx context.Context, to string, subject lab.Words) error {
	d := drop{address: h.run.reach("submission"), user: h.user, password: "secret"}
	text := lab.Words{EN: "How are you?\n", JA: "お元気ですか。\n"}
	_, err := d.deliver(ctx, letter{from: h.user, to: []string{to}, subject: subject.In(h.stage.lang), text: []byte(text.In(h.stage.lang))})
	return err
}

// outcome waits for what becomes of the next attempt.
func (s *twoServers) outcome(ctx context.Context) (relay.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	select {
	case o := <-s.events:
		return o, nil
	case <-ctx.Done():
		return relay.Outcome{}, fmt.Errorf("wait for an attempt to deliver: %w", ctx.Err())
	}
}

// advance winds the clock until something was tried. The relay may have been
// about to look at the clock, and then wants to be told once more.
func (s *twoServers) advance(ctx context.Context, d time.Duration) (relay.Outcome, error) {
	s.clock.Advance(d)
	for range 30 {
		select {
		case o := <-s.events:
			return o, nil
		case <-time.After(time.Second):
			s.clock.Advance(time.Minute)
		case <-ctx.Done():
			return relay.Outcome{}, ctx.Err()
		}
	}
	return s.outcome(ctx)
}

// byIMAP is every mail in the person's inbox, oldest first.
func (h *house) byIMAP(ctx context.Context) (mails []string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.run.reach("imap"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := imapclient.New(conn, nil)
	defer c.Close()
	if err := c.Login(h.user, "secret").Wait(); err != nil {
		return nil, err
	}
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil || box.NumMessages == 0 {
		return nil, err
	}
	section := &imap.FetchItemBodySection{Peek: true}
	found, err := c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	for _, m := range found {
		mails = append(mails, string(m.FindBodySection(section)))
	}
	return mails, err
}

// byPOP3 is the same for a device that speaks POP3.
func (h *house) byPOP3(ctx context.Context) (mails []string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.run.reach("pop3"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	p := pop3{textproto.NewConn(conn)}
	if _, err := p.answer(); err != nil {
		return nil, err
	}
	for _, command := range []string{"USER " + h.user, "PASS secret"} {
		if _, err := p.ask("%s", command); err != nil {
			return nil, err
		}
	}
	stat, err := p.ask("STAT")
	if err != nil {
		return nil, err
	}
	var n, size int
	if _, err := fmt.Sscanf(stat, "%d %d", &n, &size); err != nil {
		return nil, fmt.Errorf("STAT: %w", err)
	}
	for i := 1; i <= n; i++ {
		if _, err := p.ask("RETR %d", i); err != nil {
			return nil, err
		}
		text, err := p.ReadDotBytes()
		if err != nil {
			return nil, err
		}
		mails = append(mails, strings.ReplaceAll(string(text), "\n", "\r\n"))
	}
	_, err = p.ask("QUIT")
	return mails, err
}

// since is what of after is new since before.
func since(before, after []string) (fresh []string) {
	for _, m := range after {
		if !slices.Contains(before, m) {
			fresh = append(fresh, m)
		}
	}
	return fresh
}
