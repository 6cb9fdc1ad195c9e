package mailtest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/store"
)

const (
	childEnv  = "YUBIN_CRASH_CHILD"  // data folder of the process to be killed
	roundsEnv = "YUBIN_CRASH_ROUNDS" // how often to kill it
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child serves until it is killed.
func child(dir string) {
	s, err := mailtest.New(context.Background(), dir, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(s)
	select {}
}

// What the crash test knows of a mail, by its Subject.
type fate int

const (
	unsure  fate = iota // no 250 was read: it may be there, once
	kept                // acknowledged: it must be there, once
	deleted             // its deletion was acknowledged: it must not be there
	retired             // found in retirement rounds, then removed: it must not come back
)

// retirement is after how many rounds the audit removes a mail. It keeps the
// file small, so that the time of many rounds does not grow with their
// square, and has its pages written again and again.
const retirement = 10

// ledger is what clients were told. group binds mails whose deletion was asked
// for in one go and never answered: all of them are there or none.
type ledger struct {
	mu     sync.Mutex
	fates  map[string]fate
	groups [][]string
	begun  chan struct{} // something has been deleted; nil where nobody waits for that
}

func (l *ledger) note(id string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[id] = f
	if f == deleted {
		select {
		case l.begun <- struct{}{}:
		default:
		}
	}
}

func (l *ledger) group(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups = append(l.groups, ids)
}

// TestCrashLosesNothing kills the server again and again while mail comes and
// goes, and looks at the file each time: what was acknowledged is there exactly
// once, what was deleted does not come back, and what was asked for in one
// command happened as a whole or not at all.
func TestCrashLosesNothing(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv(roundsEnv)); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	accounts := []string{"in", "pop", "imap"}
	st, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: mailtest.Iterations})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if _, err := st.CreateUser(t.Context(), store.NewUser{Address: a + "@example.test", Password: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()
	books := map[string]*ledger{}
	for _, a := range accounts {
		books[a] = &ledger{fates: map[string]fate{}, begun: make(chan struct{}, 1)}
	}
	uids := map[string]string{} // mailbox, UIDVALIDITY and UID -> Subject, for ever
	for round := range rounds {
		kill(t, dir, round, books)
		st, err := store.Open(t.Context(), store.Options{Dir: dir, Iterations: mailtest.Iterations, Server: true})
		if err != nil {
			t.Fatalf("round %d: open after the kill: %v", round, err)
		}
		if err := st.IntegrityCheck(t.Context()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		for _, a := range accounts {
			audit(t, st, a, books[a], uids)
			retire(t, st, a, books[a], round-retirement)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	n := map[fate]int{}
	for _, b := range books {
		for _, f := range b.fates {
			n[f]++
		}
	}
	t.Logf("%d kills: %d mails acknowledged and kept, %d deleted, %d cut off before an answer", rounds, n[kept]+n[retired], n[deleted], n[unsure])
	if n[kept]+n[retired] == 0 || n[deleted] == 0 {
		t.Error("nothing was delivered or nothing deleted: the test proves nothing")
	}
}

// kill runs the server and its clients, and ends it at a random moment.
func kill(t *testing.T, dir string, round int, books map[string]*ledger) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var s mailtest.System
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("round %d: the server did not start: %v", round, err)
	}
	var clients sync.WaitGroup
	for i := range 16 {
		to := "in"
		if i >= 13 {
			to = "pop"
		}
		clients.Go(func() { sender(s.SMTP, to, fmt.Sprintf("r%d-s%d", round, i), i == 0, books[to]) })
	}
	clients.Go(func() { popper(s.POP3, books["pop"]) })
	clients.Go(func() { imapper(s.IMAP, fmt.Sprintf("r%d-i", round), books["imap"]) })
	if round == 0 { // on a slow machine all rounds could end before anything has come and gone
		select {
		case <-books["imap"].begun:
		case <-time.After(time.Minute):
			t.Error("nothing has been deleted")
		}
	}
	time.Sleep(time.Duration(100+rand.IntN(500)) * time.Millisecond) // the random moment is the test
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	clients.Wait()
}

// body is what a mail of this id says; it can be checked from the id alone.
func body(id string, large bool) string {
	lines := 20
	if large {
		lines = 40_000 // past the size from which bodies are staged
	}
	return "Subject: " + id + "\r\n\r\n" + strings.Repeat("This line belongs to "+id+" and to no other.\r\n", lines)
}

func isLarge(id string) bool { return strings.Contains(id, "-s0-") }

func sender(address, to, name string, large bool, b *ledger) {
	c, err := dialSMTP(address)
	if err != nil {
		return
	}
	defer c.Close()
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		acked, may, err := c.send(to+"@example.test", body(id, large))
		if acked {
			b.note(id, kept)
		} else if may {
			b.note(id, unsure)
		}
		if err != nil {
			return
		}
	}
}

// popper downloads all, deletes half, quits, and again.
func popper(address string, b *ledger) {
	for {
		c, err := dialPOP3(address, "pop@example.test", "secret")
		if err != nil {
			return
		}
		all, err := c.subjects()
		if err != nil {
			c.Close()
			return
		}
		var chosen []string
		for i := 0; i < len(all) && err == nil; i += 2 {
			if err = c.ask("+OK", "DELE %d", i+1); err == nil {
				chosen = append(chosen, all[i])
			}
		}
		if err != nil {
			c.Close()
			return // no QUIT: nothing may be deleted
		}
		err = c.ask("+OK", "QUIT")
		c.Close()
		if err != nil {
			b.group(chosen)
			return
		}
		for _, id := range chosen {
			b.note(id, deleted)
		}
	}
}

// imapper appends four, expunges two of them, and again.
func imapper(address, name string, b *ledger) {
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		return
	}
	defer c.Close()
	if c.Login("imap@example.test", "secret").Wait() != nil {
		return
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		return
	}
	for n := 0; ; n++ {
		var doomed imap.UIDSet
		var ids []string
		for k := range 4 {
			id := fmt.Sprintf("%s-%d-%d", name, n, k)
			text := body(id, false)
			b.note(id, unsure)
			w := c.Append("INBOX", int64(len(text)), nil)
			if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
				return
			}
			got, err := w.Wait()
			if err != nil {
				return
			}
			b.note(id, kept)
			if k < 2 {
				doomed.AddNum(got.UID)
				ids = append(ids, id)
			}
		}
		if c.Store(doomed, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close() != nil {
			return
		}
		if c.UIDExpunge(doomed).Close() != nil {
			b.group(ids)
			return
		}
		for _, id := range ids {
			b.note(id, deleted)
		}
	}
}

