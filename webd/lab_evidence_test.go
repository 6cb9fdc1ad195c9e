package webd

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/store"
)

// TestTheWebColumnAgreesWithItsTranscripts reads the cells of webmail again,
// from nothing but the lines that they name as their evidence.
func TestTheWebColumnAgreesWithItsTranscripts(t *testing.T) {
	site := newLabSite(t, nil)
	server := *site.server.Lab
	server.Account = func(ctx context.Context, role string) (lab.Account, error) {
		a := lab.Account{Address: role + "-of-lab@example.test", Password: "hush-" + role}
		_, err := site.system.Store.CreateUser(ctx, store.NewUser{Address: a.Address, Password: a.Password})
		return a, err
	}
	var story bytes.Buffer
	r, err := lab.Run(t.Context(), server, lab.Options{Wire: lab.WireAll}, &story)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	for _, row := range r.Table {
		for _, c := range row.Cells {
			if c.Column != lab.Web {
				continue
			}
			if c.Result == nil || len(c.Result.Evidence) == 0 {
				t.Errorf("%s was not measured", row.Axis)
				continue
			}
			rereadWeb(t, r, c.Result)
		}
	}
	if !strings.Contains(story.String(), "Webmail") {
		t.Error("the story has no column for webmail")
	}
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hush-", "yubin=A", "proof=A", "token=A"} {
		for _, told := range []string{story.String(), b.String()} {
			if i := strings.Index(told, secret); i >= 0 {
				t.Errorf("a secret is told: %q", told[max(0, i-80):i+40])
			}
		}
	}
	if cookie := regexp.MustCompile(`Cookie: \S*yubin=[^•]`).FindString(b.String()); cookie != "" {
		t.Errorf("a cookie is told: %s", cookie)
	}
}

func rereadWeb(t *testing.T, r *lab.Report, x *lab.Result) {
	t.Helper()
	var text strings.Builder
	lastPage := ""
	var octets, trips int64
	for _, ref := range x.Evidence {
		c := r.Conversations[ref.Conversation-1]
		octets += c.ClientOctets + c.ServerOctets
		trips += c.Trips
		for _, line := range c.Lines[ref.From-1 : ref.To] {
			if strings.HasPrefix(line.Text, "C: GET ") {
				lastPage = ""
			}
			lastPage += line.Text + "\n"
			text.WriteString(line.Text + "\n")
		}
	}
	rows := int64(strings.Count(lastPage, `<li class="row`))
	at := func(item string) (sum int64) {
		for _, m := range regexp.MustCompile(`STATUS .*\(`+item+` (\d+)`).FindAllStringSubmatch(text.String(), -1) {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			sum += n
		}
		return sum
	}
	got, want := x.Value, x.Value
	switch x.Axis {
	case lab.AxisKept:
		got.N, got.Of = 0, at("MESSAGES") // no page may be kept: no-store
	case lab.AxisSpace:
		got.N = at("SIZE")
	case lab.AxisDevices, lab.AxisLost, lab.AxisSent, lab.AxisFolders:
		got.N = rows
	case lab.AxisRead:
		got.N = 0
		if strings.Contains(text.String(), "data: ") && !strings.Contains(lastPage[strings.LastIndex(lastPage, "data: "):], `"unread":true`) {
			got.N = 1
		}
	case lab.AxisOffline:
		got.N = got.Of - int64(strings.Count(text.String(), "no network for GET"))
	case lab.AxisSetUp:
		got.N = 1 + 2*int64(strings.Count(text.String(), "password=••••"))
	case lab.AxisTraffic, lab.AxisAttachment:
		if octets < want.N || trips < want.Of || want.N == 0 {
			t.Errorf("%s is %+v, but %d octets in %d round trips were heard", x.Axis, want, octets, trips)
		}
	default:
		t.Errorf("nothing is known of the axis %s", x.Axis)
	}
	if got != want {
		t.Errorf("%s is %+v, but its transcript says %+v:\n%s", x.Axis, want, got, text.String())
	}
}
