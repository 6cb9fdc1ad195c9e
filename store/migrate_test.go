package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
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
		})
	}
}
