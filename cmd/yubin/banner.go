package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// banner greets the person who has started the server: where it is, as
// addresses to paste, and what to type next. Programs read the log instead.
func (p *program) banner(ctx context.Context, n *node) {
	if !isTerminal(p.out) && !n.cfg.Demo {
		if link := n.setupLink(ctx); link != "" { // worth nothing after the next start
			n.log.Warn("there is no administrator yet: the link makes one, once", "link", link)
		}
		return
	}
	users, err := n.store.Users(ctx)
	if err != nil {
		return
	}
	address, secret, example := "you@"+firstOr(n.cfg.Domains, "example.test"), "", ""
	if n.cfg.Demo {
		address, secret = demoUsers[0].Address, demoUsers[0].Password
	} else if len(users) > 0 {
		address = users[0].Address
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", p.say("yubin %s keeps mail in %s", version(), n.cfg.DataDir))
	for _, port := range n.ports {
		host := n.hostFor(port)
		use, withLogin := p.use(port.name)
		u := url.URL{Scheme: port.name, Host: host}
		if port.browser {
			u.Path = "/"
		}
		if withLogin {
			u.User = url.User(address)
			if secret != "" {
				u.User = url.UserPassword(address, secret)
			}
		}
		switch port.name {
		case "submission":
			u.Scheme = "smtp"
		case "submissions":
			u.Scheme = "smtps"
		}
		fmt.Fprintf(&b, "  %-52s %s\n", u.String(), use)
		if port.name == "pop3" {
			example = fmt.Sprintf("curl pop3://%s/1 -u %s:%s", host, address, firstOr([]string{secret}, "PASSWORD"))
		}
	}
	if link := n.setupLink(ctx); link != "" {
		fmt.Fprintf(&b, "  %-52s %s\n", link, p.say("the first administrator, once"))
	}
	fmt.Fprintf(&b, "\n%s\n", p.say("Next:"))
	us, suffix := asTyped(os.Args[0]), n.flagsForOthers()
	switch {
	case n.cfg.Demo:
		fmt.Fprintf(&b, "  echo %s | %s send --to %s --subject %s%s\n", p.say("hello"), us, address, p.say("hello"), suffix)
		if example != "" {
			fmt.Fprintf(&b, "  %s\n", example)
		}
		fmt.Fprintf(&b, "  %s tail%s\n", us, suffix)
	case len(users) == 0:
		fmt.Fprintf(&b, "  %s user add %s%s\n", us, address, suffix)
	default:
		fmt.Fprintf(&b, "  %s doctor%s\n", us, suffix)
	}
	fmt.Fprintln(p.out, b.String())
}

// asTyped is how the program that was started as name is started again: by its
// name alone where a shell would find it.
func asTyped(name string) string {
	short := filepath.Base(name)
	if _, err := exec.LookPath(short); err == nil {
		return short
	}
	return name
}

// use is what a port is for, and whether one logs in there.
func (p *program) use(port string) (use string, login bool) {
	switch port {
	case "http", "https":
		return p.say("webmail and compare lab"), false
	case "smtp":
		return p.say("receives mail from other servers"), false
	case "submission":
		return p.say("sends your mail (STARTTLS)"), true
	case "submissions":
		return p.say("sends your mail (TLS)"), true
	case "pop3":
		return p.say("downloads mail (POP3)"), true
	case "pop3s":
		return p.say("downloads mail (POP3, TLS)"), true
	case "imap":
		return p.say("reads mail on the server (IMAP)"), true
	}
	return p.say("reads mail on the server (IMAP, TLS)"), true
}

// hostFor is where a client finds a port: this machine for a demonstration
// and for loopback, else the server's name.
func (n *node) hostFor(p *port) string {
	host := n.cfg.Hostname
	if n.cfg.Demo || onLoopback(p.listener) {
		host = "localhost"
	}
	_, number, _ := net.SplitHostPort(p.listener.Addr().String())
	return net.JoinHostPort(host, number)
}

// flagsForOthers are the flags with which another command finds this server.
func (n *node) flagsForOthers() string {
	if strings.HasPrefix(n.cfg.origin["data_dir"], "flag") {
		return " --data-dir " + n.cfg.DataDir
	}
	return ""
}

func firstOr(list []string, otherwise string) string {
	if len(list) > 0 && list[0] != "" {
		return list[0]
	}
	return otherwise
}
