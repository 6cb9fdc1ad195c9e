package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/yubin-mail/yubin/wiretap"
)

// IMAPDevice is a mail program that works on the server's mailboxes by IMAP.
// Its local store is a cache: the headings and flags of the inbox, and the
// text of each mail that was opened.
type IMAPDevice struct {
	*gear

	conn   *conversation // nil while offline
	client *imapclient.Client
	uids   []imap.UID // of the inbox, by sequence number
	idle   *imapclient.IdleCommand
	heard  chan push // what the server says without being asked
}

// push is something that the server tells without being asked.
type push struct {
	kind  kind
	seq   uint32
	n     uint32
	flags []imap.Flag
}

// pushes is how many of them may wait for the device to look: more than any
// scenario has, because the client's reader must not block.
const pushes = 256

// heading is what the list of mails shows.
var heading = &imap.FetchItemBodySection{
	Specifier:    imap.PartSpecifierHeader,
	HeaderFields: []string{"From", "Subject", "Date", "Message-ID"},
	Peek:         true,
}

// Connect logs in and selects the inbox.
func (d *IMAPDevice) Connect(ctx context.Context) error {
	d.setUp("incoming server", "incoming port", "incoming user", "incoming password")
	conn, err := d.open(ctx, "imap", d.stage.recorder.server.IMAP)
	if err != nil {
		return err
	}
	heard := make(chan push, pushes)
	tell := func(p push) {
		select {
		case heard <- p:
		default:
		}
	}
	d.conn, d.heard = conn, heard
	d.client = imapclient.New(conn, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Expunge: func(seq uint32) { tell(push{kind: heardGone, seq: seq}) },
		Mailbox: func(m *imapclient.UnilateralDataMailbox) {
			if m.NumMessages != nil {
				tell(push{kind: heardMail, n: *m.NumMessages})
			}
		},
		Fetch: func(m *imapclient.FetchMessageData) {
			seq := m.SeqNum
			if buf, err := m.Collect(); err == nil {
				tell(push{kind: heardFlag, seq: seq, flags: buf.Flags})
			}
		},
	}})
	if err := d.client.WaitGreeting(); err != nil {
		return err
	}
	start := len(conn.lines())
	if err := d.client.Login(d.account.Address, d.account.Password).Wait(); err != nil {
		return fmt.Errorf("LOGIN: %w", err)
	}
	d.note(logIn, conn.since(start))
	if _, err := d.client.Select(inbox, nil).Wait(); err != nil {
		return fmt.Errorf("SELECT: %w", err)
	}
	return nil
}

// List brings the headings and flags of the inbox up to date.
func (d *IMAPDevice) List() error {
	start := len(d.conn.lines())
	messages, err := d.client.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{
		UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{heading},
	}).Collect()
	if err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	ref := d.conn.since(start)
	d.uids = nil
	var present []*entry
	for _, m := range messages {
		d.uids = append(d.uids, m.UID)
		key := strconv.Itoa(int(m.UID))
		e := d.cached(key)
		if e == nil {
			e = &entry{folder: inbox, key: key, ref: ref}
			e.mail, e.subject = recognise(m.FindBodySection(heading))
		}
		e.seen = slices.Contains(m.Flags, imap.FlagSeen)
		present = append(present, e)
	}
	for _, e := range d.shelf {
		back := func(o *entry) bool { return o.mail == e.mail && e.mail != "" }
		if e.folder != inbox && !slices.ContainsFunc(present, back) {
			present = append(present, e)
		}
	}
	d.shelf = present
	d.note(list, ref).n = int64(len(messages))
	return nil
}

func (d *IMAPDevice) cached(key string) *entry {
	for _, e := range d.shelf {
		if e.folder == inbox && e.key == key {
			return e
		}
	}
	return nil
}

// Fetch connects, or asks what is new, and lists the inbox. The device stays
// online.
func (d *IMAPDevice) Fetch(ctx context.Context) error {
	if d.conn == nil {
		if err := d.Connect(ctx); err != nil {
			return err
		}
		return d.List()
	}
	return d.awake(func() error {
		// RFC 9051 §7: what is new may be told only after the command that
		// is under way, so FETCH alone would not see it.
		if err := d.client.Noop().Wait(); err != nil {
			return fmt.Errorf("NOOP: %w", err)
		}
		return d.List()
	})
}

// awake runs commands, for which IDLE must pause.
func (d *IMAPDevice) awake(do func() error) error {
	idled := d.idle != nil
	if err := d.StopIdle(); err != nil {
		return err
	}
	err := do()
	if idled && err == nil {
		err = d.Idle()
	}
	return err
}

// Idle lets the server tell what happens (RFC 2177).
func (d *IMAPDevice) Idle() (err error) {
	for len(d.heard) > 0 {
		<-d.heard // answers to our own commands
	}
	d.idle, err = d.client.Idle()
	return err
}

func (d *IMAPDevice) listening() bool { return d.idle != nil }

// StopIdle ends Idle.
func (d *IMAPDevice) StopIdle() error {
	if d.idle == nil {
		return nil
	}
	idle := d.idle
	d.idle = nil
	return errors.Join(idle.Close(), idle.Wait())
}

// Hear waits until the server has told of n things of a kind, and applies
// what it told to the local store.
func (d *IMAPDevice) Hear(ctx context.Context, want kind, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n > 0 {
		select {
		case p := <-d.heard:
			d.apply(p)
			if p.kind == want {
				n--
			}
		case <-ctx.Done():
			return nil // the facts will tell that nothing came
		}
	}
	return nil
}

// apply does to the local store what the server told.
func (d *IMAPDevice) apply(p push) {
	i := int(p.seq) - 1
	switch {
	case p.kind == heardMail:
		ref, _ := d.conn.find(0, wiretap.Server, fmt.Sprintf("* %d EXISTS", p.n))
		d.note(heardMail, ref).n = int64(p.n)
	case i < 0 || i >= len(d.uids):
		// of a mail that the device has not listed yet
	case p.kind == heardFlag:
		ref, _ := d.conn.find(0, wiretap.Server, fmt.Sprintf("* %d FETCH", p.seq), "FLAGS")
		e := d.note(heardFlag, ref)
		if c := d.cached(strconv.Itoa(int(d.uids[i]))); c != nil {
			c.seen = slices.Contains(p.flags, imap.FlagSeen)
			e.mail = c.mail
		}
	case p.kind == heardGone:
		ref, _ := d.conn.find(0, wiretap.Server, fmt.Sprintf("* %d EXPUNGE", p.seq))
		d.note(heardGone, ref)
		key := strconv.Itoa(int(d.uids[i]))
		d.uids = slices.Delete(d.uids, i, i+1)
		d.shelf = slices.DeleteFunc(d.shelf, func(e *entry) bool { return e.folder == inbox && e.key == key })
	}
}

// Disconnect says goodbye. The local store stays.
func (d *IMAPDevice) Disconnect() error {
	if d.conn == nil {
		return nil
	}
	d.conn.SetDeadline(time.Now().Add(patience))
	err := d.StopIdle()
	if err == nil {
		err = d.client.Logout().Wait()
	}
	d.client.Close() // the server hangs up first, so its error is no news
	d.conn.Close()
	d.conn, d.client = nil, nil
	return err
}
