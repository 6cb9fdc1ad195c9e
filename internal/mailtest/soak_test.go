package mailtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/store"
)

const soakEnv = "YUBIN_SOAK" // how long; nothing is no time at all

// TestSoak lets several clients of each protocol work on one account for as
// long as it is told, and compares what is there in the end with what they
// were answered: every mail in every mailbox, and every keyword. In between
// each client checks that nobody has touched what only it touches.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(soakEnv))
	if err != nil {
		t.Skipf("%s=10m makes it run that long", soakEnv)
	}
	s := mailtest.Start(t)
	u := s.AddUser(t, "ada@example.test", "secret")
	for _, name := range []string{"A", "B"} {
		if _, err := s.Store.CreateMailbox(t.Context(), u.ID, name, ""); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	b := &ledger{fates: map[string]fate{}}
	users := make([]*soaker, 4)
	var clients sync.WaitGroup
	start := func(work func() error) {
		clients.Go(func() {
			if err := work(); err != nil {
				t.Error(err)
				cancel()
			}
		})
	}
	for i := range 4 {
		start(func() error { return soakSender(ctx, s.SMTP, fmt.Sprint("s", i), b) })
		users[i] = &soaker{name: fmt.Sprint("c", i), own: map[string]map[imap.UID]string{"A": {}, "B": {}}, marked: map[imap.UID]bool{}}
		start(func() error { return users[i].run(ctx, s.IMAP) })
	}
	start(func() error { return soakPopper(ctx, s.POP3, b) })
	clients.Wait()
	if t.Failed() {
		return
	}

	if err := s.Store.IntegrityCheck(t.Context()); err != nil {
		t.Error(err)
	}
	for name, want := range expected(b, users) {
		m, err := s.Store.Mailbox(t.Context(), u.ID, name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var last store.UID
		err = s.Store.Each(t.Context(), m.ID, nil, store.WantEnvelope, func(msg *store.Message) error {
			if msg.UID <= last {
				t.Errorf("%s: UID %d comes after %d", name, msg.UID, last)
			}
			last = msg.UID
			got = append(got, msg.Envelope.Subject)
			for _, c := range users {
				if name == "INBOX" && c.marked[imap.UID(msg.UID)] != slices.Contains(msg.Flags.Keywords, c.name) {
					t.Errorf("INBOX %d: the keyword of %s is wrong: %q", msg.UID, c.name, msg.Flags.Keywords)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %d messages, %d are due", name, len(got), len(want))
		}
		if int(m.Messages) != len(got) || last >= m.UIDNext {
			t.Errorf("%s says %d messages and UIDNEXT %d, it has %d up to %d", name, m.Messages, m.UIDNext, len(got), last)
		}
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	moves := 0
	for _, c := range users {
		moves += c.commands
	}
	t.Logf("%d mails came in, %d IMAP commands changed something; %d MiB of memory", len(b.fates), moves, mem.Sys>>20)
}

// expected is what each mailbox must hold, by Subject.
func expected(b *ledger, users []*soaker) map[string][]string {
	all := map[string][]string{"INBOX": nil, "A": nil, "B": nil}
	for id, f := range b.fates {
		if f == kept {
			all["INBOX"] = append(all["INBOX"], id)
		}
	}
	for _, c := range users {
		for name, mine := range c.own {
			for _, id := range mine {
				all[name] = append(all[name], id)
			}
		}
	}
	return all
}

// pace is the least time between what one client does: the test is about
// how they meet, not about how fast they are.
const pace = 2 * time.Millisecond

func soakSender(ctx context.Context, address, name string, b *ledger) error {
	tick := time.NewTicker(5 * pace)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; {
		c, err := dialSMTP(address)
		if err != nil {
			return err
		}
		for range 100 {
			id := fmt.Sprintf("%s-%d", name, n)
			if acked, _, err := c.send("ada@example.test", body(id, false)); !acked {
				c.Close()
				return fmt.Errorf("%s was not accepted: %w", id, err)
			}
			b.note(id, kept)
			n++
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
		}
		c.Close()
	}
	return nil
}

// soakPopper takes away the older half of INBOX, and some sessions' marks with
// them that never came to QUIT.
func soakPopper(ctx context.Context, address string, b *ledger) error {
	tick := time.NewTicker(200 * pace)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		c, err := dialPOP3(address, "ada@example.test", "secret")
		if errors.Is(err, errReply) && strings.Contains(err.Error(), "[IN-USE]") {
			continue // the server has not noticed yet that the last one is gone
		}
		if err != nil {
			return err
		}
		all, err := c.subjects()
		if err != nil {
			return err
		}
		chosen := all[:len(all)/2]
		for i := range chosen {
			if err := c.ask("+OK", "DELE %d", i+1); err != nil {
				return err
			}
		}
		if rand.IntN(4) > 0 {
			if err := c.ask("+OK", "QUIT"); err != nil {
				return err
			}
			for _, id := range chosen {
				b.note(id, deleted)
			}
		}
		c.Close()
	}
}

// A soaker is an IMAP client. Its messages in A and B are its own, and so is
// the keyword of its name, with which it marks everybody's messages in INBOX.
type soaker struct {
	name     string
	own      map[string]map[imap.UID]string // by mailbox
	marked   map[imap.UID]bool              // in INBOX
	commands int
}

func (c *soaker) run(ctx context.Context, address string) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		conn, err := imapclient.DialInsecure(address, nil)
		if err != nil {
			return err
		}
		if err := conn.Login("ada@example.test", "secret").Wait(); err != nil {
			return err
		}
		for k := 0; k < 200 && err == nil && ctx.Err() == nil; k++ {
			<-tick.C
			if err = c.step(conn, fmt.Sprintf("%s-%d-%d", c.name, n, k)); err != nil {
				err = fmt.Errorf("%s: %w", c.name, err)
			}
		}
		conn.Close()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// step does one thing, by chance.
func (c *soaker) step(conn *imapclient.Client, id string) error {
	from, to := "A", "B"
	if rand.IntN(2) == 0 {
		from, to = to, from
	}
	c.commands++
	switch rand.IntN(6) {
	case 0:
		return c.append(conn, from, id)
	case 1:
		return c.transfer(conn, from, to, true)
	case 2:
		if len(c.own["A"])+len(c.own["B"]) < 200 {
			return c.transfer(conn, from, to, false)
		}
		return c.expunge(conn, from)
	case 3:
		return c.expunge(conn, from)
	case 4:
		return c.look(conn, from)
	}
	return c.mark(conn)
}

func (c *soaker) append(conn *imapclient.Client, name, id string) error {
	text := body(id, false)
	w := conn.Append(name, int64(len(text)), nil)
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	got, err := w.Wait()
	if err == nil {
		c.own[name][got.UID] = id
	}
	return err
}

// some is a few of this client's messages in a mailbox.
func (c *soaker) some(name string, n int) (set imap.UIDSet, uids []imap.UID) {
	for uid := range c.own[name] {
		if len(uids) == n {
			break
		}
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	set.AddNum(uids...)
	return set, uids
}

func (c *soaker) transfer(conn *imapclient.Client, from, to string, move bool) error {
	set, uids := c.some(from, 3)
	if len(uids) == 0 {
		return nil
	}
	if _, err := conn.Select(from, nil).Wait(); err != nil {
		return err
	}
	var source, dest imap.NumSet
	if move {
		data, err := conn.Move(set, to).Wait()
		if err != nil {
			return err
		}
		source, dest = data.SourceUIDs, data.DestUIDs
	} else {
		data, err := conn.Copy(set, to).Wait()
		if err != nil {
			return err
		}
		source, dest = data.SourceUIDs, data.DestUIDs
	}
	olds, _ := source.(imap.UIDSet).Nums()
	news, _ := dest.(imap.UIDSet).Nums()
	if !slices.Equal(olds, uids) || len(news) != len(olds) {
		return fmt.Errorf("%v of %v went to %v", olds, uids, news)
	}
	for i, old := range olds {
		c.own[to][news[i]] = c.own[from][old]
		if move {
			delete(c.own[from], old)
		}
	}
	return nil
}

func (c *soaker) expunge(conn *imapclient.Client, name string) error {
	set, uids := c.some(name, 4)
	if len(uids) == 0 {
		return nil
	}
	if _, err := conn.Select(name, nil).Wait(); err != nil {
		return err
	}
	if err := conn.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return err
	}
	if err := conn.UIDExpunge(set).Close(); err != nil {
		return err
	}
	for _, uid := range uids {
		delete(c.own[name], uid)
	}
	return nil
}

// look compares all of this client's messages in a mailbox with what they
// should be.
func (c *soaker) look(conn *imapclient.Client, name string) error {
	set, uids := c.some(name, 1000)
	if len(uids) == 0 {
		return nil
	}
	if _, err := conn.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return err
	}
	section := &imap.FetchItemBodySection{Peek: true}
	all, err := conn.Fetch(set, &imap.FetchOptions{UID: true, Flags: true, Envelope: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return err
	}
	if len(all) != len(uids) {
		return fmt.Errorf("%s shows %d of %d messages", name, len(all), len(uids))
	}
	for _, m := range all {
		id := c.own[name][m.UID]
		if m.Envelope.Subject != id || !strings.HasSuffix(string(m.FindBodySection(section)), body(id, false)) || len(m.Flags) != 0 {
			return fmt.Errorf("%s %d is %q with %q, want %q", name, m.UID, m.Envelope.Subject, m.Flags, id)
		}
	}
	return nil
}

// mark turns this client's keyword of a few messages in INBOX on or off.
func (c *soaker) mark(conn *imapclient.Client) error {
	box, err := conn.Select("INBOX", nil).Wait()
	if err != nil || box.NumMessages == 0 {
		return err
	}
	var set imap.SeqSet
	set.AddNum(1+rand.Uint32N(box.NumMessages), 1+rand.Uint32N(box.NumMessages))
	op := imap.StoreFlagsAdd
	if rand.IntN(3) == 0 {
		op = imap.StoreFlagsDel
	}
	found, err := conn.Fetch(set, &imap.FetchOptions{UID: true}).Collect()
	if err != nil {
		return nil // POP3 has taken some away: NO [EXPUNGEISSUED]
	}
	var uids imap.UIDSet
	for _, m := range found {
		uids.AddNum(m.UID)
	}
	if len(found) == 0 {
		return nil
	}
	if err := conn.Store(uids, &imap.StoreFlags{Op: op, Flags: []imap.Flag{imap.Flag(c.name)}}, nil).Close(); err != nil {
		return err
	}
	for _, m := range found {
		c.marked[m.UID] = op == imap.StoreFlagsAdd
	}
	return nil
}
