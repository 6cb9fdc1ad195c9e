package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every earlier schema is brought up to date, also when a process was killed
// between two steps: each step is a whole schema of its own.
func TestUpgradeFromEveryEarlierSchema(t *testing.T) {
	steps, err := schema.ReadDir("schema")
	if err != nil {
		t.Fatal(err)
	}
	for from := 1; from < len(steps); from++ {
		t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
			dir := t.TempDir()
			db, err := sql.Open("sqlite3", dsn(filepath.Join(dir, fileName), nil))
			if err != nil {
				t.Fatal(err)
			}
			for i := range from {
				text, err := schema.ReadFile("schema/" + steps[i].Name())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.Exec(fmt.Sprintf("%s;\nPRAGMA user_version = %d", text, i+1)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(`INSERT INTO blob (size, claimed) VALUES (0, 1);
				INSERT INTO blob (size, claimed, envelope) VALUES (0, 1, '{"m":"a@x"}'), (0, 1, '{"m":"b@x","i":["a@x"]}');
				INSERT INTO blob (size, claimed, envelope, refs) VALUES (0, 1, '{"m":"c@x","i":["b@x"]}', '["a@x","b@x"]');
				INSERT INTO queue (blob_id, sender, recipient, notify, original, ret, envid, utf8, require_tls, created, next) VALUES (1, '', 'bob@one.test', '', '', '', '', 0, 0, 1, 1)`); err != nil {
				t.Fatal(err)
			}
			db.Close()
			s, err := Open(t.Context(), Options{Dir: dir, Iterations: 4096})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			q, err := s.Queue(t.Context())
			if err != nil || len(q) != 1 || from == 1 && q[0].Domain != "one.test" {
				t.Errorf("queue %+v, %v", q, err)
			}
			if from < 7 {
				threads, err := list(t.Context(), s.readers, scanOne[string], `SELECT ident || ' in ' || thread FROM blob ORDER BY id`)
				if want := []string{" in ", "a@x in a@x", "b@x in a@x", "c@x in a@x"}; err != nil || !slices.Equal(threads, want) {
					t.Errorf("conversations are %q, %v", threads, err)
				}
			}
		})
	}
}

// A mail store that somebody has emptied is begun anew, but not in silence.
func TestEmptiedStoreIsNoticed(t *testing.T) {
	dir := t.TempDir()
	opened := func() string {
		var log bytes.Buffer
		s, err := Open(t.Context(), Options{Dir: dir, Iterations: 4096, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		return log.String()
	}
	if said := opened(); !strings.Contains(said, "level=INFO msg=\"made a new mail store\"") {
		t.Errorf("at first: %s", said)
	}
	if said := opened(); said != "" {
		t.Errorf("the second time: %s", said)
	}
	if err := os.Truncate(filepath.Join(dir, fileName), 0); err != nil {
		t.Fatal(err)
	}
	if said := opened(); !strings.Contains(said, "level=WARN") {
		t.Errorf("emptied: %s", said)
	}
}
