package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/testdns"
)

// dnsCommand serves a zone to demonstrations with several servers. It is
// hidden, because nobody should believe that it is a name server.
func (p *program) dnsCommand() *cobra.Command {
	var addr, zone string
	var keys []string
	c := &cobra.Command{
		Use:    "dns",
		Short:  "Serve a zone file to demonstrations with several servers",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.serveZone(c.Context(), addr, zone, keys)
		},
	}
	f := c.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:1053", "Address to listen at, UDP and TCP.")
	f.StringVar(&zone, "zone", "", "Zone file, read again when it changes.")
	f.StringSliceVar(&keys, "keys", nil, "Folder of DKIM keys (DATA_DIR/dkim) whose records are served too.")
	_ = c.MarkFlagRequired("zone")
	return c
}

// rereadEvery is how soon a change in a file is in DNS.
const rereadEvery = time.Second

// serveZone serves files as they are at each moment until ctx ends. A zone
// with a mistake in it leaves the one before in force.
func (p *program) serveZone(ctx context.Context, addr, file string, folders []string) (err error) {
	served, err := zoneText(file, folders)
	if err != nil {
		return err
	}
	zone := new(testdns.Zone)
	if err := zone.Load(served); err != nil {
		return of(file, err)
	}
	s, err := testdns.Listen(addr, zone)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintln(p.out, "DNS", s.Addr)
	again := time.NewTicker(rereadEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		text, err := zoneText(file, folders)
		if err == nil && text != served {
			served = text
			if err = zone.Load(text); err == nil {
				fmt.Fprintln(p.out, "DNS", file, "read again")
			}
		}
		if err != nil {
			fmt.Fprintf(p.err, "yubin: %s\n", of(file, err))
		}
	}
}

// zoneText is a zone file with the records of all keys in the folders.
func zoneText(file string, folders []string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Write(text)
	b.WriteString("\n$ORIGIN .\n")
	for _, folder := range folders {
		ring := &mailauth.Keyring{Dir: folder}
		domains, err := ring.Domains()
		if err != nil {
			return "", err
		}
		for _, domain := range domains {
			keys, err := ring.List(domain)
			if err != nil {
				return "", err
			}
			for _, k := range keys {
				b.WriteString(k.DNSRecord())
			}
		}
	}
	return b.String(), nil
}
