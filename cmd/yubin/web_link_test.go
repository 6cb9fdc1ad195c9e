package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take is what has been written since the last time.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// Where there is no terminal, the log has the link, until it has been used.
func TestSetupLinkIsInTheLog(t *testing.T) {
	var log lockedBuffer
	n, err := start(t.Context(), testConfig(t), slog.NewTextHandler(&log, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop(context.WithoutCancel(t.Context()))
	p := &program{out: io.Discard}
	log.take()
	p.banner(t.Context(), n)
	if said := log.take(); !strings.Contains(said, n.setupLink(t.Context())) || !strings.Contains(said, "/setup?token=") {
		t.Errorf("the log: %s", said)
	}
	if _, err := n.store.CreateUser(t.Context(), store.NewUser{Address: "root@example.test", Password: "secret", Admin: true}); err != nil {
		t.Fatal(err)
	}
	log.take()
	p.banner(t.Context(), n)
	if said := log.take(); strings.Contains(said, "/setup") {
		t.Errorf("with an administrator: %s", said)
	}
}
