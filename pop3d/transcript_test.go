package pop3d

import (
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/store"
)

var update = flag.Bool("update", false, "write what the server says into the transcripts")

// TestTranscripts plays every conversation in testdata, each with a server of
// its own. The setup lines are those of house.setup.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := transcript.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			f.Name = file
			h := newHouse(t)
			client := h.giveTLS()
			people := map[string]store.User{}
			err = transcript.Play(t.Context(), f, transcript.Stage{
				Dial:   func(context.Context, string) (net.Conn, error) { return h.open(), nil },
				Setup:  func(line string) error { return h.setup(line, people) },
				TLS:    client,
				Update: *update,
			})
			if err != nil {
				t.Error(err)
			}
			if *update {
				if err := os.WriteFile(file, f.Bytes(), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
