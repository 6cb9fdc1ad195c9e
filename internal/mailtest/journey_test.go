package mailtest_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/internal/transcript"
)

// TestTranscripts plays the conversations in which several protocols meet.
func TestTranscripts(t *testing.T) {
	defer goleak.VerifyNone(t)
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
			s := mailtest.Start(t)
			ports := map[string]string{"smtp": s.SMTP, "submission": s.Submission, "pop3": s.POP3, "imap": s.IMAP}
			err = transcript.Play(t.Context(), f, transcript.Stage{
				Dial: func(ctx context.Context, proto string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", ports[proto])
				},
				Setup: func(line string) error {
					words := strings.Fields(line)
					if len(words) != 3 || words[0] != "user" {
						return fmt.Errorf("not a setup line")
					}
					s.AddUser(t, words[1], words[2])
					return nil
				},
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
