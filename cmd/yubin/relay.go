package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/relay"
	"github.com/yubin-mail/yubin/store"
)

// outgoing is the relay as a service: it listens to the queue instead of to a
// port.
type outgoing struct{ *relay.Relay }

func (o outgoing) Serve(net.Listener) error { return o.Run(context.Background()) }

// send starts bringing queued mail to other servers.
func (n *node) send() error {
	if !n.cfg.RelayEnabled {
		return nil
	}
	c, err := n.cfg.relay()
	if err != nil {
		return err
	}
	c.Names = n.cfg.TLSNames
	c.Notices = n.notices
	c.Store = n.store
	c.Tap = n.tap
	c.Log = n.log.With("listener", "relay")
	c.PolicyDir = filepath.Join(n.cfg.DataDir, "mta-sts")
	if c.Roots, err = n.cfg.authorities(); err != nil {
		return err
	}
	n.cfg.staging.apply(&c)
	n.run("relay", outgoing{relay.New(c)}, nil)
	return nil
}

// tell is what writes notices, also about mail that stays here.
func (n *node) tell() *relay.Notices {
	return &relay.Notices{Hostname: n.cfg.Hostname, Store: n.store, Now: n.cfg.staging.now(), Log: n.log, Original: n.original}
}

// original finds whom a rewritten sender stands for.
func (n *node) original(address string) (string, bool) {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	original, err := mailauth.SRS{Domain: domain, Secrets: n.rewrite}.Reverse(address)
	return original, err == nil
}

// authorities are those that other servers' certificates may come from; nil
// is the system's alone.
func (s *settings) authorities() (*x509.CertPool, error) {
	if len(s.RelayAuthorities) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // this machine has none
	}
	for _, file := range s.RelayAuthorities {
		text, err := os.ReadFile(file)
		if err == nil && !pool.AppendCertsFromPEM(text) {
			err = fmt.Errorf("%s holds no certificate", file)
		}
		if err != nil {
			return nil, of("relay.authorities", err)
		}
	}
	return pool, nil
}

// relay is what the settings say about outgoing mail.
func (s *settings) relay() (c relay.Config, err error) {
	c = relay.Config{
		Hostname:     s.Hostname,
		Resolver:     s.resolver(),
		AllowPrivate: s.RelayAllowPrivate,
		WarnAfter:    s.RelayWarnAfter,
		MaxAge:       s.RelayMaxAge,
		PerDomain:    s.RelayConnectionsPerDomain,
		Total:        s.RelayConnections,
		Routes:       make(map[string][]relay.NextHop),
	}
	if c.TLS, err = relay.ParseSecurity(s.RelayTLS); err != nil {
		return c, of("relay.tls", err)
	}
	for _, text := range s.RelaySmarthosts {
		h, err := relay.ParseNextHop(text)
		if err != nil {
			return c, of("relay.smarthosts", err)
		}
		h.User, h.Password = s.RelayUser, strings.TrimRight(s.RelayPassword, "\r\n")
		c.Smarthosts = append(c.Smarthosts, h)
	}
	for _, text := range s.RelayRoutes {
		domain, server, ok := strings.Cut(text, "=")
		h, err := relay.ParseNextHop(strings.TrimSpace(server))
		domain, below := strings.CutPrefix(strings.TrimSpace(domain), "*.")
		domain, bad := store.CanonicalDomain(domain)
		if !ok || bad != nil || err != nil {
			return c, of("relay.routes", fmt.Errorf("%q is not a route such as example.test=smtp://10.0.0.5:25; for all domains set relay.smarthosts", text))
		}
		if below {
			domain = "*." + domain
		}
		c.Routes[domain] = append(c.Routes[domain], h)
	}
	for _, text := range s.RelaySchedule {
		wait, err := time.ParseDuration(text)
		if err != nil || wait <= 0 {
			return c, of("relay.schedule", fmt.Errorf("%q is not a duration such as 10m", text))
		}
		c.Schedule = append(c.Schedule, wait)
	}
	return c, nil
}
