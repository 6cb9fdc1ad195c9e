package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/resolve"
)

// TestZoneIsReadAgain changes a zone and a key folder while they are served.
func TestZoneIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	ring := &mailauth.Keyring{Dir: filepath.Join(t.TempDir(), "dkim")}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alpha.test. TXT first\n")
	out, to := io.Pipe()
	p := &program{out: to, err: to}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.serveZone(ctx, "127.0.0.1:0", file, []string{ring.Dir}); to.Close() }()
	lines := bufio.NewScanner(out)
	next := func(want string) string {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return lines.Text()
			}
		}
		t.Fatalf("it never said %q", want)
		return ""
	}
	server := strings.TrimPrefix(next("DNS "), "DNS ")
	resolver := resolve.Net{DNS: &resolve.DNS{Servers: []string{server}}}
	has := func(name, want string) {
		t.Helper()
		texts, err := resolver.LookupTXT(ctx, name)
		if err != nil || !slices.Contains(texts, want) {
			t.Errorf("%s: %q %v, want %q", name, texts, err, want)
		}
	}
	has("alpha.test.", "first")
	write("alpha.test. TXT second\n")
	next("read again")
	has("alpha.test.", "second")
	keys, err := ring.Generate("alpha.test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for range keys { // they may be seen one after the other
		if texts, _ := resolver.LookupTXT(ctx, keys[1].Name()+"."); len(texts) == 0 {
			next("read again")
		}
	}
	for _, k := range keys {
		has(k.Name()+".", k.Text())
	}
	write("alpha.test. MX ten\n")
	next("read a zone") // the mistake is told, and the zone before stays
	has(keys[0].Name()+".", keys[0].Text())
	cancel()
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
