package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/lab"
)

// TestTwoServers plays all of it in both languages: nothing contradicts, and
// nothing is said in the other language only.
func TestTwoServers(t *testing.T) {
	for _, tongue := range []tongue{english, japanese} {
		var out bytes.Buffer
		p := &program{out: &out, err: &out, getenv: os.LookupEnv, tongue: tongue}
		if err := p.playTwoServers(t.Context(), twoServersActs); err != nil {
			t.Errorf("%s: %v\n%s", tongue, err, &out)
		}
		if n := strings.Count(out.String(), "\n   "); n < 18 {
			t.Errorf("%s: only %d lines\n%s", tongue, n, &out)
		}
	}
}

// TestTwoServersCanContradict gives a play a statement that does not hold.
func TestTwoServersCanContradict(t *testing.T) {
	var out bytes.Buffer
	p := &program{out: &out, err: &out, getenv: os.LookupEnv, tongue: japanese}
	wrong := act{lab.Words{EN: "Nobody writes", JA: "誰も書きません"}, func(ctx context.Context, s *twoServers) error {
		mails, err := s.beta.byIMAP(ctx)
		s.state(lab.Words{EN: "Bob has mail.", JA: "ボブにメールが届いています。"}, len(mails) > 0, len(mails))
		return err
	}}
	err := p.playTwoServers(t.Context(), []act{wrong})
	if !errors.Is(err, lab.ErrContradicted) || !strings.Contains(out.String(), "ボブにメールが届いています。") {
		t.Errorf("%v\n%s", err, &out)
	}
}
