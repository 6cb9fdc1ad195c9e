package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/testdns"
	"github.com/yubin-mail/yubin/store"
)

// inbox waits until a user of a node has n mails, and returns the last.
func inbox(t *testing.T, n *node, address string, count uint32) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	u, err := n.store.UserByAddress(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	w := n.store.Watch(u.ID)
	defer w.Close()
	for {
		box, err := n.store.Mailbox(ctx, u.ID, "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		if box.Messages >= count {
			var last store.BlobID
			err := n.store.Each(ctx, box.ID, nil, 0, func(m *store.Message) error { last = m.Blob; return nil })
			if err != nil {
				t.Fatal(err)
			}
			body, err := n.store.OpenBody(ctx, last)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			text, err := io.ReadAll(body.Section(0, body.Size()))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			t.Fatalf("%s has %d mails, not %d", address, box.Messages, count)
		}
	}
}

// Two servers: mail goes from one to the other, under TLS, and what cannot be
// delivered there comes back as a notice.
func TestMailGoesFromServerToServer(t *testing.T) {
	beta, there := startNode(t, testConfig(t, "--hostname=mail.beta.test", "--domains=beta.test"))
	defer stopNode(t, beta)
	if _, err := beta.store.CreateUser(t.Context(), store.NewUser{Address: "bob@beta.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	alpha, here := startNode(t, testConfig(t, "--hostname=mail.example.test", "--relay-enabled", "--relay-routes=beta.test="+there.Listeners["smtp"], "--relay-tls=encrypted"))
	defer stopNode(t, alpha)

	k := dialTo(t, here.Listeners["submission"])
	k.hears("220 ")
	k.says("EHLO client.test")
	k.hears("250 ")
	k.says("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAY291bnRlc3Msb2YgbG92ZWxhY2U=")
	k.hears("235 ")
	for _, to := range []string{"bob@beta.test", "nobody@beta.test"} {
		k.says("MAIL FROM:<ada@example.test>")
		k.hears("250 ")
		k.says("RCPT TO:<%s>", to)
		k.hears("250 ")
		k.says("DATA")
		k.hears("354 ")
		k.says("From: ada@example.test\r\nTo: %s\r\nSubject: Hello\r\n\r\nHow are you?\r\n.", to)
		k.hears("250 ")
	}
	k.says("QUIT")
	k.hears("221 ")

	got := inbox(t, beta, "bob@beta.test", 1)
	for _, want := range []string{"Return-Path: <ada@example.test>\r\nReceived: from mail.example.test", "with ESMTPS (TLS", "with ESMTPA\r\n", "Subject: Hello\r\n", "\r\n\r\nHow are you?\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if n := strings.Count(got, "Return-Path:"); n != 1 {
		t.Errorf("%d Return-Path fields", n)
	}
	notice := inbox(t, alpha, "ada@example.test", 1)
	for _, want := range []string{"Return-Path: <>\r\n", "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; [127.0.0.1]\r\n", "There is no such user here", "Subject: Undelivered mail: Hello"} {
		if !strings.Contains(notice, want) {
			t.Errorf("%q is missing in %s", want, notice)
		}
	}
}

// REQUIRETLS is kept from the submission to the next server, and when that
// has no TLS the sender hears of it (RFC 8689 §4.2.1, §5).
func TestMailThatRequiresTLSDoesNotLeaveWithout(t *testing.T) {
	next, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	var serving sync.WaitGroup
	defer func() { next.Close(); serving.Wait() }()
	serving.Go(func() { withoutTLS(next, heard) })
	alpha, here := startNode(t, testConfig(t, "--hostname=mail.example.test", "--relay-enabled", "--relay-routes=beta.test="+next.Addr().String()))
	defer stopNode(t, alpha)
	c, err := tls.Dial("tcp", here.Listeners["submissions"], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := talk{t, c, bufio.NewReader(c)}
	k.says("EHLO client.test")
	k.hears("250-REQUIRETLS")
	k.hears("250 ")
	k.says("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAY291bnRlc3Msb2YgbG92ZWxhY2U=")
	k.hears("235 ")
	k.says("MAIL FROM:<ada@example.test> REQUIRETLS RET=FULL\r\nRCPT TO:<bob@beta.test>\r\nDATA")
	k.hears("354 ")
	k.says("From: ada@example.test\r\nSubject: Secret\r\nTLS-Required: No\r\n\r\nFor your eyes only.\r\n.\r\nQUIT")
	k.hears("221 ")
	notice := inbox(t, alpha, "ada@example.test", 1)
	for want, there := range map[string]bool{"Status: 5.7.10\r\n": true, "(REQUIRETLS), which 127.0.0.1 does not offer": true, "Subject: Secret": true, "For your eyes only": false} {
		if strings.Contains(notice, want) != there {
			t.Errorf("%q: want %v in %s", want, there, notice)
		}
	}
	for len(heard) > 0 {
		if verb := <-heard; verb != "EHLO" && verb != "QUIT" {
			t.Errorf("the next server was told %s", verb)
		}
	}
}

// withoutTLS is an SMTP server that offers nothing. It tells the commands that
// it hears.
func withoutTLS(l net.Listener, heard chan<- string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, "220 beta.test\r\n")
		for lines := bufio.NewScanner(c); lines.Scan(); {
			verb, _, _ := strings.Cut(lines.Text(), " ")
			heard <- verb
			fmt.Fprint(c, "250 OK\r\n")
		}
		c.Close()
	}
}

// Mail for an alias goes on to another server; when that refuses it, the one
// who wrote it hears of it, because SPF vouches for the address, and through
// the rewritten sender.
func TestForwardedMailComesBack(t *testing.T) {
	dns := startDNS(t, `writer.test. TXT "v=spf1 ip4:127.0.0.1 -all"`)
	writer, home := startNode(t, testConfig(t, "--hostname=mail.writer.test", "--domains=writer.test"))
	defer stopNode(t, writer)
	if _, err := writer.store.CreateUser(t.Context(), store.NewUser{Address: "kim@writer.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	beta, there := startNode(t, testConfig(t, "--hostname=mail.beta.test", "--domains=beta.test"))
	defer stopNode(t, beta)
	if _, err := beta.store.CreateUser(t.Context(), store.NewUser{Address: "bob@beta.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	alpha, here := startNode(t, testConfig(t, "--hostname=mail.example.test", "--auth-trusted-networks=", "--dns-resolver="+dns.Addr,
		"--relay-enabled", "--relay-routes=beta.test="+there.Listeners["smtp"]+",writer.test="+home.Listeners["smtp"]))
	defer stopNode(t, alpha)
	for _, to := range []string{"bob@beta.test", "gone@beta.test"} {
		if err := alpha.store.AddAlias(t.Context(), "team@example.test", to); err != nil {
			t.Fatal(err)
		}
	}
	k := dialTo(t, here.Listeners["smtp"])
	k.hears("220 ")
	k.says("EHLO client.test")
	k.hears("250 ")
	k.says("MAIL FROM:<kim@writer.test>")
	k.hears("250 ")
	k.says("RCPT TO:<team@example.test>")
	k.hears("250 ")
	k.says("DATA")
	k.hears("354 ")
	k.says("From: kim@writer.test\r\nTo: team@example.test\r\nSubject: Hello team\r\n\r\nHow are you?\r\n.")
	k.hears("250 ")
	k.says("QUIT")
	k.hears("221 ")
	if got := inbox(t, beta, "bob@beta.test", 1); !strings.HasPrefix(got, "Return-Path: <SRS0=") || !strings.Contains(got, "=writer.test=kim@example.test>\r\n") {
		t.Errorf("%s", got)
	}
	notice := inbox(t, writer, "kim@writer.test", 1)
	for _, want := range []string{"Return-Path: <>\r\n", "Action: failed\r\n", "Status: 5.1.1\r\n", "Subject: Undelivered mail: Hello team"} {
		if !strings.Contains(notice, want) {
			t.Errorf("%q is missing in %s", want, notice)
		}
	}
}

func startDNS(t *testing.T, records ...string) *testdns.Server {
	t.Helper()
	zone, err := testdns.New(records...)
	if err != nil {
		t.Fatal(err)
	}
	dns, err := testdns.Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	return dns
}
