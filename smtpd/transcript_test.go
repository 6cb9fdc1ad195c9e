package smtpd

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/internal/transcript/transcripttest"
)

// TestTranscripts plays every conversation in testdata. The setup lines are
// those of house.setup.
func TestTranscripts(t *testing.T) {
	transcripttest.Play(t, func(t *testing.T, _ *transcript.File) transcript.Stage {
		h := newHouse(t)
		client := h.giveTLS()
		dial := func(context.Context, string) (net.Conn, error) {
			if c := h.open(); !h.config.Secure {
				return c, nil
			} else {
				return tls.Client(c, client), nil
			}
		}
		return transcript.Stage{Dial: dial, Setup: h.setup, TLS: client}
	})
}
