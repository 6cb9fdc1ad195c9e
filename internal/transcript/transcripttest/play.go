// Package transcripttest plays the conversations of a package's testdata as
// tests. Package transcript says what such a file looks like.
package transcripttest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
)

var update = flag.Bool("update", false, "write what the server says into the transcripts")

// Play plays every testdata/*.txt as a test of its own, on the stage that
// stage sets for it: with a server that no other file has spoken to. With
// -update what the server said is written back.
func Play(t *testing.T, stage func(t *testing.T, f *transcript.File) transcript.Stage) {
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
			set := stage(t, f)
			set.Update = *update
			if err := transcript.Play(t.Context(), f, set); err != nil {
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
