package imapd

import (
	"io"
	"strings"
	"testing"
	"time"
)

// FuzzServer sends whatever comes to mind to a session in each state. The
// server must answer or hang up, must not panic, and must not fail in a way
// that it takes for its own fault.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"a NOOP\r\n", "a CAPABILITY\r\nb LOGOUT\r\n", "a LOGIN {3}\r\nx y\r\n", "a STARTTLS\r\n", "a AUTHENTICATE PLAIN\r\n*\r\n",
		"a SELECT INBOX\r\nb FETCH 1:* ALL\r\n", "a EXAMINE INBOX\r\nb CLOSE\r\n", "a IDLE\r\nDONE\r\n", "a IDLE\r\nx\r\n",
		"a FETCH 1 (BODY[1.2.MIME]<1.2> BINARY[1] BINARY.SIZE[2] RFC822.TEXT BODYSTRUCTURE)\r\n",
		"a UID FETCH 1:*,3 (BODY.PEEK[HEADER.FIELDS (A {1+}\r\nB)])\r\n", "a STORE 1:* -FLAGS.SILENT (a \\Seen)\r\n",
		"a SEARCH RETURN (SAVE COUNT) OR NOT SMALLER 3 (TEXT {2+}\r\nxy SINCE 1-Jan-2000)\r\nb UID STORE $ FLAGS ()\r\n",
		"a APPEND INBOX (\\Seen x) \" 1-Jan-2020 00:00:00 +0000\" {5+}\r\na: b\n\r\n", "a APPEND INBOX {9999999+}\r\n",
		"a COPY 1 Trash\r\nb MOVE * Archive\r\nc EXPUNGE\r\nd UID EXPUNGE 1:9\r\n", "a CREATE &-/x (USE (\\Junk))\r\nb RENAME x y\r\nc DELETE y\r\n",
		"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (STATUS (MESSAGES SIZE) CHILDREN)\r\nb LSUB \"\" %\r\n",
		"\xff\xfe SEARCH SMALLER 9 \xff\r\n", "a UID SEARCH\r\n",
		"a STATUS INBOX (MESSAGES RECENT DELETED-STORAGE)\r\nb NAMESPACE\r\nc ENABLE IMAP4rev2\r\nd UNAUTHENTICATE\r\ne NOOP\r\n",
	} {
		f.Add(seed, byte(0))
		f.Add(seed, byte(1))
		f.Add(seed, byte(2))
	}
	h := newHouse(f)
	h.put(h.inbox.ID, nested, "Subject: x\n\nx\n")
	f.Fuzz(func(t *testing.T, input string, state byte) {
		h := h.as(t)
		c := h.talk()
		defer c.Conn.Close()
		if state%3 > 0 {
			c.send("l LOGIN " + alice + " \"" + password + "\"\r\n")
		}
		if state%3 > 1 {
			c.send("s SELECT INBOX\r\n")
		}
		c.send(input[:min(len(input), 20_000)])
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c.in); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Error(err)
		}
		if log := h.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
			t.Error(log)
		}
		h.log.reset()
	})
}

func (l *logged) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
