package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This client is our own, and strict: whoever answers is a stranger. Replies
// are bounded in the length of lines and in their number; one deadline covers
// a whole reply, however slowly it comes; and what has been said before we
// asked is never taken for an answer.

// Bounds on a reply. RFC 5321 §4.5.3.1.5 asks for 512 octets in a line.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
)

// Timeouts are those of RFC 5321 §4.5.3.2; zero values are what it says.
type Timeouts struct {
	Connect   time.Duration // of TCP and of the TLS handshake; 0 is 30 seconds
	Greeting  time.Duration // 0 is 5 minutes
	Command   time.Duration // 0 is 5 minutes
	DataStart time.Duration // for the reply to DATA; 0 is 2 minutes
	DataBlock time.Duration // for each piece we write; 0 is 3 minutes
	DataEnd   time.Duration // for the reply to the whole mail; 0 is 10 minutes
	// Idle is how long a connection waits for more mail; 0 is 2 seconds.
	Idle time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	for p, d := range map[*time.Duration]time.Duration{
		&t.Connect: 30 * time.Second, &t.Greeting: 5 * time.Minute, &t.Command: 5 * time.Minute,
		&t.DataStart: 2 * time.Minute, &t.DataBlock: 3 * time.Minute, &t.DataEnd: 10 * time.Minute, &t.Idle: 2 * time.Second,
	} {
		if *p == 0 {
			*p = d
		}
	}
	return t
}

// What a server does that ends a connection.
var (
	errUnsolicited = errors.New("it spoke before it was asked")
	errLongReply   = errors.New("its reply was too long")
	errNoReply     = errors.New("its reply was not SMTP")
)

// conn is a connection to a server, ready for mail.
type conn struct {
	nc       net.Conn
	in       *bufio.Reader
	out      *bufio.Writer // of messages
	host     host
	level    level
	id       string
	log      *slog.Logger
	timeouts Timeouts
	hostname string // ours

	extensions map[string]string // by keyword, upper case; nil after HELO
	tls        *tls.ConnectionState
	proven     bool // the certificate has been verified
	sent       int  // mails
	broken     bool
	release    func() bool // stops watching the context
}

func (c *conn) use(nc net.Conn) {
	c.nc = nc
	c.in = bufio.NewReaderSize(nc, maxReplyLine)
	c.out = bufio.NewWriterSize(nc, 32<<10)
}

// quit ends the connection, politely when that costs nothing.
func (c *conn) quit() {
	if !c.broken {
		_ = c.nc.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.nc.Write([]byte("QUIT\r\n")); err == nil {
			_, _ = c.readReply() // so that our closing does not cut off its reply
		}
	}
	c.broken = true
	c.release()
	c.nc.Close()
}

// write sends commands. Nothing may have been said that was not asked for.
func (c *conn) write(timeout time.Duration, text string) error {
	if c.in.Buffered() > 0 {
		return errUnsolicited
	}
	_ = c.nc.SetDeadline(time.Now().Add(timeout)) // a closed connection fails below
	_, err := c.nc.Write([]byte(text))
	return err
}

// ask sends one command and reads its reply.
func (c *conn) ask(timeout time.Duration, format string, args ...any) (reply, error) {
	line := fmt.Sprintf(format, args...)
	if strings.ContainsAny(line, "\r\n\x00") {
		return reply{}, errors.New("a command would have become two")
	}
	if err := c.write(timeout, line+"\r\n"); err != nil {
		return reply{}, err
	}
	return c.readReply()
}

// readReply reads one reply under the deadline that is set.
func (c *conn) readReply() (reply, error) {
	var r reply
	for range maxReplyLines {
		line, err := c.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return r, errLongReply
		case err != nil:
			return r, err
		}
		code, text, last, err := parseReplyLine(strings.TrimRight(string(line), "\r\n"))
		if err != nil || r.code != 0 && code != r.code {
			return r, errNoReply
		}
		r.code = code
		r.lines = append(r.lines, text)
		if last {
			return r, nil
		}
	}
	return r, errLongReply
}

func parseReplyLine(line string) (code int, text string, last bool, err error) {
	if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" || line[0] < '2' || line[0] > '5' {
		return 0, "", false, errNoReply
	}
	code, err = strconv.Atoi(line[:3])
	if err != nil {
		return 0, "", false, errNoReply
	}
	last = true
	if len(line) > 3 {
		if line[3] != ' ' && line[3] != '-' {
			return 0, "", false, errNoReply
		}
		last, text = line[3] == ' ', readable(line[4:])
	}
	return code, text, last, nil
}

// readable is text of a stranger that may stand in a log and in a mail.
func readable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\ufffd', r == '\u2028', r == '\u2029':
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// gone is the verdict of a connection that has ended before its time.
func (c *conn) gone(err error, doing string) *verdict {
	c.broken = true
	v := later("4.2", "the connection to %s failed while %s: %s", c.host.name, doing, reason(err))
	v.lost = true
	return v
}

// reason is an error of the network without addresses and file descriptors.
func reason(err error) string {
	var timeout net.Error
	var number syscall.Errno
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return "this server is stopping"
	case errors.Is(err, io.EOF):
		return "it was closed"
	case errors.As(err, &number):
		return number.Error()
	}
	return readable(err.Error())
}

// hello introduces us and learns what the server can do.
func (c *conn) hello() *verdict {
	r, err := c.ask(c.timeouts.Command, "EHLO %s", c.hostname)
	if err != nil {
		return c.gone(err, "saying EHLO")
	}
	c.extensions = nil
	switch {
	case r.code == 250:
		c.extensions = make(map[string]string)
		for _, line := range r.lines[1:] {
			keyword, params, _ := strings.Cut(line, " ")
			c.extensions[strings.ToUpper(keyword)] = params
		}
	case r.code/100 == 5:
		// RFC 5321 §3.2: it may be a server without extensions.
		if r, err = c.ask(c.timeouts.Command, "HELO %s", c.hostname); err != nil {
			return c.gone(err, "saying HELO")
		}
		if r.code != 250 {
			return c.refused(r, "0.0")
		}
	default:
		return c.refused(r, "0.0")
	}
	if name, _, _ := strings.Cut(r.lines[0], " "); strings.EqualFold(name, c.hostname) {
		return never("4.6", "mail for %s would come back: the server has our own name", c.host.name)
	}
	return nil
}

func (c *conn) offers(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}
