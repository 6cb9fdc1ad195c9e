package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/store"
)

// events is the fixed vocabulary of the log: what is counted.
var events = []string{"accepted", "rejected", "delivered", "deferred", "failed", "login", "login-failed", "expunged"}

// metrics counts what the log says: the events are logged anyway, in one
// vocabulary, so nothing else in the program needs to know of Prometheus.
type metrics struct {
	registry *prometheus.Registry
	events   *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yubin_events_total",
			Help: "Mail events, as they are logged: mails accepted and rejected, logins and failed logins and so on.",
		}, []string{"event", "service"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "yubin_build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.events, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watchStore reports the group commit: requests by commits is the mean batch.
func (m *metrics) watchStore(s *store.Store) {
	counter := func(name, help string, value func(store.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(s.Stats())) })
	}
	m.registry.MustRegister(
		counter("yubin_store_commits_total", "Durable transactions of the mail store.",
			func(s store.Stats) int64 { return s.Commits }),
		counter("yubin_store_requests_total", "Changes that shared those transactions.",
			func(s store.Stats) int64 { return s.Requests }),
		counter("yubin_store_failed_requests_total", "Changes that were answered with an error.",
			func(s store.Stats) int64 { return s.Failed }),
	)
}

// watchPort reports the open connections of one listener, and those that it
// has refused.
func (m *metrics) watchPort(name string, l *listen.Limited) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "yubin_connections_open",
		Help:        "Connections open now.",
		ConstLabels: prometheus.Labels{"listener": name},
	}, func() float64 { return float64(l.Open()) }))
	for limit, count := range map[string]func(listen.Refused) int64{
		"rate":        func(r listen.Refused) int64 { return r.Rate },
		"per_address": func(r listen.Refused) int64 { return r.PerAddress },
		"total":       func(r listen.Refused) int64 { return r.Total },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "yubin_connections_refused_total",
			Help:        "Connections refused, by the limit that they met (limits.connections and so on).",
			ConstLabels: prometheus.Labels{"listener": name, "limit": limit},
		}, func() float64 { return float64(count(l.Refused())) }))
	}
}

// handler counts events on their way to next.
func (m *metrics) handler(next slog.Handler) slog.Handler { return counting{next, m, ""} }

type counting struct {
	slog.Handler
	metrics *metrics
	service string
}

// Enabled is true for what is counted even where it is not shown.
func (h counting) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.Handler.Enabled(ctx, level)
}

func (h counting) Handle(ctx context.Context, r slog.Record) error {
	if slices.Contains(events, r.Message) {
		service := h.service
		r.Attrs(func(a slog.Attr) bool { service = serviceOf(a, service); return true })
		h.metrics.events.WithLabelValues(r.Message, service).Inc()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		h.service = serviceOf(a, h.service)
	}
	return h
}

func (h counting) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

func serviceOf(a slog.Attr, otherwise string) string {
	if a.Key == "proto" || a.Key == "service" {
		return a.Value.String()
	}
	return otherwise
}
