package relay

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is a mail server that behaves as a test says.
type peer struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config // offers STARTTLS
	implicit bool
	offers   []string // EHLO keywords
	// on answers a command: a reply without CRLF, or one of the words below;
	// "" is the usual answer. The stages are CONNECT, each verb, BODY (before
	// a message is read) and END (after it).
	on func(s *session, stage, line string) string

	mu       sync.Mutex
	mails    []taken
	sessions int
	commands []string
	open     map[net.Conn]bool
	running  sync.WaitGroup
	begin    sync.Once
	stopped  chan struct{} // closed by stop
	end      sync.Once
}

// What a peer can do instead of answering.
const (
	drop  = "\x00drop"  // close the connection
	hang  = "\x00hang"  // say nothing until the other side goes
	raw   = "\x00raw:"  // send the rest as it is
	flood = "\x00flood" // send lines without end
	stall = "\x00stall" // do not even read until the test ends
	drip  = "\x00drip"  // send an octet now and then, never a whole line
)

// session is one connection to a peer.
type session struct {
	*peer
	net.Conn
	in   *bufio.Reader
	tls  bool
	from string
	to   []string
	n    int // mails
}

// taken is a mail that a peer has taken.
type taken struct {
	from string
	to   []string
	text string
	tls  bool
}

func newPeer(t *testing.T, on func(s *session, stage, line string) string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, listener: l, on: on, open: make(map[net.Conn]bool), stopped: make(chan struct{}), offers: []string{"PIPELINING", "8BITMIME", "SIZE 10000000", "DSN", "SMTPUTF8"}}
	t.Cleanup(p.stop)
	return p
}

// addr is where the peer is; from then on it serves, and is not changed.
func (p *peer) addr() string {
	p.begin.Do(func() { p.running.Go(p.accept) })
	return p.listener.Addr().String()
}

func (p *peer) stop() {
	p.end.Do(func() { close(p.stopped) })
	p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *peer) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.open[c] = true
		p.sessions++
		p.mu.Unlock()
		p.running.Go(func() {
			defer func() {
				c.Close()
				p.mu.Lock()
				delete(p.open, c)
				p.mu.Unlock()
			}()
			s := &session{peer: p, Conn: c}
			if p.implicit && !s.startTLS() {
				return
			}
			s.in = bufio.NewReader(s.Conn)
			s.serve()
		})
	}
}

func (p *peer) got() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.mails...)
}

func (p *peer) count() (sessions int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions
}

// heard are all commands so far, of all connections.
func (p *peer) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.commands...)
}

func (s *session) startTLS() bool {
	c := tls.Server(s.Conn, s.peer.tls)
	if err := c.Handshake(); err != nil {
		return false
	}
	s.Conn, s.tls, s.in = c, true, bufio.NewReader(c)
	return true
}

// answer plays a stage; false ends the connection.
func (s *session) answer(stage, line, usual string) (text string, ok bool) {
	if s.on != nil {
		text = s.on(s, stage, line)
	}
	switch {
	case text == "":
		text = usual
	case text == drop:
		return "", false
	case text == hang:
		_, _ = io.Copy(io.Discard, s.Conn)
		return "", false
	case text == flood:
		for {
			if _, err := s.Write([]byte("250-" + strings.Repeat("and more ", 50) + "\r\n")); err != nil {
				return "", false
			}
		}
	case text == drip:
		pace := time.NewTicker(soon / 20)
		defer pace.Stop()
		for {
			if _, err := s.Write([]byte("2")); err != nil {
				return "", false
			}
			<-pace.C
		}
	case strings.HasPrefix(text, raw):
		_, err := s.Write([]byte(text[len(raw):]))
		return "", err == nil
	}
	_, err := s.Write([]byte(text + "\r\n"))
	return text, err == nil
}

func (s *session) serve() {
	if _, ok := s.answer("CONNECT", "", "220 peer.test ESMTP"); !ok {
		return
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return
		}
		if !strings.HasSuffix(line, "\r\n") {
			s.t.Errorf("a command ends in a bare LF: %q", line)
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		usual := "250 2.0.0 ok"
		switch verb {
		case "EHLO":
			all := append([]string{"peer.test hello"}, s.offers...)
			if s.peer.tls != nil && !s.tls {
				all = append(all, "STARTTLS")
			}
			usual = ""
			for i, l := range all {
				if i < len(all)-1 {
					usual += "250-" + l + "\r\n"
				} else {
					usual += "250 " + l
				}
			}
		case "STARTTLS":
			usual = "220 2.0.0 go"
		case "RCPT":
			if s.from == "" {
				usual = "503 5.5.1 MAIL comes first"
			}
		case "DATA":
			usual = "354 go"
			if len(s.to) == 0 {
				usual = "554 5.5.1 no recipients"
			}
		case "QUIT":
			usual = "221 2.0.0 bye"
		}
		text, ok := s.answer(verb, line, usual)
		if !ok {
			return
		}
		good := strings.HasPrefix(text, "2")
		switch {
		case verb == "MAIL" && good:
			s.from, s.to = line, nil
		case verb == "RCPT" && good:
			s.to = append(s.to, line)
		case verb == "RSET":
			s.from, s.to = "", nil
		case verb == "STARTTLS" && good:
			if !s.startTLS() {
				return
			}
		case verb == "QUIT":
			return
		case verb == "DATA" && strings.HasPrefix(text, "354"):
			if !s.message() {
				return
			}
		}
	}
}

func (s *session) message() bool {
	if s.on != nil {
		switch s.on(s, "BODY", "") {
		case drop:
			return false
		case hang:
			_, _ = io.Copy(io.Discard, s.Conn)
			return false
		case stall:
			<-s.stopped
			return false
		case "":
		default:
			s.t.Error("BODY can only drop or hang")
		}
	}
	var b strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return false
		}
		if !strings.HasSuffix(line, "\r\n") || strings.Contains(line[:len(line)-2], "\r") {
			s.t.Errorf("a line of the message has a bare CR or LF: %q", line)
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	text, ok := s.answer("END", "", "250 2.0.0 taken")
	if strings.HasPrefix(text, "250") {
		s.n++
		s.mu.Lock()
		s.mails = append(s.mails, taken{s.from, s.to, b.String(), s.tls})
		s.mu.Unlock()
	}
	s.from, s.to = "", nil
	return ok
}
