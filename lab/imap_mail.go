package lab

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"
)

// What a person does with mail on an IMAP device.

// set is a mail of the local store as a set of UIDs.
func (d *IMAPDevice) set(e *entry) imap.UIDSet {
	n, _ := strconv.Atoi(e.key)
	return imap.UIDSetNum(imap.UID(n))
}

// Load downloads the whole mail into the cache, unless it is there.
func (d *IMAPDevice) Load(mail string) error {
	e := d.find(mail, inbox)
	if e == nil || e.raw != nil {
		return nil
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	return d.awake(func() error { return d.load(e, whole) })
}

func (d *IMAPDevice) load(e *entry, section *imap.FetchItemBodySection) error {
	start := len(d.conn.lines())
	messages, err := d.client.Fetch(d.set(e), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	for _, m := range messages {
		e.raw = m.FindBodySection(section)
	}
	e.ref = d.conn.since(start)
	got := d.note(download, e.ref)
	got.mail, got.octets = e.mail, int64(len(e.raw))
	return nil
}

// Structure asks what a mail is made of, and ReadPart gets one part of it.
func (d *IMAPDevice) Structure(mail string) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	start := len(d.conn.lines())
	_, err := d.client.Fetch(d.set(e), &imap.FetchOptions{BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}).Collect()
	d.note(peek, d.conn.since(start)).mail = mail
	return err
}

// ReadPart downloads one part of a mail.
func (d *IMAPDevice) ReadPart(mail string, part int) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	return d.load(e, &imap.FetchItemBodySection{Part: []int{part}, Peek: true})
}

// Open shows a mail: its text is downloaded unless the cache has it, and the
// server is told that it has been read. Offline only the cache is there.
func (d *IMAPDevice) Open(_ context.Context, mail string) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	if d.conn != nil {
		if err := d.Load(mail); err != nil {
			return err
		}
		if err := d.awake(func() error { return d.markSeen(e) }); err != nil {
			return err
		}
	}
	e.seen = e.seen || e.raw != nil
	return nil
}

func (d *IMAPDevice) markSeen(e *entry) error {
	return d.store(e, imap.FlagSeen)
}

func (d *IMAPDevice) store(e *entry, f imap.Flag) error {
	start := len(d.conn.lines())
	err := d.client.Store(d.set(e), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{f}}, nil).Close()
	d.note(flag, d.conn.since(start)).mail = e.mail
	return err
}

// Discard moves a mail to the server's Trash (RFC 9051 §6.4.8).
func (d *IMAPDevice) Discard(_ context.Context, mail string) error {
	return d.move(mail, trash)
}

// File makes a folder on the server and moves a mail there.
func (d *IMAPDevice) File(_ context.Context, mail, folder string) error {
	if err := d.awake(func() error { return d.client.Create(folder, nil).Wait() }); err != nil {
		return fmt.Errorf("CREATE: %w", err)
	}
	d.stage.folders = append(d.stage.folders, folder)
	return d.move(mail, folder)
}

func (d *IMAPDevice) move(mail, folder string) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	return d.awake(func() error {
		start := len(d.conn.lines())
		_, err := d.client.Move(d.set(e), folder).Wait()
		if err != nil {
			return fmt.Errorf("MOVE: %w", err)
		}
		d.note(file, d.conn.since(start)).mail = mail
		// The EXPUNGE that answers MOVE has counted the others down.
		d.uids = slices.DeleteFunc(d.uids, func(uid imap.UID) bool { return strconv.Itoa(int(uid)) == e.key })
		e.folder, e.key = folder, ""
		return nil
	})
}

// Look lists another mailbox of the server into the local store.
func (d *IMAPDevice) Look(_ context.Context, folder string) error {
	return d.awake(func() error {
		start := len(d.conn.lines())
		d.shelf = slices.DeleteFunc(d.shelf, func(e *entry) bool { return e.folder == folder })
		selected, err := d.client.Select(folder, &imap.SelectOptions{ReadOnly: true}).Wait()
		if err != nil {
			return fmt.Errorf("EXAMINE: %w", err)
		}
		if selected.NumMessages > 0 {
			messages, err := d.client.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{
				UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{heading},
			}).Collect()
			if err != nil {
				return fmt.Errorf("FETCH: %w", err)
			}
			for _, m := range messages {
				e := &entry{folder: folder, key: strconv.Itoa(int(m.UID))}
				e.mail, e.subject = recognise(m.FindBodySection(heading))
				e.seen = slices.Contains(m.Flags, imap.FlagSeen)
				d.shelf = append(d.shelf, e)
			}
		}
		e := d.note(list, d.conn.since(start))
		e.mail, e.n = folder, int64(selected.NumMessages)
		if _, err := d.client.Select(inbox, nil).Wait(); err != nil {
			return fmt.Errorf("SELECT: %w", err)
		}
		return nil
	})
}

// Folders asks which mailboxes there are.
func (d *IMAPDevice) Folders(context.Context) (names []string, err error) {
	err = d.awake(func() error {
		found, err := d.client.List("", "*", nil).Collect()
		for _, f := range found {
			names = append(names, f.Mailbox)
		}
		return err
	})
	return names, err
}

// Restore moves a mail from the server's Trash back to the inbox.
func (d *IMAPDevice) Restore(ctx context.Context, mail string) error {
	if err := d.Look(ctx, trash); err != nil {
		return err
	}
	e := d.find(mail, trash)
	if e == nil {
		return nil
	}
	return d.awake(func() error {
		if _, err := d.client.Select(trash, nil).Wait(); err != nil {
			return fmt.Errorf("SELECT: %w", err)
		}
		if _, err := d.client.Move(d.set(e), inbox).Wait(); err != nil {
			return fmt.Errorf("MOVE: %w", err)
		}
		d.shelf = slices.DeleteFunc(d.shelf, func(o *entry) bool { return o == e })
		if _, err := d.client.Select(inbox, nil).Wait(); err != nil {
			return fmt.Errorf("SELECT: %w", err)
		}
		return d.List()
	})
}

// Expunge removes a mail of the inbox for good.
func (d *IMAPDevice) Expunge(mail string) error {
	e := d.find(mail, inbox)
	if e == nil {
		return nil
	}
	return d.awake(func() error {
		start := len(d.conn.lines())
		if err := d.store(e, imap.FlagDeleted); err != nil {
			return err
		}
		if err := d.client.UIDExpunge(d.set(e)).Close(); err != nil {
			return fmt.Errorf("EXPUNGE: %w", err)
		}
		d.note(remove, d.conn.since(start)).mail = mail
		return d.List()
	})
}

// KeepSent puts a copy into the server's Sent mailbox (RFC 9051 §6.3.12).
func (d *IMAPDevice) KeepSent(_ context.Context, l letter, raw []byte) error {
	return d.awake(func() error {
		start := len(d.conn.lines())
		c := d.client.Append(sent, int64(len(raw)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
		if _, err := c.Write(raw); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
		if _, err := c.Wait(); err != nil {
			return fmt.Errorf("APPEND: %w", err)
		}
		d.note(keepSent, d.conn.since(start)).mail = l.id
		d.shelf = append(d.shelf, &entry{mail: l.id, subject: l.subject.In(d.stage.lang), folder: sent, raw: raw, seen: true})
		return nil
	})
}
