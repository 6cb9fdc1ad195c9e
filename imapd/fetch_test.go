package imapd

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

const nested = `From: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>
To: friends: a@example.test, "B, C" <b@example.test>;
Subject: =?iso-2022-jp?B?GyRCMnE1RBsoQg==?= and more
Date: Mon, 7 Sep 2026 10:00:00 +0900
Message-ID: <nested@example.test>
In-Reply-To: <one@example.test> <two@example.test>
X-Odd: 1
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

=E4=BC=9A=E8=AD=B0 =
end
--outer
Content-Type: message/rfc822
Content-Description: enclosed

From: inner@example.test
Subject: inside
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html
Content-Transfer-Encoding: base64

PGI+aGk8L2I+
--inner--
--outer
Content-Type: application/octet-stream; name=blob
Content-Disposition: attachment; filename=blob.bin
Content-Transfer-Encoding: base64

AAECAwQFBgcICQ==
--outer
Content-Type: application/x-odd
Content-Transfer-Encoding: x-odd

odd
--outer--
epilogue
`

var literalEnd = regexp.MustCompile(` ~?\{(\d+)\}$`)

// fetch returns the text of a command's first literal, and what was said
// around it.
func (t *talker) fetch(command string) (literal, around, result string) {
	t.Helper()
	t.tag++
	tag := fmt.Sprintf("t%d ", t.tag)
	t.send(tag + command + "\r\n")
	for {
		line := t.line()
		if rest, ok := strings.CutPrefix(line, tag); ok {
			return literal, around, rest
		}
		around += line + "\n"
		m := literalEnd.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])
		text := make([]byte, n)
		if _, err := io.ReadFull(t.in, text); err != nil {
			t.Fatal(err)
		}
		literal += string(text)
	}
}

func TestFetchSections(t *testing.T) {
	h := newHouse(t)
	h.put(h.inbox.ID, nested)
	raw := crlf(nested)
	between := func(from, to string) string {
		from, to = crlf(from), crlf(to)
		i := strings.Index(raw, from)
		if i < 0 {
			t.Fatalf("no %q", from)
		}
		j := strings.Index(raw[i:], to)
		if j < 0 {
			t.Fatalf("no %q after %q", to, from)
		}
		return raw[i : i+j]
	}
	header := between("From: =?", "preamble")
	inner := between("From: inner", "\n--outer\nContent-Type: application/octet-stream; name")
	c := h.login("INBOX")
	for section, want := range map[string]string{
		"BODY.PEEK[]":            raw,
		"RFC822.PEEK":            raw,
		"RFC822.HEADER":          header,
		"BODY.PEEK[HEADER]":      header,
		"BODY.PEEK[TEXT]":        raw[len(header):],
		"BODY.PEEK[]<10.20>":     raw[10:30],
		"BODY.PEEK[]<10.999999>": raw[10:],
		"BODY.PEEK[]<999999.1>":  "",
		"BODY.PEEK[HEADER]<0.4>": "From",
		"BODY.PEEK[TEXT]<0.8>":   "preamble",
		"BODY.PEEK[1]":           "=E4=BC=9A=E8=AD=B0 =\r\nend",
		"BODY.PEEK[1]<3.3>":      "=BC",
		"BODY.PEEK[1.MIME]":      between("Content-Type: text/plain; charset", "=E4"),
		"BODY.PEEK[2]":           inner,
		"BODY.PEEK[2.MIME]":      between("Content-Type: message/rfc822", "From: inner"),
		"BODY.PEEK[2.HEADER]":    between("From: inner", "--inner"),
		"BODY.PEEK[2.TEXT]":      inner[strings.Index(inner, "--inner"):],
		"BODY.PEEK[2.1]":         "plain",
		"BODY.PEEK[2.2]":         "PGI+aGk8L2I+",
		"BODY.PEEK[2.2.MIME]":    between("Content-Type: text/html", "PGI"),
		"BODY.PEEK[3]":           "AAECAwQFBgcICQ==",
		"BODY.PEEK[9]":           "",
		"BODY.PEEK[1.HEADER]":    "",
		"BODY.PEEK[1.1]":         "",
		"BINARY.PEEK[1]":         "会議 end",
		"BINARY.PEEK[1]<3.3>":    "議",
		"BINARY.PEEK[3]":         "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09",
		"BINARY.PEEK[3]<8.100>":  "\x08\x09",
		"BINARY.PEEK[2.2]":       "<b>hi</b>",
		"BINARY.PEEK[]":          raw,
		"BODY.PEEK[HEADER.FIELDS (subject X-ODD nope)]": between("Subject: =?", "Date:") + "X-Odd: 1\r\n\r\n",
		"BODY.PEEK[2.HEADER.FIELDS (subject)]":          "Subject: inside\r\n\r\n",
		"BODY.PEEK[2.HEADER.FIELDS.NOT (from subject)]": between("Content-Type: multipart/alternative", "\n--inner") + "\r\n",
	} {
		if got, around, result := c.fetch("FETCH 1 " + section); got != want || !strings.HasPrefix(result, "OK") {
			t.Errorf("%s: got %q, want %q\n%s%s", section, got, want, around, result)
		}
	}
	if _, _, result := c.fetch("FETCH 1 (UID BINARY.PEEK[4])"); !strings.HasPrefix(result, "NO [UNKNOWN-CTE]") {
		t.Error(result)
	}
	if got := c.ok("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[3])"); got[0] != "* 1 FETCH (BINARY.SIZE[1] 10 BINARY.SIZE[3] 10)" {
		t.Error(got)
	}
	if got := c.ok("FETCH 1 FLAGS"); got[0] != "* 1 FETCH (FLAGS ())" {
		t.Error("peeking has left a trace", got)
	}
}

