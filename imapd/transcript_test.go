package imapd

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/transcript"
	"github.com/yubin-mail/yubin/internal/transcript/transcripttest"
	"github.com/yubin-mail/yubin/store"
)

// TestTranscripts plays every conversation in testdata. Setup lines, after
// which alice exists in any case:
//
//	messages N          puts N small messages into alice's INBOX
//	quota N             gives alice room for N octets
//	user ADDRESS        adds somebody with the same password
//	starttls            offers STARTTLS and wants it before a login
func TestTranscripts(t *testing.T) {
	transcripttest.Play(t, func(t *testing.T, f *transcript.File) (s transcript.Stage) {
		var configure []func(*Config)
		if slices.Contains(f.Setup, "starttls") {
			server, client := selfSigned(t)
			s.TLS = client
			configure = append(configure, func(c *Config) { c.TLS, c.PlaintextOK = server, false })
		}
		h := newHouse(t, configure...)
		s.Dial = func(context.Context, string) (net.Conn, error) { return h.dial(), nil }
		s.Setup = h.setup
		return s
	})
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
