package store

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// remembered is what the file has of one kind.
func remembered(t *testing.T, s *Store, kind string) map[string]string {
	t.Helper()
	all, err := listMemos(t.Context(), s, kind, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for _, m := range all {
		values[m.key] = m.value
	}
	return values
}

func openMemory(t *testing.T, s *Store, kind string, max int) *Memory {
	t.Helper()
	m, err := s.Memory(t.Context(), kind, Bounds{Max: max})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemoryOutlivesTheProcess(t *testing.T) {
	now := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	open := func() *Store {
		t.Helper()
		s, err := Open(t.Context(), Options{Dir: dir, Iterations: 4096, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	m, other := openMemory(t, s, "one", 0), openMemory(t, s, "two", 0)
	for i := range memoryBatch + 10 {
		m.Set(fmt.Sprint(i), "old", now.Add(time.Hour))
	}
	m.Set("a\x00\xff", "binary", now.Add(time.Hour))
	m.Set("0", "new", now.Add(3*time.Hour))
	other.Set("0", "another kind", now.Add(time.Hour))
	if err := s.Close(); err != nil { // sooner than the changes would be written
		t.Fatal(err)
	}

	s = open()
	m = openMemory(t, s, "one", 0)
	for key, want := range map[string]string{"0": "new", "509": "old", "a\x00\xff": "binary", "none": ""} {
		if got, ok := m.Get(key); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", key, got, ok)
		}
	}
	if got, _ := openMemory(t, s, "two", 0).Get("0"); got != "another kind" {
		t.Errorf("the kinds are mixed up: %q", got)
	}
	now = now.Add(2 * time.Hour)
	m.Set("later", "x", now.Add(time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	defer s.Close()
	if got := remembered(t, s, "one"); len(got) != 2 || got["0"] != "new" || got["later"] != "x" {
		t.Errorf("what has expired stays: %d values", len(got))
	}
}

// Alike in memory and in the file.
func TestMemoryIsBounded(t *testing.T) {
	s := openFault(t)
	m := openMemory(t, s, "k", 2)
	hour := s.now().Add(time.Hour)
	for _, key := range []string{"a", "b", "a", "c"} {
		m.Set(key, "x", hour)
		m.flush()
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, ok := m.Get(key); ok != want {
			t.Errorf("%s: %v", key, ok)
		}
	}
	if got := remembered(t, s, "k"); len(got) != 2 || got["b"] != "" {
		t.Errorf("the file has %v", got)
	}
	var none Memory
	none.Set("a", "x", hour)
	if got, ok := none.Get("a"); got != "x" || !ok {
		t.Errorf("the zero value: %q %v", got, ok)
	}
}

// TestOneCrowdDoesNotPushOutOthers sets more values of one crowd than it may
// have, before a restart and after it.
func TestOneCrowdDoesNotPushOutOthers(t *testing.T) {
	s := openFault(t)
	hour := s.now().Add(time.Hour)
	bounds := Bounds{Max: 6, Crowd: 3}
	open := func() *Memory {
		t.Helper()
		m, err := s.Memory(t.Context(), "k", bounds)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	expect := func(m *Memory, keys ...string) {
		t.Helper()
		for _, key := range []string{"honest", "attacker1", "attacker2", "attacker3", "attacker4", "attacker5", "attacker6", "short"} {
			if _, ok := m.Get(key); ok != slices.Contains(keys, key) {
				t.Errorf("%s: %v", key, ok)
			}
		}
	}
	m := open()
	m.Set("honest", "x", hour)
	m.Set("short", "x", hour)
	for i := range 5 {
		m.Set(fmt.Sprintf("attacker%d", i+1), "x", hour.Add(time.Duration(i)*time.Second))
	}
	m.Set("attacker3", "y", hour.Add(time.Minute))
	expect(m, "honest", "short", "attacker3", "attacker4", "attacker5")
	m.flush()
	m = open()
	m.Set("attacker6", "x", hour)
	expect(m, "honest", "short", "attacker3", "attacker5", "attacker6")
	if len(m.crowds) != 3 {
		t.Errorf("%d crowds", len(m.crowds))
	}
	m.forget("honest")
	if len(m.crowds) != 2 {
		t.Errorf("an empty crowd stays: %d", len(m.crowds))
	}
}

// Changes are written without anybody asking, many at once, and those that
// could not be written are written later.
func TestMemoryIsWrittenBehind(t *testing.T) {
	s := openFault(t)
	m := &Memory{store: s, kind: "k", delay: time.Millisecond, wake: make(chan struct{}, 1)}
	hour := s.now().Add(time.Hour)
	before := s.writer.stats.commits.Load()
	for i := range 100 {
		m.Set(fmt.Sprint(i), "x", hour)
	}
	if n := s.writer.stats.commits.Load() - before; n != 0 {
		t.Fatalf("Set has waited for %d commits", n)
	}
	rename := func(from, to string) {
		t.Helper()
		if err := s.write(t.Context(), func(t *tx) error { return t.must(`ALTER TABLE ` + from + ` RENAME TO ` + to) }); err != nil {
			t.Fatal(err)
		}
	}
	rename("memory", "elsewhere")
	m.flush()
	rename("elsewhere", "memory")
	if got := remembered(t, s, "k"); len(got) != 0 {
		t.Fatalf("%d values were written nowhere", len(got))
	}
	s.running.Go(m.writeBehind)
	m.Set("last", "x", hour)
	for len(remembered(t, s, "k")) != 101 {
		runtime.Gosched()
	}
	if n := s.writer.stats.commits.Load() - before; n > 10 {
		t.Errorf("%d commits for 101 values", n)
	}
}