func TestEnvelope(t *testing.T) {
	h := newHouse(t)
	h.put(h.inbox.ID, nested)
	c := h.login("INBOX")
	want := `* 1 FETCH (ENVELOPE ("Mon, 07 Sep 2026 10:00:00 +0900" "=?iso-2022-jp?B?GyRCMnE1RBsoQg==?= and more" ` +
		`(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.test")) (("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.test")) ` +
		`(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.test")) ` +
		`((NIL NIL "friends" NIL) (NIL NIL "a" "example.test") ("B, C" NIL "b" "example.test") (NIL NIL NIL NIL)) ` +
		`NIL NIL "<one@example.test> <two@example.test>" "<nested@example.test>"))`
	if got := c.ok("FETCH 1 ENVELOPE"); got[0] != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	want = `* 1 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 25 2 NIL NIL NIL NIL)` +
		`("message" "rfc822" NIL NIL "enclosed" "7bit" 210 (NIL "inside" ((NIL NIL "inner" "example.test")) ((NIL NIL "inner" "example.test")) ` +
		`((NIL NIL "inner" "example.test")) NIL NIL NIL NIL NIL) (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1 NIL NIL NIL NIL)` +
		`("text" "html" NIL NIL NIL "base64" 12 1 NIL NIL NIL NIL) "alternative" ("boundary" "inner") NIL NIL NIL) 13 NIL NIL NIL NIL)` +
		`("application" "octet-stream" ("name" "blob") NIL NIL "base64" 16 NIL ("attachment" ("filename" "blob.bin")) NIL NIL)` +
		`("application" "x-odd" NIL NIL NIL "x-odd" 3 NIL NIL NIL NIL) "mixed" ("boundary" "outer") NIL NIL NIL))`
	if got := c.ok("FETCH 1 BODYSTRUCTURE"); got[0] != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
}

// A long message is read in parts, and its header may be longer than what is
// stored beside it.
func TestFetchLong(t *testing.T) {
	h := newHouse(t)
	header := "Subject: long\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 500)+"\r\n", 200) + "X-Last: 1\r\n\r\n"
	raw := header + strings.Repeat("0123456789abcdef\r\n", 60_000)
	h.put(h.inbox.ID, raw)
	c := h.login("INBOX")
	for section, want := range map[string]string{
		"BODY.PEEK[]":                       raw,
		"BODY.PEEK[HEADER]":                 header,
		"BODY.PEEK[TEXT]":                   raw[len(header):],
		"BODY.PEEK[1]<500000.300000>":       raw[len(header)+500000:][:300000],
		"BODY.PEEK[HEADER.FIELDS (X-Last)]": "X-Last: 1\r\n\r\n",
	} {
		if got, _, result := c.fetch("FETCH 1 " + section); got != want || !strings.HasPrefix(result, "OK") {
			t.Errorf("%s: got %d octets, want %d; %s", section, len(got), len(want), result)
		}
	}
}

