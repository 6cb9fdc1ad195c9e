package main

import (
	"context"
	"net"
	"net/url"
	"strconv"

	"github.com/yubin-mail/yubin/webd"
)

// webPorts are the listeners of browsers, on or off.
func (n *node) webPorts() []*port {
	return []*port{
		{name: "http", address: n.cfg.HTTPAddr, browser: true, server: n.web},
		{name: "https", address: n.cfg.HTTPSAddr, browser: true, secure: true, server: n.web},
	}
}

func (n *node) web(f portFacts) service {
	var accounts []webd.DemoAccount
	if n.cfg.Demo {
		for _, u := range demoUsers {
			accounts = append(accounts, webd.DemoAccount{Address: u.Address, Password: u.Password})
		}
	}
	undo := n.cfg.WebUndoSend
	if undo == 0 {
		undo = -1 // not at all; there 0 means as usual
	}
	pages := webd.New(webd.Config{
		Hostname:     n.cfg.Hostname,
		Hosts:        n.cfg.TLSNames,
		Store:        n.store,
		Auth:         n.auth,
		Secure:       f.secure,
		Policy:       n.cfg.policy(),
		Demo:         n.cfg.Demo,
		DemoAccounts: accounts,
		Relay:        n.cfg.RelayEnabled,
		Signer:       n.signer,
		Allowance:    n.allowance,
		MaxSize:      int64(n.cfg.MessageSize),
		UndoSend:     undo,
		Lab:          n.labServer(),
		Tap:          n.tap,
		Operation: webd.Operation{
			DataDir:     n.cfg.DataDir,
			KeepBackups: n.cfg.BackupKeep,
			PlaintextOK: f.plaintextOK,
			Clients:     n.mailServers(),
			Listeners:   n.listeners,
			Sessions:    n.sessions,
			Disconnect:  n.disconnect,
			Settings:    n.settings,
			Doctor:      n.examine,
		},
		Log: f.log,
	})
	if n.pages == nil { // the first is the one that setupLink prints
		n.pages = pages
	}
	return pages
}

// mailServers are the ports as a mail program must be told of them.
func (n *node) mailServers() (all []webd.MailServer) {
	protos := map[string]string{"submission": "smtp", "submissions": "smtp", "pop3": "pop3", "pop3s": "pop3", "imap": "imap", "imaps": "imap"}
	for _, p := range n.ports {
		proto := protos[p.name]
		if proto == "" {
			continue
		}
		host, number, err := net.SplitHostPort(n.hostFor(p))
		number16, _ := strconv.Atoi(number)
		if err != nil {
			continue
		}
		security := "starttls"
		if p.secure {
			security = "tls"
		}
		all = append(all, webd.MailServer{Proto: proto, Host: host, Port: number16, Security: security})
	}
	return all
}

func (n *node) settings() (all []webd.Setting) {
	for _, k := range n.cfg.settings.keys() {
		all = append(all, webd.Setting{Name: k.name, Value: k.masked(), Origin: n.cfg.origin[k.name], Env: k.env(), Doc: k.doc})
	}
	return all
}

// examine is the doctor's view of this server, without the round trip: that
// needs somebody's password.
func (n *node) examine(ctx context.Context, lang string) (all []webd.Finding) {
	d := &doctor{program: &program{tongue: named(lang), getenv: func(string) (string, bool) { return "", false }}, cfg: n.cfg}
	d.examine(ctx)
	for _, f := range d.findings {
		all = append(all, webd.Finding{Group: f.Group, Grade: string(f.Grade), What: f.What, Why: f.Why, Next: f.Next})
	}
	return all
}

// setupLink is where the first administrator is made, while there is none.
func (n *node) setupLink(ctx context.Context) string {
	if n.pages == nil {
		return ""
	}
	link, err := n.pages.SetupLink(ctx)
	if err != nil || link == "" {
		return ""
	}
	for _, p := range n.ports {
		if p.browser {
			if u, err := url.Parse(p.name + "://" + n.hostFor(p) + link); err == nil {
				return u.String()
			}
		}
	}
	return ""
}
