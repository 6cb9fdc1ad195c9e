package webd

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// say lets a conversation happen on a tapped connection: lines that begin
// with "C: " or "S: ", and "=address" for whom the server has found it to be.
func say(t testing.TB, tap *wiretap.Tap, proto string, lines ...string) {
	t.Helper()
	client, inner := net.Pipe()
	server := tap.Wrap(inner, proto, wiretap.ServerSide)
	defer client.Close()
	defer server.Close()
	play(t, client, server, func(address string) { wiretap.User(server, address, true) }, lines)
}

// play has each side of a connection write its lines, and the other hear
// them. meet is told the addresses in between.
func play(t testing.TB, client, server net.Conn, meet func(address string), lines []string) {
	t.Helper()
	for _, line := range lines {
		if address, ok := strings.CutPrefix(line, "="); ok {
			meet(address)
			continue
		}
		from, to := client, server
		if strings.HasPrefix(line, "S: ") {
			from, to = server, client
		}
		text := line[3:] + "\r\n"
		heard := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(to, make([]byte, len(text)))
			heard <- err
		}()
		if _, err := io.WriteString(from, text); err != nil {
			t.Fatal(err)
		}
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
	}
}

// delivery is a mail for Alice and, in secret, for Bob.
var delivery = []string{
	"S: 220 mail.example.test ESMTP", "C: EHLO mail.example.com", "S: 250 mail.example.test",
	"C: MAIL FROM:<hanako@example.com>", "S: 250 2.1.0 OK",
	"C: RCPT TO:<alice@example.test>", "=alice@example.test", "S: 250 2.1.5 OK",
	"C: RCPT TO:<bob@example.test>", "=bob@example.test", "S: 250 2.1.5 OK",
	"C: DATA", "S: 354 go on", "C: Subject: hello", "C: ", "C: text", "C: .", "S: 250 2.0.0 OK abcdefgh12345678",
	"C: QUIT", "S: 221 bye",
}

func pop3Of(address, secret string) []string {
	return []string{"S: +OK ready", "C: USER " + address, "S: +OK", "C: PASS " + secret, "=" + address, "S: +OK in", "C: STAT", "S: +OK 0 0", "C: QUIT", "S: +OK bye"}
}

func wireSite(t testing.TB, demo bool) (*labSite, *wiretap.Tap) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: demo})
	site := newLabSite(t, func(c *Config) { c.Demo, c.Tap = demo, tap })
	return site, tap
}

func TestAUserSeesTheirOwnConversationsOnly(t *testing.T) {
	site, tap := wireSite(t, false)
	say(t, tap, "smtp", delivery...)
	say(t, tap, "pop3", pop3Of("alice@example.test", "hush-alice")...)
	say(t, tap, "pop3", pop3Of("bob@example.test", "hush-bob")...)
	ids := map[string]uint64{}
	for _, s := range tap.Sessions() {
		ids[s.Proto+s.User] = s.ID
	}
	alice, bob := site.login("alice@example.test"), site.login("bob@example.test")
	id := func(name string) string { return url.QueryEscape(strings.TrimSpace(number(int(ids[name])))) }
	page := alice.get("/wire?a=" + id("smtp") + "&b=" + id("pop3bob@example.test"))
	if strings.Contains(page, "bob@example.test") {
		t.Errorf("Alice is shown something of Bob's: %s", around(page, "bob@example.test"))
	}
	if !strings.Contains(unescape(page), "RCPT TO:<alice@example.test>") {
		t.Error("Alice is not shown the delivery to her")
	}
	if page := bob.get("/wire?a=" + id("smtp")); strings.Contains(page, "alice@example.test") {
		t.Error("Bob is shown for whom else the mail was")
	}
	if status := alice.status("/wire/" + id("pop3bob@example.test") + ".txt"); status != http.StatusNotFound {
		t.Errorf("Bob's transcript: %d", status)
	}
	text := alice.get("/wire/" + id("pop3alice@example.test") + ".txt")
	if !strings.Contains(text, "C: PASS ••••\nS: +OK in\n") || strings.Contains(text, "hush") {
		t.Errorf("the transcript is %q", text)
	}
	for _, path := range []string{"/wire?mail=abcdefgh12345678", "/wire?user=bob@example.test", "/wire?proto=pop3"} {
		if strings.Contains(strings.ReplaceAll(alice.get(path), "user=bob", ""), "USER bob") {
			t.Errorf("%s shows Bob's", path)
		}
	}
	// Only an admin can clear, and sees no more than others.
	if status, _ := alice.post("/wire", url.Values{"do": {"clear"}}); status != http.StatusNotFound || len(tap.Sessions()) != 3 {
		t.Errorf("a user who wants to clear: %d, %d sessions are left", status, len(tap.Sessions()))
	}
	yes := true
	u, err := site.system.Store.UserByAddress(t.Context(), "bob@example.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.system.Store.UpdateUser(t.Context(), u.ID, store.UserChange{Admin: &yes}); err != nil {
		t.Fatal(err)
	}
	if page := bob.get("/wire"); !strings.Contains(page, "3 conversations kept") || strings.Contains(page, "alice@example.test") {
		t.Error("the admin does not see what is kept, or sees more")
	}
	if bob.post("/wire", url.Values{"do": {"clear"}}); len(tap.Sessions()) != 0 {
		t.Error("an admin cannot clear")
	}
}

