package imapd

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// A literal that belongs to a refused command is never run, whatever it says
// and whoever refused it. The library runs it. RFC 7888 §4
func TestRefusedLiteralIsNotRun(t *testing.T) {
	long := strings.Repeat("z CREATE Gotcha\r\n", 300)
	for _, test := range []struct{ name, command, result string }{
		{"bad date", `APPEND INBOX "yesterday" %s`, "BAD"},
		{"bad flag", `APPEND INBOX (\Odd) %s`, "BAD"},
		{"bad flag syntax", `APPEND INBOX (") %s`, "BAD"},
		{"bad mailbox", `APPEND &AGE- %s`, "BAD"},
		{"no mailbox", `APPEND Nowhere %s`, "NO [TRYCREATE]"},
		{"too large for an argument", `SEARCH SUBJECT %s`, "NO [TOOBIG]"},
		{"where none belongs", `NOOP %s`, "NO [TOOBIG]"},
		{"unknown charset", `SEARCH CHARSET KLINGON SUBJECT %s`, "NO"},
		{"unknown command", `FROBNICATE %s`, "NO [TOOBIG]"},
		{"wrong state", `LOGIN %s`, "NO [TOOBIG]"},
		{"no such extension", `APPEND INBOX CATENATE %s`, "BAD"},
		{"not a mail at all", `APPEND INBOX %s`, "OK"},
		{"short, where none belongs", `NOOP %s`, "BAD"},
		{"short, unknown command", `FROBNICATE %s`, "BAD"},
		{"short, unknown charset", `SEARCH CHARSET KLINGON SUBJECT %s`, "NO [BADCHARSET]"},
		{"short, wrong state", `LOGIN %s x`, "BAD"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			c := h.login("INBOX")
			evil := long
			if strings.HasPrefix(test.name, "short") {
				evil = "z CREATE Gotcha\r\n"
			}
			command := fmt.Sprintf(test.command, fmt.Sprintf("{%d+}\r\n%s", len(evil), evil))
			if test.name == "no such extension" {
				command += ")"
			}
			_, result := c.do(command)
			if !strings.HasPrefix(result, test.result) {
				t.Errorf("got %q", result)
			}
			if lines := c.ok("NOOP"); len(lines) > 1 {
				t.Errorf("after it: %q", lines)
			}
			for _, m := range must(h.store.Mailboxes(t.Context(), h.alice.ID))(t) {
				if m.Name == "Gotcha" {
					t.Error("the literal was run")
				}
			}
		})
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// The literal of a message that is too large is refused before it is sent, or
// read and dropped when the client does not wait. RFC 7889 §4
func TestAppendLimit(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxSize = 10_000 })
	c := h.login("INBOX")
	c.refused("APPEND INBOX {10001}", "NO [TOOBIG]")
	c.refused("APPEND INBOX {99999999999999999999}", "NO [TOOBIG]")
	c.refused("APPEND INBOX {10001+}\r\n"+strings.Repeat("a CREATE Gotcha\r\n", 588)+"12345", "NO [TOOBIG]")
	c.refused("APPEND {5+}\r\nINBOX {10001+}\r\n"+strings.Repeat("a CREATE Gotcha\r\n", 588)+"12345", "NO [TOOBIG]")
	c.ok("APPEND INBOX {10000+}\r\n" + strings.Repeat("12345678\r\n", 1000))
	if got := c.ok("STATUS INBOX (SIZE APPENDLIMIT)"); got[0] != "* STATUS INBOX (SIZE 10000 APPENDLIMIT 10000)" {
		t.Error(got)
	}
	if got := c.ok("CAPABILITY"); !strings.HasSuffix(got[0], " APPENDLIMIT=10000") || strings.Contains(got[0], "LITERAL-") {
		t.Error(got)
	}
}

