package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// errAlreadyServing: another process serves the folder.
var errAlreadyServing = errors.New("another yubin serves this folder")

// lockFolder makes this process the one that serves dir, until the file is
// closed or the process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	who := ""
	if r, err := readRunFile(dir); err == nil {
		who = fmt.Sprintf(" (pid %d)", r.PID)
	}
	return nil, fmt.Errorf("%w: %s%s; stop it, or choose another with --data-dir", errAlreadyServing, dir, who)
}

// A runFile says where the server of a folder can be reached. It is there
// while the server runs, and left behind only by a crash.
type runFile struct {
	PID       int               `json:"pid"`
	Version   string            `json:"version"`
	Started   time.Time         `json:"started"`
	Demo      bool              `json:"demo"`
	Listeners map[string]string `json:"listeners"` // by name, as in NAME.addr; the admin listener too
	Control   string            `json:"control"`   // the socket of `yubin tail`

	// Settings that others need in order to judge the server or talk to it,
	// and that it may have from flags they do not know.
	Hostname       string `json:"hostname"`
	AllowPlaintext bool   `json:"allow_plaintext"`
	TLSCert        string `json:"tls_cert,omitempty"`
	TLSKey         string `json:"tls_key,omitempty"`
}

func runPath(dir string) string { return filepath.Join(dir, "run.json") }

func (r runFile) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	next := runPath(dir) + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, runPath(dir))
}

func readRunFile(dir string) (r runFile, err error) {
	text, err := os.ReadFile(runPath(dir))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// running returns where the server of dir is. The error says that none runs.
func (p *program) running(dir string) (runFile, error) {
	r, err := readRunFile(dir)
	switch {
	case err == nil && unix.Kill(r.PID, 0) != unix.ESRCH:
		return r, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return r, err
	}
	return r, errors.New(p.say("no server runs on %s; start one with `yubin serve`, or name its folder with --data-dir", dir))
}

// server is running for those who want to talk to a server rather than to
// see to a folder: when no folder was named and none runs on the usual one,
// a demonstration will do. What cfg says of the server becomes what is so.
func (p *program) server(cfg *config) (runFile, error) {
	r, err := p.running(cfg.DataDir)
	if err != nil && cfg.origin["data_dir"] == "default" {
		if demo, missing := p.running(cfg.DataDir + demoSuffix); missing == nil {
			r, err = demo, nil
			cfg.DataDir += demoSuffix
		}
	}
	if err == nil {
		cfg.Hostname, cfg.AllowPlaintext, cfg.TLSCert, cfg.TLSKey = r.Hostname, r.AllowPlaintext, r.TLSCert, r.TLSKey
	}
	return r, err
}

// reach is where a client on this machine finds a listener, or "" when it is
// switched off.
func (r runFile) reach(name string) string {
	host, port, err := net.SplitHostPort(r.Listeners[name])
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
