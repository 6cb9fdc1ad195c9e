package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	hashCost = 4096 // the least RFC 7677 §4 allows
	testscript.Main(m, map[string]func(){"yubin": main})
}

// TestScripts plays testdata/*.txtar: the program as a person types it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("YUBIN_DATA_DIR", filepath.Join(e.WorkDir, "data"))
			for _, name := range []string{"SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S", "IMAP", "IMAPS", "HTTP", "ADMIN"} {
				e.Setenv("YUBIN_"+name+"_ADDR", "127.0.0.1:0")
			}
			e.Setenv("LANG", "C.UTF-8")
			// A race-detecting program stays for a second at its end, else.
			e.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
			return os.Mkdir(filepath.Join(e.WorkDir, "data"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":     await,
			"terminate": terminate,
		},
	})
}

// await waits until a file is there: `await data/run.json`.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	file := ts.MkAbs(args[0])
	w, err := fsnotify.NewWatcher()
	ts.Check(err)
	defer w.Close()
	ts.Check(w.Add(filepath.Dir(file)))
	late := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		select {
		case <-w.Events:
		case err := <-w.Errors:
			ts.Check(err)
		case <-late:
			ts.Fatalf("%s did not appear", file)
		}
	}
}

// terminate sends SIGTERM to the server of a data folder: `terminate data`. That
// nothing but the signal is waited for is up to `wait`.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate FOLDER")
	}
	r, err := readRunFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(syscall.Kill(r.PID, syscall.SIGTERM))
}