// What is held in memory is bounded, one literal and all of them together.
func TestLongArguments(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	c.refused("APPEND {4097}", "NO [TOOBIG]")
	c.refused("SEARCH SUBJECT {4097}", "NO [TOOBIG]")
	c.refused("SEARCH SUBJECT {3+}\r\nabc SUBJECT {5000+}\r\n"+strings.Repeat("x", 5000), "BAD")
	term := "SUBJECT {4000+}\r\n" + strings.Repeat("x", 4000) + " "
	c.ok("SEARCH " + strings.Repeat(term, 16) + "ALL")
	c.refused("SEARCH "+strings.Repeat(term, 17)+"ALL", "BAD")
	c.refused("SEARCH "+strings.Repeat(term, 170)+"ALL", "BAD")
	c.ok("NOOP")
}

func TestOverQuota(t *testing.T) {
	h := newHouse(t)
	if err := h.setup("quota 100"); err != nil {
		t.Fatal(err)
	}
	c := h.login("INBOX")
	c.refused("APPEND INBOX {101}", "NO [OVERQUOTA]")
	c.refused("APPEND INBOX {101+}\r\n"+strings.Repeat("x", 101), "NO [OVERQUOTA]")
	c.ok("APPEND INBOX {19+}\r\nSubject: hi\r\n\r\nhi\r\n")
}

// When the connection breaks in a literal, nothing is stored.
func TestInterruptedAppend(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	c.send("a APPEND INBOX {1000+}\r\nSubject: half a mail\r\n\r\nand no")
	c.Conn.Close()
	if err := h.server.Shutdown(t.Context()); err != nil { // waits for the session to end
		t.Fatal(err)
	}
	if m := must(h.store.Mailbox(t.Context(), h.alice.ID, "INBOX"))(t); m.Messages != 0 {
		t.Errorf("%d messages", m.Messages)
	}
}

// A command without an answer gets one: the library is silent when something
// follows the literal of APPEND.
func TestAppendWithMore(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	c.refused("APPEND INBOX {4+}\r\nhi\r\n more", "BAD")
	c.ok("NOOP")
}

