package webd

import (
	"fmt"
	"net/http"
	"net/smtp"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// arrive sends Alice a mail and returns where it lies and its id.
func (s *labSite) arrive() (uid store.UID, name, id string) {
	s.t.Helper()
	raw := "Authentication-Results: mail.example.test; dmarc=pass\r\nFrom: hanako@example.com\r\nSubject: <script>alert(1)</script>\r\n\r\ntext\r\n"
	if err := smtp.SendMail(s.system.SMTP, nil, "hanako@example.com", []string{"alice@example.test"}, []byte(raw)); err != nil {
		s.t.Fatal(err)
	}
	u, err := s.system.Store.UserByAddress(s.t.Context(), "alice@example.test")
	if err != nil {
		s.t.Fatal(err)
	}
	box, err := s.system.Store.Mailbox(s.t.Context(), u.ID, "INBOX")
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.system.Store.Each(s.t.Context(), box.ID, []store.UID{box.UIDNext - 1}, store.WantHeader, func(m *store.Message) error {
		for _, f := range rawFields(m.Header) {
			if f.Name == "Received" && id == "" {
				id = parseReceived(f.Value).ID
			}
		}
		return nil
	})
	if err != nil || id == "" {
		s.t.Fatal("no mail", err)
	}
	return box.UIDNext - 1, fmt.Sprintf("%d.%d", box.UIDValidity, box.UIDNext-1), id
}

func TestArrivedTellsWhatHappened(t *testing.T) {
	for _, demo := range []bool{true, false} {
		site, tap := wireSite(t, demo)
		uid, name, id := site.arrive()
		path := "/m/inbox/" + strconv.Itoa(int(uid)) + "/arrived"
		alice := site.login("alice@example.test")
		if page := alice.get(path); !strings.Contains(page, "That conversation is not kept") || !strings.Contains(page, "Nothing is recorded yet") {
			t.Error("what is not recorded is not said calmly")
		}
		say(t, tap, "smtp", strings.Split(strings.ReplaceAll(strings.Join(delivery, "\n"), "abcdefgh12345678", id), "\n")...)
		reads := func(address string) []string {
			return []string{"S: +OK", "C: USER " + address, "S: +OK", "C: PASS x", "=" + address, "S: +OK", "C: UIDL 1", "S: +OK 1 " + name,
				"C: RETR 1", "S: +OK", "S: Received: from <b>x</b>", "S: \tid " + id + ";", "S: .", "C: DELE 1", "S: +OK", "C: QUIT", "S: +OK"}
		}
		say(t, tap, "pop3", reads("alice@example.test")...)
		say(t, tap, "pop3", reads("bob@example.test")...)
		page := unescape(alice.get(path))
		for _, want := range []string{"C: RCPT TO:<alice@example.test>", "downloaded all of it (RETR)", "POP3 will not show it again", `href="/wire?a=2#c2-`, "/wire?mail=" + id + "&at=" + name} {
			if !strings.Contains(strings.ReplaceAll(page, `>C:</abbr><span class="x">`, ">C: "), want) {
				t.Errorf("demo %v: no %q in %s", demo, want, around(page, "conversation that brought"))
			}
		}
		if strings.Contains(page, "bob@example.test") || strings.Contains(page, "/wire?a=3#") {
			t.Error("Alice is shown what Bob's devices did, or that he has the mail too")
		}
		if strings.Contains(page, "The domain in From is proved") || !strings.Contains(page, "has not checked this mail") {
			t.Error("results of a stranger are believed")
		}
		if ja := alice.get(path + "?lang=ja"); !strings.Contains(ja, "全文をダウンロードしました") {
			t.Error("not in Japanese")
		}
		if page := alice.get("/wire?lang=en&mail=" + id + "&at=" + name); !strings.Contains(page, "lifelane pop") || !strings.Contains(page, "lifelane smtp") {
			t.Error("no lanes")
		}
		if status := site.login("bob@example.test").status(path); status != http.StatusNotFound {
			t.Errorf("Bob reads Alice's: %d", status)
		}
	}
}

func TestArrivedWithoutATap(t *testing.T) {
	site := newLabSite(t, func(c *Config) { c.Demo, c.Tap = false, wiretap.New(wiretap.Config{}) })
	uid, _, _ := site.arrive()
	path := "/m/inbox/" + strconv.Itoa(int(uid)) + "/arrived"
	if page := unescape(site.login("alice@example.test").get(path)); !strings.Contains(page, "This server is not recording conversations") {
		t.Error("the page does not say that nothing is recorded")
	}
	site = newLabSite(t, func(c *Config) { c.Tap = nil })
	uid, _, _ = site.arrive()
	if page := site.login("alice@example.test").get("/m/inbox/" + strconv.Itoa(int(uid)) + "/arrived"); strings.Contains(page, "What has happened") {
		t.Error("without a tap there is nothing to tell")
	}
}
