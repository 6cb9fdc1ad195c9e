package lab_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// TestCellsAgreeWithTheirTranscripts reads each cell of the table again, from
// nothing but the lines that it names as its evidence.
func TestCellsAgreeWithTheirTranscripts(t *testing.T) {
	_, s := serve(t, store.POP3Policy{})
	r, _ := play(t, s, lab.Options{})
	for _, row := range r.Table {
		for _, c := range row.Cells {
			if c.Result == nil {
				t.Errorf("%s, %s: not measured", row.Axis, c.Column)
				continue
			}
			got, want := reread(t, r, c.Result), c.Result.Value
			want.After = 0
			if got != want {
				t.Errorf("%s, %s is %+v, but its transcript says %+v:\n%s", row.Axis, c.Column, want, got, excerpt(r, c.Result.Evidence))
			}
		}
	}
}

// reread finds out what the evidence of a cell says.
func reread(t *testing.T, r *lab.Report, x *lab.Result) lab.Value {
	t.Helper()
	text := excerpt(r, x.Evidence)
	v := lab.Value{Kind: x.Value.Kind, N: x.Value.N, Of: x.Value.Of}
	// With POP3, what a device can show is what it has downloaded: no line of
	// the protocol makes a folder or a flag.
	pop := x.Column != lab.IMAP
	switch x.Axis {
	case lab.AxisKept:
		v.N, v.Of = downloads(text), atServer(text, "MESSAGES")
	case lab.AxisSpace:
		v.N = atServer(text, "SIZE")
	case lab.AxisOffline:
		v.N = downloads(text)
	case lab.AxisDevices, lab.AxisLost:
		v.N = headings(text)
		if pop {
			v.N = downloads(text)
			if m := last(`S: \+OK (\d+) \d+\n`, text); number(m) != v.N && v.N > 0 {
				t.Errorf("%s: STAT said %s, %d came", x.Axis, m, v.N)
			}
		}
	case lab.AxisSent, lab.AxisFolders:
		v.N = headings(text)
		if pop {
			v.N = int64(strings.Count(text, "EXAMINE"))
		}
	case lab.AxisRead:
		v.N = int64(min(1, strings.Count(text, `FLAGS (\Seen)`)))
		if pop && strings.Contains(text, "C: RETR") != (x.Column == lab.Keep) {
			t.Errorf("%s, %s: what did the phone fetch?\n%s", x.Axis, x.Column, text)
		}
		if !pop && !told(r, x.Evidence[1]) {
			t.Error("the phone was not told unasked")
		}
	case lab.AxisSetUp:
		v.N = 0
		logins := regexp.MustCompile(`C: (\S+ LOGIN |PASS |AUTH )`)
		v.N += 2 * int64(len(x.Evidence))                           // a server and a port each
		v.N += 2 * int64(len(logins.FindAllString(text, -1)))       // a user and a password each
		v.N += map[lab.Column]int64{lab.Keep: 1}[x.Column]          // the program's own switch
		if x.Column == lab.Keep && strings.Contains(text, "DELE") { // which it obeyed
			t.Error("the PC was set to leave mail on the server, and deleted it")
		}
	case lab.AxisTraffic, lab.AxisAttachment:
		v.N, v.Of = 0, 0
		for _, ref := range x.Evidence {
			c := r.Conversations[ref.Conversation-1]
			v.N += c.ClientOctets + c.ServerOctets
			v.Of += c.Trips
			if c.Column != x.Column || ref.From != 1 {
				t.Errorf("%s: %v is not the traffic of %s", x.Axis, ref, x.Column)
			}
		}
		closing(r, x, &v)
	default:
		t.Errorf("nothing is known of the axis %s", x.Axis)
	}
	return v
}

// closing takes away what was said after the measurement, when the devices
// said goodbye.
func closing(r *lab.Report, x *lab.Result, v *lab.Value) {
	for _, ref := range x.Evidence {
		c := r.Conversations[ref.Conversation-1]
		said := false
		for _, line := range c.Lines[ref.To:] {
			v.N -= int64(len(line.Text) - len("C: ") + len("\r\n"))
			client := strings.HasPrefix(line.Text, "C:")
			if said && !client {
				v.Of--
			}
			said = client
		}
	}
}

// excerpt is the evidence as text.
func excerpt(r *lab.Report, refs []lab.Ref) string {
	var b strings.Builder
	for _, ref := range refs {
		for _, line := range r.Conversations[ref.Conversation-1].Lines[ref.From-1 : ref.To] {
			fmt.Fprintln(&b, line.Text)
		}
	}
	return b.String()
}

// told reports whether a line came while its client was idle.
func told(r *lab.Report, ref lab.Ref) bool {
	lines := r.Conversations[ref.Conversation-1].Lines
	for i := ref.From - 2; i >= 0; i-- {
		if strings.HasPrefix(lines[i].Text, "C:") {
			return strings.HasSuffix(lines[i].Text, " IDLE")
		}
	}
	return false
}

// downloads counts the whole messages that the lines deliver.
func downloads(text string) int64 {
	whole := regexp.MustCompile(`C: RETR \d+\nS: \+OK|S: \* \d+ FETCH \(.*BODY\[\] \{`)
	return int64(len(whole.FindAllString(text, -1)))
}

// headings counts the messages that an IMAP server lists.
func headings(text string) int64 {
	return int64(len(regexp.MustCompile(`(?m)^S: \* \d+ FETCH \(.*BODY\[HEADER`).FindAllString(text, -1)))
}

// atServer adds up an item of STATUS.
func atServer(text, item string) (sum int64) {
	for _, m := range regexp.MustCompile(`S: \* STATUS .*\(`+item+` (\d+)`).FindAllStringSubmatch(text, -1) {
		sum += number(m[1])
	}
	return sum
}

func last(pattern, text string) string {
	all := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
