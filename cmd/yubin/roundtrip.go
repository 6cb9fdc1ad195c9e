package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// patience is how long each step of the round trip may take.
const patience = 10 * time.Second

// A trip is one mail that the doctor sends through the running server.
type trip struct {
	*doctor
	subject string
	text    string
	tls     *tls.Config

	imap    *imapclient.Client
	arrived chan struct{} // capacity 1: the server has said that something is new
}

// roundTrip sends the user a mail, sees it arrive by IMAP and POP3 and
// removes it again.
func (d *doctor) roundTrip(ctx context.Context) {
	switch {
	case d.live == nil:
		d.find(skipped, d.say("skipped: no server runs"), "", "yubin serve")
		return
	case d.user == "":
		d.find(skipped, d.say("skipped: no account was given"), "", "yubin doctor --user alice@example.test")
		return
	}
	config, err := trusting(d.cfg)
	if err != nil {
		d.broken(d.say("the certificate"), err)
		return
	}
	t := &trip{doctor: d, tls: config, subject: "yubin doctor " + rand.Text()[:12], text: "会議", arrived: make(chan struct{}, 1)}
	if err := t.openIMAP(ctx); err != nil {
		d.broken(d.say("logging in by IMAP"), err)
		return
	}
	if t.imap != nil {
		defer t.imap.Close()
	}
	started := time.Now()
	if err := t.send(ctx); err != nil {
		d.broken(d.say("sending by SMTP"), err)
		return
	}
	d.find(good, d.say("SMTP took a mail in %s", short(time.Since(started))), "", "")
	if t.imap != nil {
		if err := t.seeByIMAP(started); err != nil {
			d.broken(d.say("reading by IMAP"), err)
		}
	}
	if err := t.seeByPOP3(ctx); err != nil {
		d.broken(d.say("reading by POP3"), err)
	}
	if t.imap != nil {
		if err := t.removeByIMAP(); err != nil {
			d.broken(d.say("removing by IMAP"), err)
		}
	}
}

func (d *doctor) broken(step string, err error) {
	d.find(bad, d.say("%s failed: %s", step, d.explain(err)), d.say("Mail does not come through."), d.say("look into the server's log"))
}

// dial connects to the listener of a protocol, the one over TLS if there is
// one. It returns nil when both are switched off.
func (t *trip) dial(ctx context.Context, proto string) (net.Conn, error) {
	name := proto + "s"
	if t.live.reach(name) == "" {
		name = proto
	}
	address := t.live.reach(name)
	if address == "" {
		return nil, nil
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(3 * patience))
	if implicitTLS(name) {
		conn = tls.Client(conn, t.tls)
	}
	return conn, nil
}

func (t *trip) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := drop{address: t.live.reach("smtp")}
	if address := t.live.reach("submissions"); address != "" {
		d = drop{address: address, user: t.user, password: t.password, implicit: true, tls: t.tls}
	}
	if d.address == "" {
		return errors.New(t.say("the server has no listener for that; see `yubin config print`"))
	}
	_, err := d.deliver(ctx, letter{from: t.user, to: []string{t.user}, subject: t.subject, text: []byte(t.text)})
	return err
}

// openIMAP logs in and idles on the inbox, or leaves t.imap nil when there
// is no IMAP listener.
func (t *trip) openIMAP(ctx context.Context) error {
	conn, err := t.dial(ctx, "imap")
	if conn == nil {
		return err
	}
	t.imap = imapclient.New(conn, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				select {
				case t.arrived <- struct{}{}:
				default:
				}
			}
		},
	}})
	if err = t.imap.Login(t.user, t.password).Wait(); err == nil {
		_, err = t.imap.Select("INBOX", nil).Wait()
	}
	return err
}

