package lab

import (
	"context"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// looker looks at what the server keeps, by IMAP and without touching it,
// whatever way of reading is being measured: the column between the devices.
type looker struct {
	*gear
	client *imapclient.Client
	conn   *conversation
	before [2]event // what was there before the scenario: mails and octets
}

// looking is what the looker's conversations are called, so that nobody takes
// them for those of a device.
const looking = "imap (looking)"

// look asks for the messages and octets of all mailboxes. It asks twice
// because the client library sends several items in any order.
func (l *looker) look(ctx context.Context) (err error) {
	if l.conn == nil {
		if l.conn, err = l.open(ctx, looking, l.stage.recorder.server.IMAP); err != nil {
			return err
		}
		l.client = imapclient.New(l.conn, nil)
		if err := l.client.WaitGreeting(); err != nil {
			return err
		}
		if err := l.client.Login(l.account.Address, l.account.Password).Wait(); err != nil {
			return fmt.Errorf("LOGIN: %w", err)
		}
	}
	start := len(l.conn.lines())
	messages, err := l.client.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	if err != nil {
		return fmt.Errorf("LIST: %w", err)
	}
	counting := l.conn.since(start)
	start = len(l.conn.lines())
	sizes, err := l.client.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{Size: true}}).Collect()
	if err != nil {
		return fmt.Errorf("LIST: %w", err)
	}
	counted := l.note(look, counting)
	counted.n = -l.before[0].n
	for _, m := range messages {
		if m.Status != nil && m.Status.NumMessages != nil {
			counted.n += int64(*m.Status.NumMessages)
		}
	}
	weighed := l.note(weigh, l.conn.since(start))
	weighed.octets = -l.before[1].octets
	for _, m := range sizes {
		if m.Status != nil && m.Status.Size != nil {
			weighed.octets += *m.Status.Size
		}
	}
	return nil
}

// begin remembers what is there already, so that only what comes counts.
func (l *looker) begin(ctx context.Context) error {
	err := l.look(ctx)
	l.before[0], _ = l.last(look, "")
	l.before[1], _ = l.last(weigh, "")
	return err
}

func (l *looker) close() {
	if l.conn != nil {
		l.client.Logout().Wait()
		l.client.Close()
		l.conn.Close()
		l.conn = nil
	}
}

// sweep removes from an account what the lab has put there: the mails with
// its Message-ID and the folders it made. It is no part of the story and is
// not recorded.
func sweep(ctx context.Context, s Server, a Account, folders []string) error {
	conn, err := s.dial(ctx, s.IMAP)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := imapclient.New(conn, nil)
	defer c.Close()
	if err := c.Login(a.Address, a.Password).Wait(); err != nil {
		return fmt.Errorf("LOGIN: %w", err)
	}
	all, err := c.List("", "*", nil).Collect()
	if err != nil {
		return fmt.Errorf("LIST: %w", err)
	}
	for _, m := range all {
		if slices.Contains(m.Attrs, imap.MailboxAttrNoSelect) {
			continue
		}
		if err := sweepMailbox(c, m.Mailbox); err != nil {
			return err
		}
		if slices.Contains(folders, m.Mailbox) {
			if err := c.Unselect().Wait(); err != nil {
				return fmt.Errorf("UNSELECT: %w", err)
			}
			if err := c.Delete(m.Mailbox).Wait(); err != nil {
				return fmt.Errorf("DELETE: %w", err)
			}
		}
	}
	return c.Logout().Wait()
}

func sweepMailbox(c *imapclient.Client, name string) error {
	selected, err := c.Select(name, nil).Wait()
	if err != nil {
		return fmt.Errorf("SELECT: %w", err)
	}
	if selected.NumMessages == 0 {
		return nil
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: "@" + labDomain}},
	}, nil).Wait()
	if err != nil {
		return fmt.Errorf("SEARCH: %w", err)
	}
	uids := imap.UIDSetNum(found.AllUIDs()...)
	if len(uids) == 0 {
		return nil
	}
	gone := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := c.Store(uids, gone, nil).Close(); err != nil {
		return fmt.Errorf("STORE: %w", err)
	}
	if err := c.UIDExpunge(uids).Close(); err != nil {
		return fmt.Errorf("EXPUNGE: %w", err)
	}
	return nil
}

// mustBeEmpty returns ErrNotEmpty when an inbox has mail in it.
func mustBeEmpty(ctx context.Context, s Server, a Account) error {
	conn, err := s.dial(ctx, s.IMAP)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := imapclient.New(conn, nil)
	defer c.Close()
	if err := c.Login(a.Address, a.Password).Wait(); err != nil {
		return fmt.Errorf("LOGIN as %s: %w", a.Address, err)
	}
	selected, err := c.Select(inbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return fmt.Errorf("EXAMINE: %w", err)
	}
	if selected.NumMessages > 0 {
		return fmt.Errorf("%s has %d: %w", a.Address, selected.NumMessages, ErrNotEmpty)
	}
	return c.Logout().Wait()
}
