package relay

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Security says how a connection to another server must be protected.
type Security int

const (
	// Opportunistic: TLS where it is offered, whoever the server is, and in
	// clear otherwise (RFC 7435). A policy of the domain can ask for more.
	Opportunistic Security = iota
	// Plain: never TLS.
	Plain
	// Encrypted: TLS or nothing, whoever the server is.
	Encrypted
	// Verified: TLS and a certificate for the server's name, or nothing.
	Verified
)

var securityNames = map[string]Security{"opportunistic": Opportunistic, "none": Plain, "encrypted": Encrypted, "verified": Verified}

// ParseSecurity reads "opportunistic", "none", "encrypted" or "verified".
func ParseSecurity(s string) (Security, error) {
	if v, ok := securityNames[s]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("%q is not opportunistic, none, encrypted or verified", s)
}

// NextHop is a server that is named by configuration instead of by DNS.
type NextHop struct {
	Host     string // name or address; "" is the domain's own MX
	Port     int
	Security Security
	Implicit bool // TLS from the first byte (RFC 8314 §3.3)
	User     string
	Password string
}

// ParseNextHop reads "smtp://host:port", "smtps://host:port", "host:port",
// "host", or "direct", which is what DNS says. The ports are 25 and 465
// unless given. It leaves the login to the caller, and with it Security.
func ParseNextHop(s string) (NextHop, error) {
	if s == "direct" {
		return NextHop{}, nil
	}
	if !strings.Contains(s, "://") {
		s = "smtp://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return NextHop{}, fmt.Errorf("%q is not a server such as smtp://mail.example.test:587", s)
	}
	h := NextHop{Host: u.Hostname(), Port: 25}
	switch u.Scheme {
	case "smtp":
	case "smtps":
		h.Implicit, h.Port = true, 465
	default:
		return NextHop{}, fmt.Errorf("%q: servers are smtp:// or smtps://", s)
	}
	if p := u.Port(); p != "" {
		if h.Port, err = strconv.Atoi(p); err != nil || h.Port < 1 || h.Port > 65535 {
			return NextHop{}, fmt.Errorf("%q has no usable port", s)
		}
	}
	return h, nil
}

// host is the server that h names. A password never goes to a server that has
// not proven who it is, except on this machine.
func (h NextHop) host(minimum Security) host {
	to := host{name: strings.TrimSuffix(strings.ToLower(h.Host), "."), port: h.Port, security: max(h.Security, minimum), implicit: h.Implicit, user: h.User, password: h.Password}
	if addr, err := netip.ParseAddr(h.Host); err == nil {
		to.addr = addr.Unmap()
	}
	local := to.addr.IsLoopback() || to.name == "localhost"
	if h.User != "" && !local {
		to.security = Verified
	}
	if to.implicit {
		to.security = max(to.security, Encrypted)
	}
	return to
}

// key names the destination that hops are, for its connections.
func key(hops []NextHop) string {
	var b strings.Builder
	for _, h := range hops {
		b.WriteString(net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) + " " + h.User + " ")
	}
	return b.String()
}