func TestCommandLines(t *testing.T) {
	t.Run("too long", func(t *testing.T) {
		c := newHouse(t).login("INBOX")
		c.send("a SEARCH TEXT \"" + strings.Repeat("x", 60<<10))
		if rest := c.over(); !strings.HasPrefix(rest, "* BAD") || !strings.Contains(rest, "\r\n* BYE") {
			t.Errorf("got %q", rest)
		}
	})
	t.Run("too long before login", func(t *testing.T) {
		c := newHouse(t).talk()
		c.send("a NOOP " + strings.Repeat("(", 9<<10))
		if rest := c.over(); !strings.Contains(rest, "* BYE") {
			t.Errorf("got %q", rest)
		}
	})
	t.Run("just not too long", func(t *testing.T) {
		c := newHouse(t).login("INBOX")
		if got := c.ok("SEARCH TEXT \"" + strings.Repeat("x", 47<<10) + "\""); got[0] != "* SEARCH" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("not a command", func(t *testing.T) {
		c := newHouse(t).talk()
		for range 3 {
			c.send("\r\n")
			if line := c.line(); !strings.HasPrefix(line, "* BAD") {
				t.Errorf("got %q", line)
			}
		}
		c.ok("NOOP")
		c.send(strings.Repeat("+\r\n", maxMistakes))
		if rest := c.over(); !strings.Contains(rest, "* BYE") {
			t.Errorf("got %q", rest)
		}
	})
	t.Run("line end in quotes", func(t *testing.T) { // RFC 9051 §9: quoted
		c := newHouse(t).login("INBOX")
		c.send("a SEARCH SUBJECT \"x\r\n")
		if line := c.line(); !strings.HasPrefix(line, "a BAD") {
			t.Errorf("got %q", line)
		}
		c.refused("SEARCH SUBJECT \"a\x00b\"", "BAD")
		c.refused("CREATE {4+}\r\na\r\nb", "NO [CANNOT]")
		c.ok("NOOP")
	})
	t.Run("HTTP", func(t *testing.T) {
		c := newHouse(t).talk()
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
			t.Errorf("got %q", rest)
		}
	})
	t.Run("early literals", func(t *testing.T) {
		c := newHouse(t).talk()
		c.refused("LOGIN {1025}", "NO [TOOBIG]")
		c.refused("LOGIN {99999999999}", "NO [TOOBIG]")
		c.refused("LOGIN {2000+}\r\n"+strings.Repeat("x", 2000)+" y", "NO [TOOBIG]")
		c.refused("LOGIN {600+}\r\n"+strings.Repeat("x", 600)+" {600+}\r\n"+strings.Repeat("x", 600), "BAD")
		c.refused("LOGIN {6+}\r\nx {600 {99999999999999999999}", "BAD")
		c.ok("NOOP")
		c.send("a LOGIN {1000000000+}\r\n")
		if rest := c.over(); !strings.Contains(rest, "a NO [TOOBIG]") || !strings.Contains(rest, "* BYE") {
			t.Errorf("got %q", rest)
		}
	})
}

// What a client may send back to front, the library's stack must bear.
func TestDeepSearch(t *testing.T) {
	h := newHouse(t)
	h.putMany(1)
	c := h.login("INBOX")
	for _, deep := range []string{
		strings.Repeat("NOT ", 10_000) + "ALL",
		strings.Repeat("OR ", 10_000) + "ALL",
		strings.Repeat("(", 20_000),
		strings.Repeat("(", 20_000) + "ALL" + strings.Repeat(")", 20_000),
		strings.Repeat("OR ALL ", 6_000) + "ALL",
	} {
		c.refused("SEARCH "+deep, "BAD")
	}
	if got := c.ok("SEARCH " + strings.Repeat("NOT ", 400) + "ALL"); got[0] != "* SEARCH 1" {
		t.Error(got)
	}
	if got := c.ok("SEARCH " + strings.Repeat("NOT ", 401) + "ALL"); got[0] != "* SEARCH" {
		t.Error(got)
	}
	c.refused("FETCH 1 "+strings.Repeat("(", 25_000), "BAD")
	c.refused("LIST "+strings.Repeat("(", 25_000), "BAD")
	c.ok("NOOP")
}

// The library loses SMALLER when a date or LARGER follows it.
func TestSmallerIsKept(t *testing.T) {
	h := newHouse(t)
	h.put(h.inbox.ID, "Subject: small\n\nsmall\n", "Subject: large\n\n"+strings.Repeat("large\n", 100))
	c := h.login("INBOX")
	for search, want := range map[string]string{
		"SMALLER 100 SINCE 1-Jan-2000":            "* SEARCH 1",
		"SINCE 1-Jan-2000 SMALLER 100":            "* SEARCH 1",
		"SMALLER 100 LARGER 5":                    "* SEARCH 1",
		"(SMALLER 100 BEFORE 1-Jan-2100)":         "* SEARCH 1",
		"OR SMALLER 100 LARGER 100":               "* SEARCH 1 2",
		"NOT SMALLER 100":                         "* SEARCH 2",
		"smaller 0":                               "* SEARCH",
		"SMALLER 1":                               "* SEARCH",
		"LARGER 100":                              "* SEARCH 2",
		"SUBJECT SMALLER":                         "* SEARCH",
		"SUBJECT {7+}\r\nSMALLER":                 "* SEARCH",
		"SUBJECT {5+}\r\nSMALL SMALLER 100 ALL":   "* SEARCH 1",
		"HEADER {7+}\r\nSubject large SMALLER 99": "* SEARCH",
	} {
		if got := c.ok("SEARCH " + search); got[0] != want {
			t.Errorf("SEARCH %s: %q, want %q", search, got, want)
		}
	}
	c.refused("SEARCH SMALLER", "BAD")
	c.refused("SEARCH SMALLER x", "BAD")
	c.refused("SEARCH SMALLER (", "BAD")
}

// Only the server's own words are changed on their way out.
func TestMailIsNotRewritten(t *testing.T) {
	h := newHouse(t)
	line := "* CAPABILITY IMAP4rev1\r\n* OK [CAPABILITY LITERAL-] IMAP server ready\r\na NO [SERVERBUG] Internal server error\r\n"
	text := "Subject: x\r\n\r\n" + strings.Repeat(line, 5000)
	h.put(h.inbox.ID, text)
	c := h.login("INBOX")
	for _, command := range []string{"FETCH 1 BODY.PEEK[]", "UID FETCH 1 BODY.PEEK[]"} {
		c.tag++
		tag := fmt.Sprintf("t%d", c.tag)
		c.send(tag + " " + command + "\r\n")
		head := c.line()
		want := fmt.Sprintf("BODY[] {%d}", len(text))
		if !strings.HasSuffix(head, want) {
			t.Fatal(head)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c.in, got); err != nil {
			t.Fatal(err)
		}
		if string(got) != text {
			t.Error("the text has been changed")
		}
		c.line()
		if line := c.line(); !strings.HasPrefix(line, tag+" OK") {
			t.Error(line)
		}
	}
}

func TestSyntaxErrorsAreTheClients(t *testing.T) {
	h := newHouse(t)
	h.putMany(1)
	c := h.login("INBOX")
	for command, want := range map[string]string{
		"FETCH 0 FLAGS":                                 "BAD",
		"FETCH 1,,2 FLAGS":                              "BAD",
		"FETCH 2 FLAGS":                                 "BAD",
		"FETCH 1 (BODY[MIME])":                          "BAD",
		"FETCH 1 (BODY[0])":                             "BAD",
		"FETCH 1 (BODY[]<0.0>)":                         "BAD",
		"FETCH 1 BODY[HEADER.FIELDS (\"a b\")]":         "BAD",
		"FETCH 1 BODY[HEADER.FIELDS ({3+}\r\na\r\n)]":   "BAD",
		"SEARCH SINCE yesterday":                        "BAD",
		"SEARCH KEYWORD \\Odd":                          "OK",
		"STORE 1 +FLAGS (\\Odd)":                        "BAD",
		"STORE 1 +FLAGS (\\*)":                          "BAD",
		"STORE 1 +FLAGS (\xe5\xe4)":                     "BAD",
		"STORE 1 +FLAGS (\\Recent)":                     "OK",
		"STATUS INBOX (DELETED-STORAGE)":                "BAD",
		"STATUS INBOX (ODD)":                            "BAD",
		"LIST \"\" * RETURN (STATUS (DELETED-STORAGE))": "BAD",
		"CREATE &AGE-":                                  "NO [CANNOT]",
		"CREATE &":                                      "NO [CANNOT]",
		"SELECT &Jjo!":                                  "NO [CANNOT]",
	} {
		c.refused(command, want)
	}
	if log := h.log.String(); strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
}

func TestMailboxNames(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	for _, name := range []string{
		`"a//b"`, `"/a"`, `"a//"`, `".."`, `"../../etc"`, `"a/../b"`, `"."`, `"a*b"`, `"a%b"`, `""`, `"/"`,
		`&AAA-`, `"&AOkA-"`, "{3+}\r\na\x01b", "{5+}\r\na\r\nb\n", strings.Repeat("x", 256), strings.Repeat("x/", 501) + "y",
	} {
		c.refused("CREATE "+name, "NO [CANNOT]")
		c.refused("RENAME Trash "+name, "NO [CANNOT]")
	}
	c.refused("CREATE InBox", "NO [ALREADYEXISTS]")
	c.refused("DELETE inbox", "NO [CANNOT]")
	c.ok(`CREATE "~root"`)
	c.ok(`CREATE "a/b/"`)
	c.refused(`DELETE a`, "NO [HASCHILDREN]")
	c.ok(`CREATE "inbox/x"`)
	c.ok(`SELECT "INBOX/x"`)
	c.ok("CREATE {7+}\r\ncafe\xcc\x81s") // RFC 5198 §3: becomes NFC
	c.ok("SELECT caf&AOk-s")
	if _, err := h.store.Mailbox(t.Context(), h.alice.ID, "cafés"); err != nil {
		t.Error(err)
	}
	c.ok("STATUS InBoX (MESSAGES)")
}