func TestRecordingIsOptedInto(t *testing.T) {
	site, _ := wireSite(t, false)
	v := site.login("alice@example.test")
	if page := v.get("/wire"); !strings.Contains(page, "not recorded") {
		t.Error("the page does not say that nothing is recorded")
	}
	for _, on := range []bool{true, false} {
		v.post("/wire", url.Values{"do": {map[bool]string{true: "on", false: "off"}[on]}})
		u, err := site.system.Store.UserByAddress(t.Context(), "alice@example.test")
		if err != nil || u.Tap != on {
			t.Errorf("opted %v: %v, %v", on, u.Tap, err)
		}
	}
}

func TestADemonstrationShowsAll(t *testing.T) {
	site, tap := wireSite(t, true)
	say(t, tap, "smtp", delivery...)
	say(t, tap, "pop3", pop3Of("bob@example.test", "hush")...)
	v := site.login("alice@example.test")
	page := v.get("/wire?proto=pop3")
	if !strings.Contains(page, "bob@example.test") || strings.Contains(page, `class="smtp`) {
		t.Error("the filter does not hold")
	}
	if page := v.get("/wire?mail=abcdefgh12345678"); !strings.Contains(page, "lifelane smtp") {
		t.Error("the life of the mail does not begin with its delivery")
	}
	if status := v.status("/wire/99999.txt"); status != http.StatusNotFound {
		t.Errorf("no such conversation: %d", status)
	}
	stranger := &labVisitor{Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, site: site}
	for _, path := range []string{"/wire", "/wire/1.txt", "/wire/events"} {
		if status := stranger.status(path); status != http.StatusSeeOther {
			t.Errorf("a stranger at %s: %d", path, status)
		}
	}
}

func TestArrivalTranscript(t *testing.T) {
	site, tap := wireSite(t, false)
	say(t, tap, "smtp", delivery...)
	find := func(address, id string) (string, bool) {
		s, ok := site.server.arrivalTranscript(store.User{Address: address}, id)
		return wiretap.Transcript(s), ok
	}
	text, ok := find("alice@example.test", "abcdefgh12345678")
	if !ok || !strings.Contains(text, "250 2.0.0 OK abcdefgh12345678") || strings.Contains(text, "bob@") {
		t.Errorf("Alice's arrival: %v %s", ok, text)
	}
	for _, wrong := range [][2]string{{"carol@example.test", "abcdefgh12345678"}, {"alice@example.test", "OK"}, {"alice@example.test", "abcdefgh"}, {"alice@example.test", ""}} {
		if text, ok := find(wrong[0], wrong[1]); ok {
			t.Errorf("%v: %s", wrong, text)
		}
	}
}

func TestThePageIsToldWhatIsSaid(t *testing.T) {
	site, tap := wireSite(t, false)
	v := site.login("alice@example.test")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, site.base+"/wire/events", nil)
	resp, err := v.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Scan() // it flows
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Alice must not be told of Bob's.
		say(t, tap, "pop3", pop3Of("bob@example.test", "hush")...)
		say(t, tap, "pop3", pop3Of("alice@example.test", "hush")...)
	}()
	defer func() { <-done }()
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if data != "[2]" {
				t.Errorf("told of %s", data)
			}
			return
		}
	}
	t.Error("nothing was told")
}

