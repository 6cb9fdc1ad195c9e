package mailtest_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/leak"
	"github.com/yubin-mail/yubin/internal/mailtest"
	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/internal/transcript/transcripttest"
)

// TestTranscripts plays the conversations in which several protocols meet.
func TestTranscripts(t *testing.T) {
	defer leak.Check(t)
	transcripttest.Play(t, func(t *testing.T, _ *transcript.File) transcript.Stage {
		s := mailtest.Start(t)
		ports := map[string]string{"smtp": s.SMTP, "submission": s.Submission, "pop3": s.POP3, "imap": s.IMAP}
		return transcript.Stage{
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
		}
	})
}
