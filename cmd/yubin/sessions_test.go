package main

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/webd"
)

// session waits until the one connection of a protocol is as it should be.
func session(t *testing.T, n *node, proto string, is func(webd.LiveSession) bool) webd.LiveSession {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		all := n.sessions()
		i := slices.IndexFunc(all, func(s webd.LiveSession) bool { return s.Proto == proto && is(s) })
		if i >= 0 {
			return all[i]
		}
		if time.Now().After(until) {
			t.Fatalf("%s is not as it should be: %+v", proto, all)
		}
	}
}

// nobodyLeft waits until all have gone, which takes them a few seconds at most.
func nobodyLeft(n *node) {
	for len(n.sessions()) > 0 {
		runtime.Gosched()
	}
}

func in(state string) func(webd.LiveSession) bool {
	return func(s webd.LiveSession) bool { return s.State == state }
}

const countess = "countess,of lovelace"

// adaEverywhere logs her in to each protocol, and leaves it in a state of its own.
func adaEverywhere(t *testing.T, r runFile) (smtp, pop, imap talk) {
	t.Helper()
	smtp, pop, imap = dialTo(t, r.reach("submission")), dialTo(t, r.reach("pop3")), dialTo(t, r.reach("imap"))
	smtp.hears("220 ")
	smtp.says("EHLO test")
	smtp.hears("250 ")
	smtp.says("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00ada@example.test\x00"+countess)))
	smtp.hears("235 ")
	smtp.says("MAIL FROM:<ada@example.test>")
	smtp.hears("250 ")
	pop.hears("+OK")
	pop.says("USER ada@example.test")
	pop.hears("+OK")
	pop.says("PASS " + countess)
	pop.hears("+OK")
	imap.hears("* OK")
	imap.says("1 LOGIN ada@example.test %q", countess)
	imap.hears("1 OK")
	imap.says("2 SELECT INBOX")
	imap.hears("2 OK")
	imap.says("3 IDLE")
	imap.hears("+")
	return smtp, pop, imap
}

