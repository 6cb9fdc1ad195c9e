package imapd

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/store"
)

var update = flag.Bool("update", false, "write what the server says into the transcripts")

// TestTranscripts plays every conversation in testdata, each with a server of
// its own. Setup lines, after which alice exists in any case:
//
//	messages N          puts N small messages into alice's INBOX
//	quota N             gives alice room for N octets
//	user ADDRESS        adds somebody with the same password
//	starttls            offers STARTTLS and wants it before a login
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := transcript.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = file
	var secured func(*Config)
	stage := transcript.Stage{Update: *update}
	for _, line := range f.Setup {
		if line == "starttls" {
			server, client := selfSigned(t)
			stage.TLS = client
			secured = func(c *Config) { c.TLS, c.PlaintextOK = server, false }
		}
	}
	var h *house
	if secured != nil {
		h = newHouse(t, secured)
	} else {
		h = newHouse(t)
	}
	stage.Dial = func(context.Context, string) (net.Conn, error) { return h.dial(), nil }
	stage.Setup = func(line string) error { return h.setup(line) }
	err = transcript.Play(t.Context(), f, stage)
	if err != nil {
		t.Error(err)
	}
	if *update {
		if err := os.WriteFile(file, f.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func (h *house) setup(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "messages":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		h.putMany(n)
	case "quota":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return err
		}
		_, err = h.store.UpdateUser(h.Context(), h.alice.ID, store.UserChange{Quota: &n})
		return err
	case "user":
		h.addUser(rest)
	case "starttls":
	default:
		return fmt.Errorf("unknown setup %q", line)
	}
	return nil
}
