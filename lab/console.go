package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/wiretap"
)

// Console is one connection on which a person types what a mail program would
// say. It reaches the servers of its run alone, and only for the accounts of
// its run: what could be a login or a recipient must name one of them, in the
// plainest form there is.
type Console struct {
	conn    *conversation
	account Account
	others  []string // addresses that mail may be for
	typed   int
	wrong   int // passwords that were not the account's
	reading sync.WaitGroup

	mu    sync.Mutex
	spoke chan struct{} // closed and renewed when the server has said something
}

// Errors of a console.
var (
	ErrNotAllowed = errors.New("not allowed in the lab's console")
	ErrOffline    = errors.New("the device has no network")
	ErrNoLine     = errors.New("not one line of text")
	ErrTooMuch    = errors.New("that is enough for one run")
)

const (
	maxTyped    = 300 // lines
	maxWrong    = 3   // passwords, because all devices of the lab come from one address
	maxTypedLen = 900 // octets of one, so that no server takes it for two
)

// Stand-ins that a person types for the account of the run.
const (
	StandInUser     = "{user}"
	StandInPassword = "{password}"
)

// Connect opens the console on a protocol (smtp, pop3 or imap) for a lane's
// account. One that is open is closed.
func (p *Player) Connect(proto string, column Column) error {
	address := map[string]string{"smtp": p.play.server.SMTP, "pop3": p.play.server.POP3, "imap": p.play.server.IMAP}[proto]
	i := slices.IndexFunc(p.stages, func(st *stage) bool { return st.column == column })
	if address == "" || i < 0 {
		return ErrNoSuchThing
	}
	if p.console != nil {
		p.console.Close()
	}
	conn, err := p.play.recorder.open(p.ctx, Words{"You", "あなた"}, column, proto, address)
	if err != nil {
		return err
	}
	conn.console = true
	c := &Console{conn: conn, account: p.stages[i].account, spoke: make(chan struct{})}
	for _, st := range p.stages {
		c.others = append(c.others, st.account.Address, st.bob.Address)
	}
	if p.console != nil {
		c.typed, c.wrong = p.console.typed, p.console.wrong
	}
	p.console = c
	c.reading.Go(c.read)
	c.settle(p.ctx, 0)
	return p.survey()
}

// Type sends one line, and waits a moment for what the server says to it.
func (p *Player) Type(line string) error {
	c := p.console
	if c == nil || c.conn.closed() {
		return ErrNoSuchThing
	}
	if c.typed++; c.typed > maxTyped {
		return fmt.Errorf("%d lines: %w", maxTyped, ErrTooMuch)
	}
	if err := c.allows(line); err != nil {
		return err
	}
	upper := strings.ToUpper(line)
	login := c.conn.proto == "pop3" && strings.Contains(upper, "PASS") || c.conn.proto == "imap" && strings.Contains(upper, "LOGIN")
	if login && !strings.HasSuffix(line, StandInPassword) {
		if c.wrong++; c.wrong > maxWrong {
			return fmt.Errorf("wrong passwords: %w", ErrTooMuch)
		}
	}
	line = strings.ReplaceAll(line, StandInUser, c.account.Address)
	line = strings.ReplaceAll(line, StandInPassword, c.account.Password)
	p.before = p.Board()
	said := c.said()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.Close() // what was said stays to be read
		return nil
	}
	if c.answers(line) {
		c.settle(p.ctx, said)
	}
	return p.act(func() error { return nil })
}

// answers reports whether the server has something to say to a line. To the
// lines of a letter it has not.
func (c *Console) answers(line string) bool {
	if c.conn.proto != "smtp" || line == "." {
		return true
	}
	for _, l := range slices.Backward(c.conn.lines()) {
		if l.Dir == wiretap.Server {
			return !strings.HasPrefix(l.Text, "354")
		}
	}
	return true
}

