package listen

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// ErrHTTP is what Read returns once a client has turned out to speak HTTP.
var ErrHTTP = errors.New("the client speaks HTTP")

// maxFirstLine is how much of a first line is looked at.
const maxFirstLine = 4096

// HTTPGuard returns a listener whose connections are closed when the first
// line of the client is an HTTP request. A web page can make a browser send
// such a request to any port, with a body of its own choosing; a mail server
// that merely calls the header lines bad commands would run that body.
//
// Later lines are the protocol packages' business: see [IsHTTP].
func HTTPGuard(l net.Listener) net.Listener { return &guardListener{l} }

type guardListener struct{ net.Listener }

func (l *guardListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guard{Conn: c}
	if s, ok := c.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return &tlsGuard{g, s.ConnectionState}, nil
	}
	return g, nil
}

// guard watches the first line go by. What comes before the line's end is
// passed on at once: no server acts on half a line.
type guard struct {
	net.Conn
	line []byte // of the first line, what has come
	done bool   // the first line is over
}

// tlsGuard is a guard whose inner connection knows TLS.
type tlsGuard struct {
	*guard
	state func() tls.ConnectionState
}

func (g *tlsGuard) ConnectionState() tls.ConnectionState { return g.state() }

// NetConn returns the connection beneath.
func (g *guard) NetConn() net.Conn { return g.Conn }

func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if g.done || n == 0 {
		return n, err
	}
	first, _, over := bytes.Cut(b[:n], []byte("\n"))
	g.line = append(g.line, first[:min(len(first), maxFirstLine-len(g.line))]...)
	if IsHTTP(g.line) {
		g.Conn.Close()
		return 0, ErrHTTP
	}
	if over || len(g.line) == maxFirstLine {
		g.done, g.line = true, nil
	}
	return n, err
}

// httpMethods are those a browser can send, and the preface of HTTP/2.
var httpMethods = []string{
	"GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "CONNECT ", "PATCH ", "TRACE ", "PRI ",
}

// IsHTTP reports whether a command line is an HTTP request line. The line
// may lack its end. A method alone is not enough, because any word may be an
// IMAP tag: a path, a URL or a version must follow.
func IsHTTP(line []byte) bool {
	for _, method := range httpMethods {
		rest, ok := bytes.CutPrefix(line, []byte(method))
		if !ok {
			continue
		}
		s := strings.TrimLeft(string(rest), " ")
		return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "http://") ||
			strings.HasPrefix(s, "https://") || strings.Contains(s, " HTTP/")
	}
	return false
}
