package mailtest_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/store"
)

// TestFaultAtEveryCall lets the n-th write or sync of SQLite's files fail, for
// every n, while mail is delivered, appended, expunged and taken away: whoever
// got an answer got the truth, the server goes on by itself when the fault is
// over, and the file is sound. The fault comes from beneath, by a library that
// stands between the server and the C library.
func TestFaultAtEveryCall(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("a C compiler on Linux is needed")
	}
	dir := t.TempDir()
	library := filepath.Join(dir, "fault.so")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", library, "testdata/fault.c", "-ldl").CombinedOutput(); err != nil {
		t.Skipf("cc: %v\n%s", err, out)
	}
	plan := filepath.Join(dir, "plan")
	setPlan(t, plan, -1, 0, 0)
	data := filepath.Join(dir, "data")
	st, err := store.Open(t.Context(), store.Options{Dir: data, Iterations: mailtest.Iterations})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"in", "pop", "imap", "asks"} {
		if _, err := st.CreateUser(t.Context(), store.NewUser{Address: a + "@example.test", Password: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+data, "LD_PRELOAD="+library, "YUBIN_FAULT="+plan)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	s := new(mailtest.System)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		t.Fatal(err)
	}

	books := map[string]*ledger{}
	for _, a := range []string{"in", "pop", "imap"} {
		books[a] = &ledger{fates: map[string]fate{}}
	}
	f := &faults{tb: t, s: s, plan: plan, books: books}
	for _, fault := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, times := range []int{1, 1000} { // a moment, and as long as it takes
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d-%d-%d", int(fault), times, n)
				setPlan(t, plan, n, fault, times)
				f.happened = false
				f.deliver("in", name, isLong(n))
				f.deliver("pop", name, false)
				f.ask(name+"-asked", isLong(n))
				f.append(name)
				f.popQuit()
				f.over()
				f.deliver("in", name+"-after", false)
				if books["in"].fates[name+"-after"] != kept {
					t.Fatalf("%s: no mail is accepted when the fault is over", name)
				}
				if !f.happened || n == 300 {
					t.Logf("%v %d times: %d calls tried", fault, times, n)
					break
				}
			}
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	st, err = store.Open(t.Context(), store.Options{Dir: data, Iterations: mailtest.Iterations, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.IntegrityCheck(t.Context()); err != nil {
		t.Error(err)
	}
	uids := map[string]string{}
	for a, b := range books {
		audit(t, st, a, b, uids)
	}
	f.auditNotices(st)
	if f.refused == 0 || f.acknowledged == 0 {
		t.Error("nothing was refused or nothing kept: the test proves nothing")
	}
	t.Logf("%d answers were yes, %d no", f.acknowledged, f.refused)
}

// isLong makes some mails large ones, which are written ahead.
func isLong(n int) bool { return n%10 == 9 }

func setPlan(tb testing.TB, file string, calls int, fault syscall.Errno, times int) {
	tb.Helper()
	var b []byte
	for _, v := range []int{calls, int(fault), times, 0} {
		b = binary.NativeEndian.AppendUint32(b, uint32(int32(v)))
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600) // never truncated: it is mapped
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// faults are the clients of TestFaultAtEveryCall, and what they were told.
type faults struct {
	tb                    testing.TB
	s                     *mailtest.System
	plan                  string
	books                 map[string]*ledger
	asked                 []string // whose senders want to hear of their arrival
	acknowledged, refused int
	happened              bool
}

// over ends the fault.
func (f *faults) over() {
	b, err := os.ReadFile(f.plan)
	if err != nil || len(b) != 16 {
		f.tb.Fatal(err)
	}
	setPlan(f.tb, f.plan, -1, 0, 0)
	f.happened = f.happened || binary.NativeEndian.Uint32(b[12:]) > 0
}

func (f *faults) count(yes bool) {
	if yes {
		f.acknowledged++
	} else {
		f.refused++
	}
}

func (f *faults) deliver(to, name string, large bool) {
	f.tb.Helper()
	if large {
		name = "r-s0-" + name
	}
	c, err := dialSMTP(f.s.SMTP)
	if err != nil {
		f.tb.Fatal(err)
	}
	defer c.Close()
	acked, unanswered, err := c.send(to+"@example.test", body(name, large))
	if unanswered || !acked && !strings.HasPrefix(refusal(err), "45") {
		f.tb.Fatalf("%s: %v", name, err)
	}
	f.count(acked)
	if acked {
		f.books[to].note(name, kept)
	} else {
		f.books[to].note(name, deleted)
	}
}

// ask delivers a mail whose sender wants to hear of its arrival.
func (f *faults) ask(name string, large bool) {
	f.tb.Helper()
	if large {
		name = "r-s0-" + name
	}
	c, err := dialSMTP(f.s.Submission)
	if err != nil {
		f.tb.Fatal(err)
	}
	defer c.Close()
	if err := c.ask("235", "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00asks@example.test\x00secret"))); err != nil {
		f.tb.Fatal(err)
	}
	acked, unanswered, err := c.sendAs("asks@example.test", "<in@example.test> NOTIFY=SUCCESS", "From: asks@example.test\r\n"+body(name, large))
	if unanswered || !acked && !strings.HasPrefix(refusal(err), "45") {
		f.tb.Fatalf("%s: %v", name, err)
	}
	f.count(acked)
	f.asked = append(f.asked, name)
	f.books["in"].note(name, map[bool]fate{true: kept, false: deleted}[acked])
}

// auditNotices wants one notice of each mail that was kept and asked for it,
// and none of the others.
func (f *faults) auditNotices(st *store.Store) {
	f.tb.Helper()
	ctx := context.Background()
	u, err := st.UserByAddress(ctx, "asks@example.test")
	if err != nil {
		f.tb.Fatal(err)
	}
	m, err := st.Mailbox(ctx, u.ID, "INBOX")
	if err != nil {
		f.tb.Fatal(err)
	}
	told := map[string]int{}
	err = st.Each(ctx, m.ID, nil, store.WantEnvelope, func(m *store.Message) error {
		told[strings.TrimPrefix(m.Envelope.Subject, "Mail delivered: ")]++
		return nil
	})
	if err != nil {
		f.tb.Fatal(err)
	}
	want := map[string]int{}
	for _, name := range f.asked {
		if f.books["in"].fates[name] == kept {
			want[name] = 1
		}
	}
	if !maps.Equal(told, want) || len(want) == 0 {
		f.tb.Errorf("told of %v, kept were %v", told, want)
	}
}

// refusal is the reply in an error of lineClient.
func refusal(err error) string {
	if !errors.Is(err, errReply) {
		return ""
	}
	_, quoted, _ := strings.Cut(err.Error(), `"`)
	return quoted
}

// append puts two mails into a mailbox and expunges one.
func (f *faults) append(name string) {
	f.tb.Helper()
	p := newPeer(f.tb, f.s.IMAP)
	defer p.c.Close()
	say := func(command string) bool {
		f.tb.Helper()
		p.send("t " + command + "\r\n")
		for {
			line := p.line()
			if strings.HasPrefix(line, "t ") {
				if yes := strings.HasPrefix(line, "t OK"); yes || strings.HasPrefix(line, "t NO [UNAVAILABLE]") {
					return yes
				}
				f.tb.Fatalf("%.40s: %s", command, line)
			}
		}
	}
	if !say("LOGIN imap@example.test secret") || !say("SELECT INBOX") {
		f.tb.Fatal("reading fails")
	}
	put := func(id, flags string) bool {
		text := body(id, false)
		yes := say(fmt.Sprintf("APPEND INBOX (%s) {%d+}\r\n%s", flags, len(text), text))
		f.count(yes)
		f.books["imap"].note(id, map[bool]fate{true: kept, false: deleted}[yes])
		return yes
	}
	put(name+"-stays", "")
	doomed := put(name+"-goes", `\Deleted`)
	gone := say("EXPUNGE")
	f.count(gone)
	if doomed && gone {
		f.books["imap"].note(name+"-goes", deleted)
	} else if doomed { // not yet, but another's EXPUNGE will take it
		say(`STORE 1:* -FLAGS.SILENT (\Deleted)`)
		f.over()
		if !say(`STORE 1:* -FLAGS.SILENT (\Deleted)`) {
			f.tb.Fatal("STORE fails when the fault is over")
		}
	}
}

// popQuit takes half of a maildrop away.
func (f *faults) popQuit() {
	f.tb.Helper()
	c, err := dialPOP3(f.s.POP3, "pop@example.test", "secret")
	if err != nil {
		f.tb.Fatal(err)
	}
	defer c.Close()
	all, err := c.subjects()
	if err != nil {
		f.tb.Fatal(err)
	}
	chosen := all[:len(all)/2]
	for i := range chosen {
		if err := c.ask("+OK", "DELE %d", i+1); err != nil {
			f.tb.Fatal(err)
		}
	}
	err = c.ask("+OK", "QUIT")
	if err != nil && !strings.HasPrefix(refusal(err), "-ERR [SYS/TEMP]") {
		f.tb.Fatal(err)
	}
	f.count(err == nil)
	for _, id := range chosen {
		if err == nil {
			f.books["pop"].note(id, deleted)
		}
	}
}