func TestBrowserShowsTheWire(t *testing.T) {
	site := func() *labSite {
		tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
		return newLabSite(t, func(c *Config) {
			c.Tap = tap
			// What the lab's devices say is what there is to see.
			c.Lab.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				proto := map[string]string{c.Lab.SMTP: "smtp", c.Lab.Submission: "submission", c.Lab.POP3: "pop3", c.Lab.IMAP: "imap"}[address]
				if err != nil {
					return nil, err
				}
				return tap.Wrap(conn, proto, wiretap.ClientSide), nil
			}
		})
	}()
	v := site.login("alice@example.test")
	v.post("/lab/mixed", url.Values{"do": {"to 4"}})
	say(t, site.server.Tap, "pop3", pop3Of("bob@example.test", "hush")...)
	w := site.open(t)
	find := func(proto string, contains string) string {
		for _, s := range site.server.Tap.Sessions() {
			if s.Proto == proto && strings.Contains(wiretap.Transcript(s), contains) {
				return number(int(s.ID))
			}
		}
		t.Fatalf("no %s with %s", proto, contains)
		return ""
	}
	imap, pop := find("imap", "IDLE"), find("pop3", "DELE")
	w.do(chromedp.Navigate(w.URL+"/wire?lang=ja"), chromedp.WaitVisible(`.wirelist li`))
	w.look("wire-list-ja-mobile", 390, 900, "light")
	w.do(chromedp.Navigate(w.URL+"/wire?a="+imap+"&b="+pop), chromedp.WaitVisible(`.both .talk`))
	w.look("wire-two-ja", 1440, 900, "light")
	w.look("wire-two-ja-dark", 1440, 900, "dark")
	// While somebody looks, more is said.
	var before int
	w.do(chromedp.Evaluate(`document.querySelectorAll(".wirelist li").length`, &before))
	say(t, site.server.Tap, "pop3", pop3Of("alice@example.test", "hush")...)
	w.until(`document.querySelectorAll(".wirelist li").length > ` + number(before))
	smtp := find("smtp", "250 2.0.0 OK")
	w.do(
		chromedp.Navigate(w.URL+"/wire?lang=en&a="+smtp), chromedp.WaitVisible(`.talkhead a[href^="/wire?mail="]`),
		chromedp.Click(`.talkhead a[href^="/wire?mail="]`), chromedp.WaitVisible(`.life .pop`),
	)
	w.look("wire-life-en", 1440, 900, "light")
}

// goOut lets our server carry mail of Alice and of Bob to another.
func goOut(t testing.TB, tap *wiretap.Tap) {
	t.Helper()
	client, inner := net.Pipe()
	us := tap.Wrap(client, "relay", wiretap.ClientSide)
	defer us.Close()
	defer inner.Close()
	lines := strings.Split("S: 220 far.test\nC: EHLO us\nS: 250 far.test\n"+
		"=alice@example.test\nC: MAIL FROM:<alice@example.test>\nS: 250 ok\nC: RCPT TO:<blind@far.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Received: from x\nC: \tid abcdefgh12345678;\nC: \nC: of Alice\nC: .\nS: 250 taken as <b>x</b>\n"+
		"=bob@example.test\nC: MAIL FROM:<bob@example.test>\nS: 250 ok\nC: RCPT TO:<secret@far.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: x\nC: \nC: of Bob\nC: .\nS: 250 taken\n"+
		"=\nC: QUIT\nS: 221 bye", "\n")
	play(t, us, inner, func(address string) { wiretap.Sender(us, address, true) }, lines)
}

