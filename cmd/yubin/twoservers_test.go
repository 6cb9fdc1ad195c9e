package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
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
		if r, err := p.playTwoServers(t.Context(), twoServersActs, &out, nil); err != nil || r.err() != nil {
			t.Errorf("%s: %v\n%s", tongue, err, &out)
		}
		if n := strings.Count(out.String(), "\n   "); n < 21 {
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
	paused := 0
	r, err := p.playTwoServers(t.Context(), []act{wrong}, &out, func(context.Context) error {
		paused++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.err(); !errors.Is(err, lab.ErrContradicted) || r.Contradicted != 1 || paused != 1 || !strings.Contains(out.String(), "ボブにメールが届いています。") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestTwoServersReports(t *testing.T) {
	r := &playReport{Scenario: twoServersName, Title: "Two", Acts: []played{{"One, and only", []fact{{"It holds.", true, "a\nb"}, {"It does not.", false, ""}}}}}
	for name, want := range map[string]string{
		"r.json": `"title": "One, and only"`,
		"r.csv":  "two-servers,\"One, and only\",It does not.,false,\n",
		"r.md":   "## 1. One, and only\n\n- [x] It holds.\n\n  ```\n  a\n  b\n  ```\n- [ ] It does not.\n",
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := lab.Save(file, r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		if name == "r.json" && !json.Valid(text) {
			t.Error("invalid JSON")
		}
	}
}
