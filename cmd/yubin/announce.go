package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// announce opens the listeners for machines and writes where everything is.
func (n *node) announce() error {
	r := runFile{
		PID:       os.Getpid(),
		Version:   version(),
		Started:   time.Now().UTC().Truncate(time.Second),
		Demo:      n.cfg.Demo,
		Listeners: map[string]string{},

		Hostname:       n.cfg.Hostname,
		AllowPlaintext: n.cfg.AllowPlaintext,
		TLSCert:        absolute(n.cfg.TLSCert),
		TLSKey:         absolute(n.cfg.TLSKey),
	}
	for _, p := range n.ports {
		r.Listeners[p.name] = p.listener.Addr().String()
	}
	if n.cfg.AdminAddr != "" {
		l, err := net.Listen("tcp", n.cfg.AdminAddr)
		if err != nil {
			return of("admin.addr", err)
		}
		r.Listeners["admin"] = l.Addr().String()
		n.run("admin", web{n.newHTTPServer(n.admin())}, l)
	}
	l, path, err := controlSocket(n.cfg.DataDir)
	if err != nil {
		return err
	}
	r.Control = path
	n.run("control", web{n.newHTTPServer(n.control())}, l)
	if err := r.write(n.cfg.DataDir); err != nil {
		return err
	}
	n.log.Info("serving", "version", r.Version, "data_dir", n.cfg.DataDir, "listeners", r.Listeners, "demo", r.Demo)
	return nil
}

// absolute is a path that means the same to a process in another folder.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// withdraw takes back what announce wrote.
func (n *node) withdraw() {
	if r, err := readRunFile(n.cfg.DataDir); err == nil && r.PID == os.Getpid() {
		os.Remove(runPath(n.cfg.DataDir))
		os.Remove(r.Control)
		os.Remove(filepath.Dir(r.Control)) // its own folder, see controlSocket
	}
}

// longestSocketPath is what fits into a socket's address on every system.
const longestSocketPath = 100

// controlSocket listens where only the owner of the folder can connect: the
// socket is in a folder of its own, because between its making and a chmod
// there would be a moment.
func controlSocket(dir string) (net.Listener, string, error) {
	folder := absolute(filepath.Join(dir, "control"))
	if len(folder) > longestSocketPath {
		var err error
		if folder, err = os.MkdirTemp("", "yubin-"); err != nil { // mode 0700
			return nil, "", err
		}
	} else if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, "", err
	}
	path := filepath.Join(folder, "tail")
	// Whoever left one behind is gone: we hold the folder's lock.
	os.Remove(path)
	l, err := net.Listen("unix", path)
	return l, path, err
}

// web makes an HTTP server a service.
type web struct{ server *http.Server }

func (w web) Serve(l net.Listener) error {
	err := w.server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown waits for the requests under way, but not long: nothing that
// counts is lost with them.
func (w web) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if w.server.Shutdown(ctx) != nil {
		return w.server.Close()
	}
	return nil
}
