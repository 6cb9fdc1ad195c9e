package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yubin-mail/yubin/internal/pki"
	"github.com/yubin-mail/yubin/store"
)

func (d *doctor) settings(context.Context) {
	from := d.cfg.file
	if from == "" {
		from = d.say("no file")
	}
	d.find(good, d.say("settings are valid (%s)", from), "", "")
	for _, w := range d.cfg.warnings {
		d.find(warning, w, d.say("A misspelt setting has no effect."), "yubin config print")
	}
	if d.live == nil {
		d.find(warning, d.say("no server runs on %s", d.cfg.DataDir), d.say("Mail can be neither received nor read."), "yubin serve")
		return
	}
	d.find(good, d.say("the server runs: pid %d, since %s", d.live.PID, d.live.Started.Local().Format("2006-01-02 15:04")), "", "")
}

// addresses are the listeners by name, in the order of the registry.
func (d *doctor) addresses() (names []string, configured map[string]string) {
	configured = map[string]string{}
	for _, k := range d.cfg.settings.keys() {
		if name, ok := strings.CutSuffix(k.name, ".addr"); ok {
			names = append(names, name)
			configured[name] = k.shown()
		}
	}
	return names, configured
}

// ports calls at every listener of a running server, or sees whether a
// server to be started would get them.
func (d *doctor) ports(ctx context.Context) {
	names, configured := d.addresses()
	for _, name := range names {
		if d.live != nil {
			if d.live.Listeners[name] != "" && name != "admin" {
				d.call(ctx, name)
			}
			continue
		}
		address := configured[name]
		if address == "" {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err == nil {
			l.Close()
			d.find(good, d.say("%s can listen on %s", name, address), "", "")
			continue
		}
		what := d.say("%s cannot listen on %s: %s", name, address, d.explain(err))
		if owner := portOwner(address); owner != "" {
			what = d.say("%s cannot listen on %s: in use by %s", name, address, owner)
		}
		variable := "YUBIN_" + strings.ToUpper(name) + "_ADDR"
		d.find(bad, what, d.say("The server does not start while a port is taken."),
			d.say("stop that program, or choose another port: %s=%s", variable, another(address)))
	}
	if d.live != nil {
		if err := probe(ctx, *d.live); err != nil {
			d.find(bad, d.say("the health check fails: %s", d.explain(err)), d.say("Containers restart a server that looks ill."), "yubin healthcheck")
		} else {
			d.find(good, d.say("the health check answers"), "", "")
		}
	}
}

// another is the same address with a port that is less likely to be taken.
func another(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if len(port) >= 4 {
		port = "2" + port[1:]
	} else {
		port = "2" + fmt.Sprintf("%03s", port)
	}
	return net.JoinHostPort(host, port)
}

// greetings are what a healthy server begins with.
var greetings = map[string]string{
	"smtp": "220", "submission": "220", "submissions": "220", "pop3": "+OK", "pop3s": "+OK", "imap": "* OK", "imaps": "* OK",
	"http": "HTTP/1", "https": "HTTP/1",
}

// call connects to a listener and reads its greeting.
func (d *doctor) call(ctx context.Context, name string) {
	address := d.live.reach(name)
	started := time.Now()
	line, err := d.greeting(ctx, name, address)
	switch {
	case err != nil:
		d.find(bad, d.say("%s at %s: %s", name, address, d.explain(err)), d.say("Clients of this protocol cannot connect."), d.say("look into the server's log"))
	case !strings.HasPrefix(line, greetings[name]):
		d.find(bad, d.say("%s at %s answers %q", name, address, line), d.say("Clients of this protocol are sent away."), d.say("look into the server's log"))
	default:
		d.find(good, d.say("%s answers at %s in %s", name, address, short(time.Since(started))), "", "")
	}
}

func (d *doctor) greeting(ctx context.Context, name, address string) (string, error) {
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if implicitTLS(name) {
		// Whether the certificate is any good is looked at elsewhere.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if strings.HasPrefix(name, "http") { // here the client speaks first
		if _, err := io.WriteString(conn, "HEAD /login HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
			return "", err
		}
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func implicitTLS(name string) bool {
	return slices.Contains([]string{"submissions", "pop3s", "imaps", "https"}, name)
}

const (
	littleSpace = 1e9
	noSpace     = 100e6
)

func (d *doctor) storage(ctx context.Context) {
	dir := d.cfg.DataDir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.find(warning, d.say("%s does not exist yet", dir), d.say("There is no mail store."), "yubin serve")
		return
	}
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".doctor-*"); err == nil {
			probe.Close()
			os.Remove(probe.Name())
		}
	}
	if err != nil {
		d.find(bad, d.say("%s cannot be written: %s", dir, err), d.say("No mail can be kept."), fmt.Sprintf("chown -R \"$(id -u)\" %s", dir))
		return
	}
	d.find(good, d.say("%s can be written", dir), "", "")
	if info.Mode().Perm()&0o077 != 0 {
		d.find(warning, d.say("%s can be read by others on this machine", dir), d.say("It holds everybody's mail."), "chmod 700 "+dir)
	}
	d.space(dir)
	if _, err := os.Stat(dir + "/yubin.db"); err != nil {
		d.find(warning, d.say("there is no mail store in %s yet", dir), "", "yubin serve")
		return
	}
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		d.find(bad, d.say("the mail store does not open: %s", d.explain(err)), d.say("No mail can be kept."), d.say("restore the newest backup if the file is damaged"))
		return
	}
	defer s.Close()
	started := time.Now()
	if err := s.IntegrityCheck(ctx); err != nil {
		d.find(bad, d.say("the mail store is damaged: %s", err), d.say("Mail may be lost; it gets worse with use."), d.say("stop the server and restore the newest backup"))
	} else {
		d.find(good, d.say("the mail store is whole (checked in %s)", short(time.Since(started))), "", "")
	}
	users, err := s.Users(ctx)
	switch {
	case err != nil:
		d.find(bad, d.say("users cannot be read: %s", d.explain(err)), "", "")
	case len(users) == 0:
		d.find(warning, d.say("there are no users yet"), d.say("All mail is refused."), "yubin user add alice@example.test")
	default:
		d.find(good, d.say("users: %d", len(users)), "", "")
	}
}