func (s *labSite) makeAdmin(address string) {
	s.t.Helper()
	yes := true
	u, err := s.system.Store.UserByAddress(s.t.Context(), address)
	if err == nil {
		_, err = s.system.Store.UpdateUser(s.t.Context(), u.ID, store.UserChange{Admin: &yes})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestOutgoingMailIsItsSenders(t *testing.T) {
	site, tap := wireSite(t, false)
	goOut(t, tap)
	site.system.AddUser(t, "carol@example.test", "secret")
	alice, carol := site.login("alice@example.test"), site.login("carol@example.test")
	text := alice.get("/wire/1.txt")
	if _, err := transcript.Parse([]byte(text)); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	for want, there := range map[string]bool{"EHLO us": true, "RCPT TO:<blind@far.test>": true, "of Alice": true, "QUIT": true, "bob@": false, "secret@": false, "of Bob": false} {
		if strings.Contains(text, want) != there {
			t.Errorf("Alice, %q: %s", want, text)
		}
	}
	if status := carol.status("/wire/1.txt"); status != http.StatusNotFound {
		t.Errorf("Carol, who has sent nothing: %d", status)
	}
	if page := carol.get("/wire?a=1&mail=abcdefgh12345678"); strings.Contains(page, "far.test") {
		t.Error("Carol is shown what others have sent")
	}
	if page := unescape(alice.get("/wire?mail=abcdefgh12345678")); !strings.Contains(page, "the next server took it: 250 taken as <b>x</b>") {
		t.Error("the mail's life does not end at the other server")
	}
	if page := alice.get("/wire?proto=pop3"); strings.Contains(page, ">RELAY<") {
		t.Error("the filter does not hold")
	}
	site.makeAdmin("carol@example.test")
	text = carol.get("/wire/1.txt")
	for want, there := range map[string]bool{"blind@far.test": true, "secret@far.test": true, "of Alice": false, "of Bob": false, "Subject": false} {
		if strings.Contains(text, want) != there {
			t.Errorf("an admin, %q: %s", want, text)
		}
	}
}

func TestRecordingIsSwitched(t *testing.T) {
	tap := wiretap.New(wiretap.Config{})
	site := newLabSite(t, func(c *Config) { c.Demo, c.Tap = false, tap })
	site.makeAdmin("bob@example.test")
	alice, bob := site.login("alice@example.test"), site.login("bob@example.test")
	for _, v := range []*labVisitor{alice, bob} {
		page := v.get("/wire")
		for _, want := range []string{"This server is not recording", "passwords masked", "stays in memory", "those who have agreed"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if admin := v == bob; strings.Contains(page, `value="start"`) != admin || strings.Contains(page, "wiretap.enabled") != admin || strings.Contains(page, "An administrator can turn it on") == admin {
			t.Errorf("admin %v: who can turn it on is not said", admin)
		}
	}
	if status, _ := alice.post("/wire", url.Values{"do": {"start"}}); status != http.StatusNotFound || tap.Enabled() {
		t.Errorf("a user starts the recording: %d", status)
	}
	say(t, tap, "pop3", pop3Of("alice@example.test", "hush")...)
	bob.post("/wire", url.Values{"do": {"start"}})
	say(t, tap, "pop3", pop3Of("alice@example.test", "hush")...)
	if n := len(tap.Sessions()); !tap.Enabled() || n != 1 {
		t.Errorf("after the start, %d are kept", n)
	}
	if page := alice.get("/wire"); !strings.Contains(page, "You can turn that on") {
		t.Error("Alice is not asked whether she agrees")
	}
	if status, _ := alice.post("/wire", url.Values{"do": {"stop"}}); status != http.StatusNotFound || !tap.Enabled() {
		t.Errorf("a user stops the recording: %d", status)
	}
	bob.post("/wire", url.Values{"do": {"stop"}})
	say(t, tap, "pop3", pop3Of("alice@example.test", "hush")...)
	if n := len(tap.Sessions()); tap.Enabled() || n != 1 {
		t.Errorf("after the end, %d are kept", n)
	}
}

// TestTheBrowserIsADeviceToo reads, flags and moves a mail, and looks at what
// is told of it.
func TestTheBrowserIsADeviceToo(t *testing.T) {
	site, tap := wireSite(t, false)
	uid, name, _ := site.arrive()
	v := site.login("alice@example.test")
	path := "/m/inbox/" + number(int(uid))
	v.get(path)
	if n := len(tap.Sessions()); n != 0 {
		t.Fatalf("%d kept of somebody who has not agreed", n)
	}
	v.post("/wire", url.Values{"do": {"on"}})
	v.get(path)
	v.post("/act", url.Values{"do": {"star"}, "m": {"inbox/" + number(int(uid))}})
	v.post("/act", url.Values{"do": {"archive"}, "m": {"inbox/" + number(int(uid))}})
	talk := wiretap.Transcript(tap.Sessions()[0])
	want := "C: GET " + path + " HTTP/1.1\n# (opened " + name + ")\nS: HTTP/1.1 200 OK\nC: POST /act HTTP/1.1\n# (flags " + name + " +\\Flagged)\nS: HTTP/1.1 303 See Other\n" +
		"C: POST /act HTTP/1.1\n# (moved " + name + " "
	if !strings.HasPrefix(talk, want) || !strings.Contains(talk, " Archive)\n") {
		t.Errorf("%s\nwant\n%s", talk, want)
	}
	page := unescape(v.get("/m/Archive/1/arrived"))
	for _, text := range []string{"opened it in the browser", `changed its flags: +\Flagged`, "moved it to Archive"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page of the mail does not say %q", text)
		}
	}
	v.post("/wire", url.Values{"do": {"off"}})
	v.get("/m/Archive/1")
	if s := tap.Sessions()[0]; s.End.IsZero() || strings.Count(wiretap.Transcript(s), "opened") != 1 {
		t.Error("it goes on after Alice has changed her mind")
	}
	v.post("/wire", url.Values{"do": {"on"}})
	tap.Clear()
	v.get("/m/Archive/1")
	v.post("/logout", url.Values{})
	if all := tap.Sessions(); len(all) != 1 || all[0].End.IsZero() {
		t.Errorf("after the logout: %+v", all)
	}
}