// audit compares a mailbox with what the clients were told.
func audit(t *testing.T, st *store.Store, account string, b *ledger, uids map[string]string) {
	u, err := st.UserByAddress(t.Context(), account+"@example.test")
	if err != nil {
		t.Fatal(err)
	}
	m, err := st.Mailbox(t.Context(), u.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	var total int64
	err = st.Each(t.Context(), m.ID, nil, store.WantEnvelope, func(msg *store.Message) error {
		id := msg.Envelope.Subject
		there[id]++
		total += msg.Size
		key := fmt.Sprint(account, m.UIDValidity, ".", msg.UID)
		if was, ok := uids[key]; ok && was != id {
			t.Errorf("UID %s was %s and is %s", key, was, id)
		}
		uids[key] = id
		o, err := st.OpenBody(t.Context(), msg.Blob)
		if err != nil {
			return err
		}
		defer o.Close()
		raw := make([]byte, o.Size())
		if _, err := o.ReadAt(raw, 0); err != nil {
			return err
		}
		if !strings.HasSuffix(string(raw), body(id, isLarge(id))) {
			t.Errorf("%s is torn: %d octets", id, len(raw))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if int(m.Messages) != len(there) || m.Size != total {
		t.Errorf("%s: the mailbox says %d messages of %d octets, it has %d of %d", account, m.Messages, m.Size, len(there), total)
	}
	for _, g := range b.groups {
		n := 0
		for _, id := range g {
			n += there[id]
		}
		if n != 0 && n != len(g) {
			t.Errorf("%s: of %d mails deleted in one go %d are there", account, len(g), n)
		}
		for _, id := range g {
			if n == 0 && b.fates[id] == kept {
				b.fates[id] = deleted
			}
		}
	}
	b.groups = nil
	for id, f := range b.fates {
		switch n := there[id]; {
		case f == kept && n != 1:
			t.Errorf("%s: %s was acknowledged and is there %d times", account, id, n)
		case (f == deleted || f == retired) && n != 0:
			t.Errorf("%s: %s was deleted and is there", account, id)
		case n > 1:
			t.Errorf("%s: %s is there %d times", account, id, n)
		case f == unsure && n == 1:
			b.fates[id] = kept // it has arrived, so it stays
		}
	}
	for id := range there {
		if _, known := b.fates[id]; !known {
			t.Errorf("%s: %s was never sent", account, id)
		}
	}
}

// retire removes the mails of a round that has been audited often enough.
func retire(t *testing.T, st *store.Store, account string, b *ledger, round int) {
	u, err := st.UserByAddress(t.Context(), account+"@example.test")
	if err != nil {
		t.Fatal(err)
	}
	m, err := st.Mailbox(t.Context(), u.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	var old []store.UID
	err = st.Each(t.Context(), m.ID, nil, store.WantEnvelope, func(msg *store.Message) error {
		if id := msg.Envelope.Subject; strings.HasPrefix(id, fmt.Sprintf("r%d-", round)) {
			old = append(old, msg.UID)
			b.fates[id] = retired
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := st.Remove(t.Context(), m.ID, old); err != nil || len(gone) != len(old) {
		t.Errorf("%s: removed %d of %d: %v", account, len(gone), len(old), err)
	}
}
