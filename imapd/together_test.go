package imapd

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// Several clients change one mailbox at the same time. Each believes what it
// is told and nothing else; in the end all of them believe what is true.
func TestTogether(t *testing.T) {
	h := newHouse(t)
	h.putMany(20)
	const clients, steps = 5, 120
	all := make([]*believer, clients)
	t.Run("clients", func(t *testing.T) {
		for i := range all {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				all[i] = believe(t, h, uint64(i))
				for range steps {
					all[i].step()
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	truth := map[store.UID]string{}
	var order []store.UID
	err := h.store.Each(t.Context(), h.inbox.ID, nil, 0, func(m *store.Message) error {
		truth[m.UID] = flagText(m.Flags)
		order = append(order, m.UID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range all {
		b.TB, b.talker.house = t, h
		b.command("NOOP")
		if len(b.list) != len(order) {
			t.Fatalf("client %d counts %d messages, there are %d", i, len(b.list), len(order))
		}
		for j, m := range b.list {
			if m.uid != 0 && m.uid != order[j] {
				t.Errorf("client %d takes message %d for UID %d, it is %d", i, j+1, m.uid, order[j])
			}
			if m.flags != nil && *m.flags != truth[order[j]] {
				t.Errorf("client %d: UID %d has %q, truly %q", i, order[j], *m.flags, truth[order[j]])
			}
		}
		b.command("UID FETCH 1:* FLAGS")
		for j, m := range b.list {
			if m.uid != order[j] || *m.flags != truth[order[j]] {
				t.Errorf("client %d was told %d %q of message %d, it is %d %q", i, m.uid, *m.flags, j+1, order[j], truth[order[j]])
			}
		}
	}
}

func flagText(f store.Flags) string {
	var all []string
	for _, flag := range flagsOf(f) {
		all = append(all, string(flag))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// A believer is a client with a list.
type believer struct {
	*talker
	testing.TB
	random *rand.Rand
	list   []belief
	known  map[string]bool // keywords
}

type belief struct {
	uid   store.UID
	flags *string
}

func believe(tb testing.TB, h *house, seed uint64) *believer {
	talker := h.talk() // which outlives tb
	talker.house = h.as(tb)
	b := &believer{TB: tb, talker: talker, random: rand.New(rand.NewPCG(seed, 7)), known: map[string]bool{}}
	b.command("LOGIN " + alice + " \"" + password + "\"")
	b.command("SELECT INBOX")
	b.command("UID FETCH 1:* FLAGS")
	return b
}

var (
	countLine = regexp.MustCompile(`^\* (\d+) (EXISTS|EXPUNGE)$`)
	fetchLine = regexp.MustCompile(`^\* (\d+) FETCH \(UID (\d+)(?: FLAGS \((.*)\))?\)$`)
	flagsLine = regexp.MustCompile(`^\* FLAGS \((.*)\)$`)
)

// command sends a command and believes the answers. It returns whether the
// server said OK.
func (b *believer) command(command string) bool {
	b.Helper()
	lines, result := b.do(command)
	name, _, _ := strings.Cut(command, " ")
	quiet := name == "FETCH" || name == "STORE" || name == "SEARCH"
	for _, line := range lines {
		if m := countLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			switch {
			case m[2] == "EXISTS" && n < len(b.list):
				b.Fatalf("%s: %s, of %d", command, line, len(b.list))
			case m[2] == "EXISTS":
				b.list = append(b.list, make([]belief, n-len(b.list))...)
			case quiet || n < 1 || n > len(b.list):
				b.Fatalf("%s: %s, of %d", command, line, len(b.list))
			default:
				b.list = slices.Delete(b.list, n-1, n)
			}
		}
		if m := fetchLine.FindStringSubmatch(line); m != nil {
			b.believeFetch(command, line, m)
		}
		if m := flagsLine.FindStringSubmatch(line); m != nil {
			for k := range strings.FieldsSeq(m[1]) {
				b.known[k] = true
			}
		}
	}
	if !strings.HasPrefix(result, "OK") && !strings.HasPrefix(result, "NO [EXPUNGEISSUED]") {
		b.Fatalf("%s: %s", command, result)
	}
	return strings.HasPrefix(result, "OK")
}

func (b *believer) believeFetch(command, line string, m []string) {
	seq, _ := strconv.Atoi(m[1])
	uid, _ := strconv.Atoi(m[2])
	if seq < 1 || seq > len(b.list) {
		b.Fatalf("%s: %s, of %d", command, line, len(b.list))
	}
	belief := &b.list[seq-1]
	if belief.uid != 0 && belief.uid != store.UID(uid) {
		b.Fatalf("%s: %s, but it was UID %d", command, line, belief.uid)
	}
	flags := strings.Fields(m[3])
	for _, f := range flags {
		if !b.known[f] {
			b.Fatalf("%s: %s, and nobody announced %s", command, line, f)
		}
	}
	slices.Sort(flags)
	text := strings.Join(flags, " ")
	belief.uid, belief.flags = store.UID(uid), &text
}

// step does one random thing.
func (b *believer) step() {
	b.Helper()
	n := len(b.list)
	seq := 1
	if n > 0 {
		seq = 1 + b.random.IntN(n)
	}
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, `\Answered`, "k" + strconv.Itoa(b.random.IntN(40))}[b.random.IntN(5)]
	sign := []string{"+", "-", ""}[b.random.IntN(3)]
	what := b.random.IntN(12)
	if n == 0 && what > 2 {
		what = 0
	}
	switch what {
	case 0, 1:
		b.command("APPEND INBOX (" + flag + ") {20+}\r\nSubject: hello\r\n\r\nhi")
	case 2:
		b.command("NOOP")
	case 3:
		b.command(fmt.Sprintf("STORE %d %sFLAGS (%s)", seq, sign, flag))
	case 4:
		b.storeSilently(seq, flag)
	case 5:
		b.command(fmt.Sprintf("UID STORE 1:* %sFLAGS (%s)", sign, flag))
	case 6:
		b.command(fmt.Sprintf("COPY %d:%d INBOX", seq, min(n, seq+2)))
	case 7:
		b.command(fmt.Sprintf("MOVE %d Archive", seq))
	case 8:
		b.command("EXPUNGE")
	case 9:
		b.command(fmt.Sprintf("FETCH %d (UID FLAGS)", seq))
	case 10:
		b.command("UID FETCH 1:* FLAGS")
	case 11:
		b.command("SEARCH DELETED")
	}
}

// storeSilently sets flags and takes for granted that they are set.
func (b *believer) storeSilently(seq int, flag string) {
	b.list[seq-1].flags = nil // the answer may bring news that is older
	if b.command(fmt.Sprintf("STORE %d FLAGS.SILENT (%s)", seq, flag)) && b.list[seq-1].flags == nil {
		b.list[seq-1].flags = &flag
	}
}

func (b *believer) Helper()                      { b.TB.Helper() }
func (b *believer) Fatalf(f string, args ...any) { b.TB.Helper(); b.TB.Fatalf(f, args...) }