// seeByIMAP waits until the server tells of the mail by itself, and finds it
// by a word in it.
func (t *trip) seeByIMAP(started time.Time) error {
	idle, err := t.imap.Idle()
	if err != nil {
		return err
	}
	select {
	case <-t.arrived:
		t.find(good, t.say("IMAP told of it %s after it was sent", short(time.Since(started))), "", "")
	case <-time.After(patience):
		t.find(bad, t.say("IMAP did not tell of it"), t.say("Clients see new mail only when they ask."), t.say("look into the server's log"))
	}
	if err := errors.Join(idle.Close(), idle.Wait()); err != nil {
		return err
	}
	found, err := t.imap.UIDSearch(&imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: t.subject}},
		Text:   []string{t.text},
	}, nil).Wait()
	if err != nil {
		return err
	}
	if len(found.AllUIDs()) != 1 {
		t.find(bad, t.say("search does not find %s in it", t.text), t.say("Mail is there but cannot be found."), t.say("look into the server's log"))
		return nil
	}
	t.find(good, t.say("search finds %s in it", t.text), "", "")
	return nil
}

// removeByIMAP leaves the mailbox as it was.
func (t *trip) removeByIMAP() error {
	found, err := t.imap.UIDSearch(&imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: t.subject}},
	}, nil).Wait()
	if err != nil {
		return err
	}
	uids := imap.UIDSetNum(found.AllUIDs()...)
	if len(uids) == 0 {
		return nil
	}
	flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := t.imap.Store(uids, flags, nil).Close(); err != nil {
		return err
	}
	if err := t.imap.UIDExpunge(uids).Close(); err != nil {
		return err
	}
	return t.imap.Logout().Wait()
}

// seeByPOP3 finds the mail among the newest. It deletes it only when there
// is no IMAP to do that: what DELE does is the user's policy.
func (t *trip) seeByPOP3(ctx context.Context) error {
	conn, err := t.dial(ctx, "pop3")
	if conn == nil {
		return err
	}
	defer conn.Close()
	p := pop3{textproto.NewConn(conn)}
	if _, err := p.answer(); err != nil {
		return err
	}
	if err := p.login(ctx, t.user, t.password); err != nil {
		if isInUse(err) {
			t.find(skipped, t.say("skipped: POP3 lets in one device at a time, and one is there already"), "", "yubin sessions")
			return nil
		}
		return err
	}
	stat, err := p.ask("STAT")
	if err != nil {
		return err
	}
	var n, size int
	if _, err := fmt.Sscanf(stat, "%d %d", &n, &size); err != nil {
		return fmt.Errorf("STAT: %w", err)
	}
	started, seen := time.Now(), 0
	for i := n; i > 0 && i > n-5 && seen == 0; i-- {
		if _, err := p.ask("TOP %d 0", i); err != nil {
			continue // gone meanwhile
		}
		header, err := p.ReadDotBytes()
		if err != nil {
			return err
		}
		if bytes.Contains(header, []byte(t.subject)) {
			seen = i
		}
	}
	if seen == 0 {
		t.find(bad, t.say("POP3 does not show it"), t.say("Mail does not come through."), t.say("look into the server's log"))
	} else {
		t.find(good, t.say("POP3 shows it (in %s)", short(time.Since(started))), "", "")
	}
	if seen > 0 && t.imap == nil {
		if _, err := p.ask("DELE %d", seen); err != nil {
			return err
		}
	}
	_, err = p.ask("QUIT")
	return err
}

// login waits a little for another session to end: there is one at a time
// (RFC 1939 §4), and that is no fault of the server.
func (p pop3) login(ctx context.Context, user, password string) error {
	for tries := 10; ; tries-- {
		if _, err := p.ask("USER %s", user); err != nil {
			return err
		}
		_, err := p.ask("PASS %s", password)
		if tries == 0 || !isInUse(err) {
			return err
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isInUse knows the answer of RFC 2449 §8.1.1.
func isInUse(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "-ERR [IN-USE]") }

// pop3 is as much of a client as the round trip needs (RFC 1939 §3).
type pop3 struct{ *textproto.Conn }

func (p pop3) ask(format string, args ...any) (string, error) {
	if err := p.PrintfLine(format, args...); err != nil {
		return "", err
	}
	return p.answer()
}

func (p pop3) answer() (string, error) {
	line, err := p.ReadLine()
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(line, "+OK")
	if !ok {
		return "", errors.New(line)
	}
	return strings.TrimSpace(rest), nil
}
