package main

import (
	"io"
	"net"

	"github.com/yubin-mail/yubin/imapd"
	"github.com/yubin-mail/yubin/pop3d"
	"github.com/yubin-mail/yubin/smtpd"
)

// mailPorts are all listeners of mail, on or off.
func (n *node) mailPorts() []*port {
	c := n.cfg
	return []*port{
		{name: "smtp", address: c.SMTPAddr, refuse: say("421 4.7.0 too many connections, please try later"), server: n.smtp(smtpd.MX)},
		{name: "submission", address: c.SubmissionAddr, refuse: say("421 4.7.0 too many connections, please try later"), server: n.smtp(smtpd.Submission)},
		{name: "submissions", address: c.SubmissionsAddr, secure: true, server: n.smtp(smtpd.Submission)},
		{name: "pop3", address: c.POP3Addr, refuse: say("-ERR [SYS/TEMP] too many connections, please try later"), server: n.pop3},
		{name: "pop3s", address: c.POP3SAddr, secure: true, server: n.pop3},
		{name: "imap", address: c.IMAPAddr, refuse: say("* BYE [UNAVAILABLE] too many connections, please try later"), server: n.imap},
		{name: "imaps", address: c.IMAPSAddr, secure: true, server: n.imap},
	}
}

// say is how a caller beyond the limits is sent away.
func say(line string) func(net.Conn) {
	return func(c net.Conn) { io.WriteString(c, line+"\r\n") }
}

func (n *node) smtp(role smtpd.Role) func(portFacts) service {
	return func(f portFacts) service {
		return smtpd.New(smtpd.Config{
			Hostname:      n.cfg.Hostname,
			Role:          role,
			Store:         n.store,
			Auth:          n.auth,
			Limiter:       n.limiter,
			TLS:           f.tls,
			Secure:        f.secure,
			PlaintextOK:   f.plaintextOK,
			LoginOnMX:     n.cfg.Demo, // people who try things out use one port for all
			Relay:         n.cfg.RelayEnabled,
			Rewrite:       n.rewrite,
			Confirm:       n.notices.Delivered,
			Allowance:     n.allowance,
			Gate:          n.gate,
			Signer:        n.signer,
			MaxSize:       int64(n.cfg.MessageSize),
			MaxRecipients: n.cfg.Recipients,
			Log:           f.log,
		})
	}
}

func (n *node) pop3(f portFacts) service {
	return pop3d.New(pop3d.Config{
		Hostname:       n.cfg.Hostname,
		Store:          n.store,
		Auth:           n.auth,
		TLS:            f.tls,
		Secure:         f.secure,
		PlaintextOK:    f.plaintextOK,
		Log:            f.log,
		LoginDelay:     n.cfg.POP3LoginDelay,
		Implementation: "yubin-" + version(),
	})
}

func (n *node) imap(f portFacts) service {
	return imapd.New(imapd.Config{
		Hostname:    n.cfg.Hostname,
		Version:     version(),
		Store:       n.store,
		Auth:        n.auth,
		TLS:         f.tls,
		Secure:      f.secure,
		PlaintextOK: f.plaintextOK,
		MaxSize:     int64(n.cfg.MessageSize),
		Log:         f.log,
	})
}