// allows refuses what is none of the run's business. It is stricter than the
// servers: a login or a recipient in any form but the plain one is refused.
func (c *Console) allows(line string) error {
	if len(line) > maxTypedLen || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ErrNoLine
	}
	upper := strings.ToUpper(line)
	for _, word := range []string{"AUTH", "APOP", "STARTTLS", "STLS", "PROXY", "XCLIENT"} {
		if strings.Contains(upper, word) {
			return fmt.Errorf("%s: %w", word, ErrNotAllowed)
		}
	}
	fields := strings.Split(line, " ")
	mine := func(name string) bool {
		return name == StandInUser || strings.EqualFold(strings.Trim(name, `"`), c.account.Address)
	}
	switch {
	case strings.HasPrefix(upper, "USER") && c.conn.proto == "pop3":
		if len(fields) != 2 || !mine(fields[1]) {
			return fmt.Errorf("USER: %w", ErrNotAllowed)
		}
	case strings.Contains(upper, "LOGIN") && c.conn.proto == "imap":
		if len(fields) != 4 || !strings.EqualFold(fields[1], "LOGIN") || !mine(fields[2]) || strings.Contains(line, "{") && !plainLogin(fields) {
			return fmt.Errorf("LOGIN: %w", ErrNotAllowed)
		}
	case c.conn.proto == "smtp" && strings.Contains(upper, "RCPT"):
		to, ok := strings.CutPrefix(upper, "RCPT TO:<")
		to, closed := strings.CutSuffix(to, ">")
		ours := func(a string) bool { return strings.EqualFold(a, to) }
		if !ok || !closed || !strings.EqualFold(to, StandInUser) && !slices.ContainsFunc(c.others, ours) {
			return fmt.Errorf("RCPT: %w", ErrNotAllowed)
		}
	case c.conn.proto == "smtp" && (strings.Contains(upper, "VRFY") || strings.Contains(upper, "EXPN") || strings.Contains(upper, "BDAT")):
		return ErrNotAllowed
	}
	return nil
}

// plainLogin reports that the only braces are those of our stand-ins, and not
// the announcement of a literal.
func plainLogin(fields []string) bool {
	return !strings.Contains(fields[2], "{") && fields[3] == StandInPassword ||
		fields[2] == StandInUser && (fields[3] == StandInPassword || !strings.Contains(fields[3], "{"))
}

func (c *Console) read() {
	b := make([]byte, 16<<10)
	for {
		n, err := c.conn.Read(b)
		if n > 0 {
			c.mu.Lock()
			close(c.spoke)
			c.spoke = make(chan struct{})
			c.mu.Unlock()
		}
		if err != nil {
			c.conn.Close()
			c.mu.Lock()
			close(c.spoke)
			c.spoke = make(chan struct{})
			c.mu.Unlock()
			return
		}
	}
}

// said counts the lines of the server.
func (c *Console) said() (n int) {
	for _, line := range c.conn.lines() {
		if line.Dir == wiretap.Server {
			n++
		}
	}
	return n
}

// settle waits until the server has said more than it had, and then for a
// moment of silence.
func (c *Console) settle(ctx context.Context, had int) {
	limit := time.NewTimer(2 * time.Second)
	defer limit.Stop()
	for {
		c.mu.Lock()
		spoke := c.spoke
		c.mu.Unlock()
		var quiet <-chan time.Time
		if c.said() > had || c.conn.closed() {
			quiet = time.After(settle)
		}
		select {
		case <-spoke:
		case <-quiet:
			return
		case <-limit.C:
			return // some lines have no answer, such as those of a letter
		case <-ctx.Done():
			return
		}
	}
}

// Close hangs up and waits for the reader.
func (c *Console) Close() {
	c.conn.Close()
	c.reading.Wait()
}

var _ net.Conn = (*conversation)(nil)

// Commands are what can be typed in a protocol, with what it means: for
// completion.
func Commands(proto string) map[string]Words { return commands[grammar(proto)] }
