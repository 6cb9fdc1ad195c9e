package main

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// asAda logs in to submission and sends a mail whose arrival she wants to hear
// of.
func asAda(t *testing.T, address, to, header, body string) {
	t.Helper()
	k := dialTo(t, address)
	k.says("EHLO client.test")
	k.hears("250-DSN")
	k.hears("250 ")
	k.says("AUTH PLAIN AGFkYUBleGFtcGxlLnRlc3QAY291bnRlc3Msb2YgbG92ZWxhY2U=")
	k.hears("235 ")
	k.says("MAIL FROM:<ada@example.test> ENVID=QQ314159 RET=FULL")
	k.hears("250 2.1.0")
	k.says("RCPT TO:<%s> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;%s", to, to)
	k.hears("250 2.1.5")
	k.says("DATA")
	k.hears("354 ")
	k.says("From: ada@example.test\r\nTo: %s\r\n%s\r\n\r\n%s\r\n.", to, header, body)
	k.hears("250 ")
	k.says("QUIT")
	k.hears("221 ")
}

// wordsOf is what a notice says to people.
func wordsOf(t *testing.T, raw string) string {
	t.Helper()
	s, err := message.Summarize(strings.NewReader(raw))
	if err != nil || len(s.Root.Children) != 3 {
		t.Fatalf("%v in\n%s", err, raw)
	}
	part := s.Root.Children[0]
	b, err := io.ReadAll(part.Decode(strings.NewReader(raw[part.BodyOffset() : part.BodyOffset()+part.Size])))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// On a server that takes mail for its own people only, the notice is there as
// soon as the mail is, for POP3 too.
func TestArrivalIsToldAtHome(t *testing.T) {
	n, r := startNode(t, testConfig(t))
	defer stopNode(t, n)
	if _, err := n.store.CreateUser(t.Context(), store.NewUser{Address: "kim@example.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	asAda(t, r.Listeners["submission"], "kim@example.test", "Subject: =?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte("会議のお知らせ"))+"?=", "Hello.")

	k := dialTo(t, r.Listeners["pop3"])
	k.says("USER ada@example.test")
	k.hears("+OK")
	k.says("PASS countess,of lovelace")
	k.hears("+OK")
	k.says("STAT")
	k.hears("+OK 1 ")
	k.says("RETR 1")
	k.hears("+OK")
	var b strings.Builder
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(line)
	}
	k.says("QUIT")
	k.hears("+OK")
	notice := b.String()
	for _, want := range []string{"Original-Envelope-Id: QQ314159\r\n", "Original-Recipient: rfc822; kim@example.test\r\nFinal-Recipient: rfc822; kim@example.test\r\nAction: delivered\r\nStatus: 2.1.5\r\n",
		"text/rfc822-headers", "Received: from client.test"} {
		if !strings.Contains(notice, want) {
			t.Errorf("%q is missing in %s", want, notice)
		}
	}
	if words := wordsOf(t, notice); !strings.Contains(words, "件名: 会議のお知らせ") || !strings.Contains(words, "配信されました") || !strings.Contains(words, "has been delivered") {
		t.Errorf("%s", words)
	}
	if got := inbox(t, n, "kim@example.test", 1); !strings.Contains(got, "Hello.") {
		t.Errorf("%s", got)
	}
}

// Between servers, the one that has the mailbox says so, because SPF vouches
// for the sender.
func TestArrivalIsToldByTheOtherServer(t *testing.T) {
	dns := startDNS(t, `example.test. TXT "v=spf1 ip4:127.0.0.1 -all"`)
	// Each needs the other's port, so alpha's mail is taken by a third.
	home, back := startNode(t, testConfig(t, "--hostname=mail.example.test"))
	defer stopNode(t, home)
	beta, there := startNode(t, testConfig(t, "--hostname=mail.beta.test", "--domains=beta.test", "--users-file=", "--auth-trusted-networks=", "--dns-resolver="+dns.Addr,
		"--relay-enabled", "--relay-routes=example.test="+back.Listeners["smtp"]))
	defer stopNode(t, beta)
	if _, err := beta.store.CreateUser(t.Context(), store.NewUser{Address: "bob@beta.test", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	alpha, here := startNode(t, testConfig(t, "--hostname=out.example.test", "--relay-enabled", "--relay-routes=beta.test="+there.Listeners["smtp"]))
	defer stopNode(t, alpha)
	asAda(t, here.Listeners["submission"], "bob@beta.test", "Subject: Hello", "How are you?")
	notice := inbox(t, home, "ada@example.test", 1)
	for _, want := range []string{"Return-Path: <>\r\nReceived: from mail.beta.test", "From: Mail Delivery System <MAILER-DAEMON@mail.beta.test>\r\n", "Subject: Mail delivered: Hello\r\n",
		"Reporting-MTA: dns; mail.beta.test\r\nOriginal-Envelope-Id: QQ314159\r\n", "Action: delivered\r\n"} {
		if !strings.Contains(notice, want) {
			t.Errorf("%q is missing in %s", want, notice)
		}
	}
	if got := inbox(t, beta, "bob@beta.test", 1); !strings.Contains(got, "How are you?") {
		t.Errorf("%s", got)
	}
	if q, err := alpha.store.Queue(t.Context()); err != nil || len(q) != 0 {
		t.Errorf("alpha has %+v, %v", q, err)
	}
}
