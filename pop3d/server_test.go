package pop3d

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// A session ends when the password changes or the account is suspended.
func TestRevokedAccessEndsTheSession(t *testing.T) {
	yes, other := true, "another"
	for name, change := range map[string]store.UserChange{
		"password":  {Password: &other},
		"suspended": {Suspended: &yes},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			var clock atomic.Int64
			h.config.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
			u := h.ada()
			h.mail(u, letter)
			c := h.login(u)
			c.ask("DELE 1", "+OK *")
			if _, err := h.store.UpdateUser(t.Context(), u.ID, change); err != nil {
				t.Fatal(err)
			}
			if name == "password" {
				clock.Add(2)
				c.ask("NOOP", "-ERR [AUTH] password or account *")
			} else { // QUIT asks without waiting for the clock
				c.ask("QUIT", "-ERR [AUTH] password or account *")
			}
			c.wantEnd()
			if got := h.uids(u); len(got) != 1 {
				t.Errorf("left: %v", got)
			}
		})
	}
}

func TestShutdownTellsIdleSessions(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, letter)
	in, out := h.login(u), h.connect()
	in.ask("DELE 1", "+OK *")
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{in, out} {
		c.want("-ERR [SYS/TEMP] server is shutting down, nothing was removed")
		c.wantEnd()
	}
	if got := h.uids(u); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
	if _, err := net.Dial("tcp", h.addr); err == nil {
		t.Error("still accepting")
	}
}

// The command under way is finished; what waits behind it is not begun.
func TestShutdownFinishesTheCommand(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, "Subject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	c := h.login(u)
	c.say("DELE 1", "RSET", "RETR 1", "DELE 1", "QUIT")
	c.want("+OK *", "+OK *", "+OK 7200018 octets") // more than the sockets hold
	down := make(chan error, 1)
	stopping := make(chan struct{})
	go func() {
		close(stopping)
		down <- h.server.Shutdown(context.Background())
	}()
	<-stopping
	for !h.server.isStopping() {
		runtime.Gosched()
	}
	body, err := io.ReadAll(c.Reader.DotReader())
	if err != nil || len(body) != 7200018-100_002 { // DotReader makes CRLF LF
		t.Errorf("read %d octets, %v", len(body), err)
	}
	c.want("-ERR [SYS/TEMP] *")
	c.wantEnd()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if got := h.uids(u); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestShutdownHasAnEnd(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	h.mail(u, "Subject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	c := h.login(u)
	c.ask("RETR 1", "+OK *") // and then reads no more
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
