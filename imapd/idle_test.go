package imapd

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// idle begins IDLE and returns the tag.
func (t *talker) idle() string {
	t.Helper()
	t.send("idle IDLE\r\n")
	if line := t.line(); line != "+ idling" {
		t.Fatal(line)
	}
	return "idle"
}

func (t *talker) hears(want string) {
	t.Helper()
	if line := t.line(); line != want {
		t.Errorf("heard %q, want %q", line, want)
	}
}

func TestIdleHearsDelivery(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	c.idle()
	h.putMany(1)
	c.hears("* 1 EXISTS")
	if _, err := h.store.Remove(t.Context(), h.inbox.ID, []store.UID{1}); err != nil {
		t.Fatal(err)
	}
	c.hears("* 1 EXPUNGE")
	c.send("DONE\r\n")
	c.hears("idle OK IDLE completed")
}

func TestIdleWithNothingSelected(t *testing.T) {
	h := newHouse(t)
	c := h.talk()
	c.ok("LOGIN " + alice + " \"" + password + "\"")
	c.idle()
	h.putMany(1)
	c.send("DONE\r\n")
	c.hears("idle OK IDLE completed")
}

// An error ends IDLE although Idle may still run; what comes after must not be
// disturbed by it.
func TestIdleEndsWithGarbage(t *testing.T) {
	h := newHouse(t)
	h.putMany(1)
	c := h.login("INBOX")
	for range 20 {
		c.idle()
		c.send("garbage\r\n")
		if line := c.line(); !strings.HasPrefix(line, "idle BAD") {
			t.Fatal(line)
		}
		if lines := c.ok("FETCH 1 UID"); lines[0] != "* 1 FETCH (UID 1)" {
			t.Fatal(lines)
		}
	}
}

// The client goes while Idle waits, writes, or has just begun.
func TestCloseWhileIdle(t *testing.T) {
	h := newHouse(t)
	for i := range 20 {
		c := h.login("INBOX")
		c.idle()
		if i%2 == 0 {
			h.putMany(1)
		}
		c.Conn.Close()
	}
}

func TestSuspendedUserLeaves(t *testing.T) {
	h := newHouse(t)
	idle, other := h.login("INBOX"), h.login("INBOX")
	idle.idle()
	yes := true
	if _, err := h.store.UpdateUser(t.Context(), h.alice.ID, store.UserChange{Suspended: &yes}); err != nil {
		t.Fatal(err)
	}
	if rest := idle.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	other.ok("NOOP")
	if rest := other.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
}

func TestChangedPasswordEndsSessions(t *testing.T) {
	h := newHouse(t)
	c := h.login("INBOX")
	c.idle()
	secret := "something else"
	if _, err := h.store.UpdateUser(t.Context(), h.alice.ID, store.UserChange{Password: &secret}); err != nil {
		t.Fatal(err)
	}
	if rest := c.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
}

func TestSelectedMailboxIsDeleted(t *testing.T) {
	h := newHouse(t)
	idle, busy, deleter := h.login("Archive"), h.login("Archive"), h.login("Archive")
	idle.idle()
	deleter.ok("DELETE Archive")
	if rest := idle.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	busy.refused("SEARCH ALL", "NO [NONEXISTENT]")
	busy.ok("NOOP")
	if rest := busy.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	deleter.refused("FETCH 1 FLAGS", "BAD")
	deleter.ok("NOOP")
	deleter.ok("SELECT INBOX")
	deleter.refused("SELECT Archive", "NO [NONEXISTENT]")
}

func TestRenamedWhileSelected(t *testing.T) {
	h := newHouse(t)
	c := h.login("Archive")
	c.ok("RENAME Archive Attic")
	archive, err := h.store.Mailbox(t.Context(), h.alice.ID, "Attic")
	if err != nil {
		t.Fatal(err)
	}
	h.put(archive.ID, "Subject: x\n\nx\n")
	if lines := c.ok("NOOP"); len(lines) != 1 || lines[0] != "* 1 EXISTS" {
		t.Error(lines)
	}
}

func TestShutdown(t *testing.T) {
	h := newHouse(t)
	idle, waiting, fresh := h.login("INBOX"), h.login("INBOX"), h.talk()
	idle.idle()
	uploading := h.login("INBOX")
	uploading.send("a APPEND INBOX {20}\r\n")
	uploading.hears("+ Ready for literal data")

	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- h.server.Shutdown(ctx)
	}()
	for _, c := range []*talker{idle, waiting, fresh} {
		if rest := c.over(); !strings.HasPrefix(rest, "* BYE ") {
			t.Errorf("got %q", rest)
		}
	}
	// A command under way is finished.
	uploading.send("Subject: hello\r\n\r\nhi\r\n")
	uploading.hears("* 1 EXISTS")
	if line := uploading.line(); !strings.HasPrefix(line, "a OK [APPENDUID ") {
		t.Error(line)
	}
	if rest := uploading.over(); !strings.HasPrefix(rest, "* BYE ") {
		t.Errorf("got %q", rest)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whoever does not finish in time is cut off, also in the middle of a write.
func TestShutdownInTime(t *testing.T) {
	h := newHouse(t)
	stuck, uploading := h.login("INBOX"), h.login("INBOX")
	uploading.send("a APPEND INBOX {20}\r\n")
	uploading.hears("+ Ready for literal data")
	h.put(h.inbox.ID, "Subject: big\n\n"+strings.Repeat("0123456789abcdef\n", 1<<20))
	stuck.ok("NOOP")
	stuck.send("a FETCH 1 BODY[]\r\n") // and never reads
	if line := stuck.line(); !strings.HasPrefix(line, "* 1 FETCH") {
		t.Fatal(line)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.server.Shutdown(ctx); err != context.Canceled {
		t.Error(err)
	}
}