func TestSeen(t *testing.T) {
	h := newHouse(t)
	h.putMany(4)
	c := h.login("INBOX")
	for i, section := range []string{"BODY[]", "RFC822", "RFC822.TEXT", "BINARY[1]"} {
		_, around, _ := c.fetch(fmt.Sprintf("FETCH %d %s", i+1, section))
		if want := fmt.Sprintf("* %d FETCH (UID %d FLAGS (\\Seen))", i+1, i+1); !strings.Contains(around, want) {
			t.Errorf("%s: %s", section, around)
		}
	}
	if lines := c.ok("NOOP"); len(lines) > 0 {
		t.Errorf("told twice: %q", lines)
	}
}

// FETCH of a message that is gone, though not for this client. RFC 2180 §4.1
func TestFetchExpunged(t *testing.T) {
	h := newHouse(t)
	h.putMany(3)
	c := h.login("INBOX")
	if _, err := h.store.Remove(t.Context(), h.inbox.ID, []store.UID{2}); err != nil {
		t.Fatal(err)
	}
	lines, result := c.do("FETCH 1:3 UID")
	if len(lines) != 2 || lines[1] != "* 3 FETCH (UID 3)" || !strings.HasPrefix(result, "NO [EXPUNGEISSUED]") {
		t.Errorf("got %q %s", lines, result)
	}
	c.refused("STORE 2 +FLAGS (\\Seen)", "NO [EXPUNGEISSUED]")
	c.ok("STORE 1:3 +FLAGS.SILENT (\\Seen)") // §4.2.1
	if lines := c.ok("SEARCH ALL"); lines[0] != "* SEARCH 1 3" {
		t.Errorf("got %q", lines)
	}
	if lines, result := c.do("COPY 1:3 Trash"); result[:18] != "NO [EXPUNGEISSUED]" || !slices.Contains(lines, "* 2 EXPUNGE") { // §4.4.1
		t.Errorf("got %q %s", lines, result)
	}
	if lines := c.ok("FETCH 2 UID"); lines[0] != "* 2 FETCH (UID 3)" {
		t.Errorf("got %q", lines)
	}
}

// Whatever a mail claims to be, its description is valid and the session
// lives. The library panics at a multipart without parts.
func TestOddStructures(t *testing.T) {
	h := newHouse(t)
	deep := ""
	for i := range 300 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	wide := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 12_000)
	odd := []string{
		"Content-Type: multipart/mixed\n\nno boundary\n",
		"Content-Type: multipart/mixed; boundary=b\n\nno parts\n",
		"Content-Type: multipart/mixed; boundary=b\n\n--b--\n",
		"Content-Type: multipart/\n\nx\n",
		"Content-Type: message/rfc822\n\n",
		"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n",
		"Content-Type: message/global\n\nSubject: x\n\nx\n",
		"Content-Type: /\n\nx\n",
		"Content-Type: text/plain; charset=\"\n b\"; name*0*=%FF; name*1=\"\\\"\"\nContent-Language: \"\n\nx\n",
		"Content-Type: text/plain; name=\"caf\xc3\xa9\"\nContent-Disposition: attachment; filename=\"\xff\xfe\"\nSubject: \xe4\xf6\xfc\x01\n\nx\n",
		"\n\n\n", "x\n", ":\n:\n\n", "From: <@@>, \"\\\nTo: a:b:c;;<>\nDate: never\nIn-Reply-To: x\nMessage-ID: <>\n\n",
		deep, wide, strings.Repeat("Content-Type: message/rfc822\n\n", 300),
	}
	h.put(h.inbox.ID, odd...)
	for _, enable := range []string{"NOOP", "ENABLE IMAP4rev2"} {
		c := h.login("INBOX")
		c.ok(enable)
		for i := range odd {
			_, around, result := c.fetch(fmt.Sprintf("FETCH %d (ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.HEADER] BINARY.SIZE[1])", i+1))
			if !strings.HasPrefix(result, "OK") {
				t.Errorf("%.40q: %s", odd[i], result)
			}
			if open, closed := strings.Count(around, "("), strings.Count(around, ")"); open != closed && !strings.Contains(odd[i], "(") {
				t.Errorf("%.40q: %d open and %d closed", odd[i], open, closed)
			}
		}
		c.ok("NOOP")
	}
	if log := h.log.String(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}