// letterToAda brings a mail, so that there is one to delete.
func letterToAda(t *testing.T, n *node) store.User {
	t.Helper()
	u, err := n.store.UserByAddress(t.Context(), "ada@example.test")
	if err == nil {
		_, err = n.store.Accept(t.Context(), store.Delivery{Body: store.Bytes("Subject: x\r\n\r\ny\r\n"), Recipients: []store.Recipient{{Address: u.Address, User: u.ID}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mailsOf(t *testing.T, n *node, u store.User) uint32 {
	t.Helper()
	m, err := n.store.Mailbox(t.Context(), u.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	return m.Messages
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	defer leak.Check(t, goleak.IgnoreCurrent())
	n, r := startNode(t, testConfig(t, "--wiretap-enabled"))
	defer stopNode(t, n)
	u := letterToAda(t, n)
	smtp, pop, imap := adaEverywhere(t, r)
	pop.says("DELE 1")
	pop.hears("+OK")

	sent := session(t, n, "submission", in("transaction"))
	popped := session(t, n, "pop3", in("transaction"))
	idles := session(t, n, "imap", in("idle"))
	for _, s := range []webd.LiveSession{sent, popped, idles} {
		if s.User != u.Address || !strings.HasPrefix(s.Remote, "127.0.0.1:") || s.Received < 50 || s.Sent < 50 || s.Idle > 20 || time.Since(s.Since) > time.Minute {
			t.Errorf("%+v", s)
		}
	}
	if all := n.sessions(); len(all) != 3 {
		t.Errorf("%d sessions", len(all))
	}
	for _, s := range []webd.LiveSession{sent, popped, idles} {
		if err := n.disconnect(s.ID); err != nil {
			t.Error(err)
		}
	}
	smtp.hears("421 4.3.2 ")
	pop.hears("-ERR [SYS/TEMP] ")
	imap.hears("* BYE ")
	for _, k := range []talk{smtp, pop, imap} {
		if rest, err := k.r.ReadString('\n'); err == nil {
			t.Errorf("after the goodbye: %q", rest)
		}
	}
	if left := mailsOf(t, n, u); left != 1 {
		t.Errorf("POP3 removed what it had only marked: %d left", left)
	}
	if err := n.disconnect(1 << 60); err == nil {
		t.Error("ended one that never was")
	}
}

// What is on its way is not kept, and the goodbye comes before its end would.
func TestDisconnectDuringATransfer(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	u := letterToAda(t, n)
	for _, chunk := range []bool{false, true} {
		smtp := dialTo(t, r.reach("smtp"))
		smtp.hears("220 ")
		smtp.says("EHLO test")
		smtp.hears("250 ")
		smtp.says("MAIL FROM:<far@example.com>\r\nRCPT TO:<ada@example.test>")
		smtp.hears("250 ")
		smtp.hears("250 ")
		if chunk {
			smtp.says("BDAT 100000 LAST\r\nSubject: half")
		} else {
			smtp.says("DATA")
			smtp.hears("354")
			smtp.says("Subject: half")
		}
		if err := n.disconnect(session(t, n, "smtp", in("transaction")).ID); err != nil {
			t.Fatal(err)
		}
		smtp.hears("421 4.3.2 ")
		smtp.c.Close()
		nobodyLeft(n)
	}
	imap := dialTo(t, r.reach("imap"))
	imap.says("1 LOGIN ada@example.test %q", countess)
	imap.hears("1 OK")
	imap.says("2 APPEND INBOX {1000}")
	imap.hears("+")
	imap.says("Subject: half")
	if err := n.disconnect(session(t, n, "imap", in("authenticated")).ID); err != nil {
		t.Fatal(err)
	}
	imap.hears("* BYE ")
	if left := mailsOf(t, n, u); left != 1 {
		t.Errorf("%d mails, want the one of before", left)
	}
}

// A client that takes nothing of what it has asked for cannot stay for that.
func TestDisconnectCutsWhoDoesNotListen(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	u := letterToAda(t, n)
	big := "Subject: big\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 300_000)
	if _, err := n.store.Accept(t.Context(), store.Delivery{Body: store.Bytes(big), Recipients: []store.Recipient{{Address: u.Address, User: u.ID}}}); err != nil {
		t.Fatal(err)
	}
	pop := dialTo(t, r.reach("pop3"))
	pop.says("USER ada@example.test\r\nPASS %s\r\nDELE 1\r\nRETR 2", countess)
	pop.hears("+OK 2")
	pop.hears("+OK message 1")
	pop.hears("+OK")
	s := session(t, n, "pop3", func(s webd.LiveSession) bool { return s.Sent > 1000 })
	if err := n.disconnect(s.ID); err != nil {
		t.Fatal(err)
	}
	nobodyLeft(n)
	if left := mailsOf(t, n, u); left != 2 {
		t.Errorf("%d mails, want 2", left)
	}
}

func TestWhoMayNotStayIsSentAwayAtOnce(t *testing.T) {
	yes, password := true, "another"
	for name, change := range map[string]func(*node, store.User) error{
		"suspended": func(n *node, u store.User) error {
			_, err := n.store.UpdateUser(t.Context(), u.ID, store.UserChange{Suspended: &yes})
			return err
		},
		"new password": func(n *node, u store.User) error {
			_, err := n.store.UpdateUser(t.Context(), u.ID, store.UserChange{Password: &password})
			return err
		},
		"deleted": func(n *node, u store.User) error { return n.store.DeleteUser(t.Context(), u.ID) },
		"by another process": func(n *node, u store.User) error {
			other, err := store.Open(t.Context(), store.Options{Dir: n.cfg.DataDir})
			if err != nil {
				return err
			}
			defer other.Close()
			_, err = other.UpdateUser(t.Context(), u.ID, store.UserChange{Suspended: &yes})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, r := startNode(t, testConfig(t))
			defer stopNode(t, n)
			u := letterToAda(t, n)
			smtp, pop, imap := adaEverywhere(t, r)
			stranger := dialTo(t, r.reach("smtp"))
			stranger.hears("220 ")
			if err := change(n, u); err != nil {
				t.Fatal(err)
			}
			smtp.hears("421 4.7.0 ")
			pop.hears("-ERR [AUTH] ")
			imap.hears("* BYE ")
			stranger.says("NOOP")
			stranger.hears("250 ")
		})
	}
}

func TestSessionsKnowTLS(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	for _, name := range []string{"imaps", "imap", "pop3", "smtp"} {
		c := dialTo(t, r.reach(name))
		switch name {
		case "imap":
			c.says("1 STARTTLS")
			c.hears("1 OK")
		case "pop3":
			c.says("STLS")
			c.hears("+OK begin")
		case "smtp":
			c.says("EHLO x\r\nSTARTTLS")
			c.hears("220 2")
		}
		if err := tls.Client(c.c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
			t.Fatal(err)
		}
		session(t, n, name, func(s webd.LiveSession) bool { return strings.HasPrefix(s.TLS, "TLS 1.3 TLS_") })
	}
}

func TestRefusedConnectionsAreCounted(t *testing.T) {
	n, r := startNode(t, testConfig(t, "--limits-connections-per-address=1"))
	defer stopNode(t, n)
	dialTo(t, r.reach("smtp")).hears("220 ")
	for range 3 {
		dialTo(t, r.reach("smtp")).hears("421 ")
	}
	i := slices.IndexFunc(n.listeners(), func(l webd.Listener) bool { return l.Name == "smtp" })
	if l := n.listeners()[i]; l.Refused != 3 || l.Open != 1 {
		t.Errorf("%+v", l)
	}
	answer, err := http.Get("http://" + r.reach("admin") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); !strings.Contains(string(text), fmt.Sprintf("yubin_connections_refused_total{limit=%q,listener=%q} 3", "per_address", "smtp")) {
		t.Error("the metrics do not count them")
	}
}
