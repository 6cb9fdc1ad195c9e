package lab

import (
	"context"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// survey lists what the server keeps for the account, for the middle of the
// board. It is a look by IMAP that changes nothing (EXAMINE), no part of the
// story and not recorded.
func (st *stage) survey(ctx context.Context) error {
	if st.surveyor == nil {
		conn, err := st.recorder.server.dial(ctx, st.recorder.server.IMAP)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		c := imapclient.New(conn, nil)
		if err := c.Login(st.account.Address, st.account.Password).Wait(); err != nil {
			c.Close()
			return fmt.Errorf("LOGIN: %w", err)
		}
		st.surveyor = c
	}
	c := st.surveyor
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	if err != nil {
		return fmt.Errorf("LIST: %w", err)
	}
	shelf := Shelf{Known: true}
	for _, b := range boxes {
		if slices.Contains(st.folders, b.Mailbox) {
			shelf.Folders = append(shelf.Folders, b.Mailbox)
		}
		empty := b.Status == nil || b.Status.NumMessages == nil || *b.Status.NumMessages == 0
		if empty && b.Mailbox != inbox {
			continue
		}
		if err := shelf.read(c, b.Mailbox); err != nil {
			return err
		}
	}
	st.shelf = shelf
	return nil
}

// read adds the mails of one mailbox.
func (s *Shelf) read(c *imapclient.Client, mailbox string) error {
	selected, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return fmt.Errorf("EXAMINE: %w", err)
	}
	if mailbox == inbox {
		s.Valid = selected.UIDValidity
	}
	if selected.NumMessages == 0 {
		return nil
	}
	messages, err := c.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{
		UID: true, Flags: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{heading},
	}).Collect()
	if err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	for _, m := range messages {
		found := Mail{Folder: mailbox, Seen: slices.Contains(m.Flags, imap.FlagSeen)}
		found.ID, found.Subject = recognise(m.FindBodySection(heading))
		for _, f := range m.Flags {
			found.Flags = append(found.Flags, string(f))
		}
		s.Octets += m.RFC822Size
		s.Mails = append(s.Mails, found)
	}
	return nil
}
