package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
)

// admin answers machines: metrics, "are you alive" and "can you work".
func (n *node) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := n.ready(r.Context()); err != nil {
			n.log.Warn("not ready", "err", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// ready reports whether mail can be taken and read now.
func (n *node) ready(ctx context.Context) error {
	if n.stopping.Load() {
		return errors.New("shutting down")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := n.store.Domains(ctx)
	return err
}

// newHTTPServer makes a server whose requests end when it begins to shut
// down: a stream would else go on until its reader goes.
func (n *node) newHTTPServer(h http.Handler) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelWarn),
	}
	s.RegisterOnShutdown(cancel)
	return s
}

func (p *program) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server of this folder whether it is well; exits 0 or 1",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			r, err := p.running(cfg.DataDir)
			if err != nil {
				return err
			}
			if err := probe(c.Context(), r); err != nil {
				return err
			}
			p.tell("The server is well")
			return nil
		},
	}
}

// probe asks the admin listener; where that is switched off, a mail listener
// that takes the connection has to do.
func probe(ctx context.Context, r runFile) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	address := r.reach("admin")
	if address == "" {
		for name := range r.Listeners {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.reach(name))
			if err != nil {
				return err
			}
			return conn.Close()
		}
		return errors.New("the server has no listener")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("http://%s/healthz answers %s", address, answer.Status)
	}
	return nil
}