func (d *doctor) space(dir string) {
	var fsys unix.Statfs_t
	if unix.Statfs(dir, &fsys) != nil {
		return
	}
	free := size(int64(fsys.Bavail) * int64(fsys.Bsize))
	what := d.say("free space: %s", free.rough())
	switch {
	case free < noSpace:
		d.find(bad, what, d.say("Mail is refused when the disk is full."), "df -h "+dir)
	case free < littleSpace:
		d.find(warning, what, d.say("Mail is refused when the disk is full."), "df -h "+dir)
	default:
		d.find(good, what, "", "")
	}
}

// leaf is the server's certificate.
func (d *doctor) leaf() (*x509.Certificate, error) {
	if d.cfg.TLSCert == "" {
		return pki.Current(tlsDir(d.cfg))
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.TLSCert, d.cfg.TLSKey)
	return pair.Leaf, err
}

func (d *doctor) tls(context.Context) {
	next := "yubin serve"
	if d.cfg.TLSCert != "" {
		next = d.say("renew %s; the server reads it again by itself", d.cfg.TLSCert)
	}
	leaf, err := d.leaf()
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.cfg.TLSCert == "":
		d.find(skipped, d.say("no certificate yet: the first start makes one"), "", "yubin serve")
		return
	case err != nil:
		d.find(bad, d.say("the certificate cannot be used: %s", err), d.say("No client can connect by TLS."), next)
		return
	}
	left := time.Until(leaf.NotAfter)
	until := leaf.NotAfter.Local().Format("2006-01-02")
	switch {
	case left <= 0:
		d.find(bad, d.say("the certificate ended on %s", until), d.say("Clients refuse to connect."), next)
	case left < 14*24*time.Hour:
		d.find(warning, d.say("the certificate ends on %s", until), d.say("Clients refuse to connect after that."), next)
	default:
		d.find(good, d.say("the certificate is valid until %s", until), "", "")
	}
	if err := leaf.VerifyHostname(d.cfg.Hostname); err != nil {
		d.find(warning, d.say("the certificate is not for %s", d.cfg.Hostname), d.say("Clients that use this name refuse to connect."), d.say("restart the server, or correct hostname"))
	}
	if d.cfg.TLSCert == "" {
		d.find(good, d.say("it is signed by this server's own authority; a client must be told to trust that once"), "", "yubin cert export --out yubin-ca.pem")
	}
}

// exposure looks for what strangers could use.
func (d *doctor) exposure(context.Context) {
	wide := d.beyondLoopback()
	demo := d.cfg.Demo || d.live != nil && d.live.Demo
	switch {
	case demo && len(wide) > 0:
		d.find(warning, d.say("the demonstration listens beyond this machine: %s", strings.Join(wide, ", ")),
			d.say("Its passwords are known to everybody; this is safe only where something else keeps strangers out."), "unset YUBIN_DEMO_EXPOSED")
	case d.cfg.AllowPlaintext && len(wide) > 0:
		d.find(bad, d.say("passwords are accepted without TLS beyond this machine: %s", strings.Join(wide, ", ")),
			d.say("Whoever is on the way can read them."), "unset YUBIN_AUTH_ALLOW_PLAINTEXT")
	case len(wide) == 0:
		d.find(good, d.say("only this machine can connect"), "", "")
	default:
		d.find(good, d.say("passwords pass only under TLS"), "", "")
	}
	_, configured := d.addresses()
	admin := configured["admin"]
	if d.live != nil {
		admin = d.live.Listeners["admin"]
	}
	if host, _, err := net.SplitHostPort(admin); err == nil && !isLoopback(host) {
		d.find(warning, d.say("the admin listener is open to others: %s", admin), d.say("It shows numbers about the server to everybody."), "YUBIN_ADMIN_ADDR=127.0.0.1:8026")
	}
}

func (d *doctor) beyondLoopback() (wide []string) {
	names, addresses := d.addresses()
	if d.live != nil {
		addresses = d.live.Listeners
	}
	for _, name := range names {
		host, _, err := net.SplitHostPort(addresses[name])
		if err == nil && name != "admin" && !isLoopback(host) {
			wide = append(wide, name)
		}
	}
	return wide
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
