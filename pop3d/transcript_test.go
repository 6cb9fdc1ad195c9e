package pop3d

import (
	"context"
	"net"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/internal/transcript/transcripttest"
	"github.com/yubin-mail/yubin/store"
)

// TestTranscripts plays every conversation in testdata. The setup lines are
// those of house.setup.
func TestTranscripts(t *testing.T) {
	transcripttest.Play(t, func(t *testing.T, _ *transcript.File) transcript.Stage {
		h := newHouse(t)
		client := h.giveTLS()
		people := map[string]store.User{}
		return transcript.Stage{
			Dial:  func(context.Context, string) (net.Conn, error) { return h.open(), nil },
			Setup: func(line string) error { return h.setup(line, people) },
			TLS:   client,
		}
	})
}
