package message

import (
	"crypto/tls"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const block = "Subject: one\r\nReceived: a\r\n\tb\r\nno field\r\n continued\r\nSUBJECT : two\r\n  folded\r\nX-Empty:\r\n\r\n"

func TestField(t *testing.T) {
	if got := Field([]byte(block), "subject"); !reflect.DeepEqual(got, []string{"one", "two  folded"}) {
		t.Errorf("%q", got)
	}
	if got := Field([]byte(block), "x-empty"); !reflect.DeepEqual(got, []string{""}) {
		t.Errorf("%q", got)
	}
	if got := Field([]byte(block), "absent"); got != nil {
		t.Errorf("%q", got)
	}
}

func TestHeaderFields(t *testing.T) {
	for _, c := range []struct {
		names []string
		not   bool
		want  string
	}{
		{[]string{"subject"}, false, "Subject: one\r\nSUBJECT : two\r\n  folded\r\n\r\n"},
		{[]string{"RECEIVED", "x-empty"}, false, "Received: a\r\n\tb\r\nX-Empty:\r\n\r\n"},
		{[]string{"Subject"}, true, "Received: a\r\n\tb\r\nX-Empty:\r\n\r\n"},
		{[]string{"absent"}, false, "\r\n"},
		{nil, false, "\r\n"},
	} {
		if got := string(HeaderFields([]byte(block), c.names, c.not)); got != c.want {
			t.Errorf("%q %v: %q", c.names, c.not, got)
		}
	}
	if got := string(HeaderFields([]byte("A: cut"), []string{"a"}, false)); got != "A: cut\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

func TestTrace(t *testing.T) {
	at := time.Date(2025, 1, 6, 10, 20, 30, 0, time.FixedZone("", 9*3600))
	got := string(Trace{
		ReturnPath: "alice@example.test", Hello: "client.example.test", ReverseName: "host.example.test.",
		Remote: netip.MustParseAddr("::ffff:127.0.0.1"), Host: "mx.example.test", Auth: true, ID: "abc123",
		TLS: &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256},
		For: "bob@example.test", Time: at,
	}.Header())
	want := crlf(`Return-Path: <alice@example.test>
Received: from client.example.test (host.example.test [127.0.0.1])
	by mx.example.test with ESMTPSA (TLS1.3 TLS_AES_128_GCM_SHA256)
	id abc123
	for <bob@example.test>;
	Mon, 6 Jan 2025 10:20:30 +0900
`)
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if s := summarize(t, got+"\r\n"); s.Received != 1 || len(Field(s.Header, "Return-Path")) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTraceWith(t *testing.T) {
	secure := &tls.ConnectionState{Version: tls.VersionTLS12}
	for want, trace := range map[string]Trace{
		"SMTP": {HELO: true}, "ESMTP": {}, "ESMTPA": {Auth: true}, "ESMTPS": {TLS: secure}, "ESMTPSA": {TLS: secure, Auth: true},
		"LMTP": {LMTP: true}, "LMTPS": {LMTP: true, TLS: secure}, "UTF8SMTP": {UTF8: true}, "UTF8SMTPSA": {UTF8: true, TLS: secure, Auth: true},
		"UTF8LMTP": {UTF8: true, LMTP: true},
	} {
		if got := trace.with(); got != want {
			t.Errorf("%+v: %s", trace, got)
		}
	}
}

// Nothing a client says may break out of its place.
func TestTraceHoldsTheClient(t *testing.T) {
	for _, evil := range []string{
		"x\r\nBcc: y", "x) by evil (", "x;y", "[1.2.3.4", "", "\x00", "\"a\"", "a b", strings.Repeat("x", 5000), "\xff\xfe", "\u2028",
		"[IPv6:::1]", "[]", "<a>", "日本.example",
	} {
		got := string(Trace{ReturnPath: evil, Hello: evil, ReverseName: evil, ID: evil, For: evil, Host: "h", Remote: netip.MustParseAddr("fe80::1%eth0"), Time: time.Unix(0, 0).UTC()}.Header())
		if !IsCanonical([]byte(got)) {
			t.Errorf("%q is not canonical", got)
		}
		s := summarize(t, got+"\r\n")
		names := 0
		for line := range strings.SplitSeq(got, "\r\n") {
			if len(line) > 998 {
				t.Errorf("line of %d", len(line))
			}
			if line != "" && line[0] != '\t' {
				names++
			}
		}
		if names != 2 || s.Received != 1 || strings.Count(got, ";") > 1+2*strings.Count(evil, ";") {
			t.Errorf("%q gives %q", evil, got)
		}
		if from, _, _ := strings.Cut(Field([]byte(got), "Received")[0], "\tby h"); strings.Count(from, "(") != 1 || !strings.Contains(from, "[IPv6:fe80::1])") {
			t.Errorf("%q", from)
		}
	}
}

func TestAddMissing(t *testing.T) {
	now := time.Unix(1736126430, 0).UTC()
	if got := AddMissing([]byte("date: x\r\nMESSAGE-ID: y\r\n\r\n"), "h.test", now); got != nil {
		t.Errorf("%q", got)
	}
	got := string(AddMissing([]byte("Subject: x\r\n\r\n"), "h.test", now))
	s := summarize(t, got+"\r\n")
	if !s.Envelope.Date.Equal(now) || !strings.HasSuffix(s.Envelope.MessageID, "@h.test") || strings.Count(got, "\r\n") != 2 {
		t.Errorf("%q", got)
	}
	if a, b := NewMessageID("h"), NewMessageID("h"); a == b {
		t.Errorf("%s twice", a)
	}
}
