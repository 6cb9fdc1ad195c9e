package transcript

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Stage is where a conversation is played.
type Stage struct {
	// Dial connects to the server that speaks a protocol, named as in the
	// file's open statement.
	Dial func(ctx context.Context, proto string) (net.Conn, error)
	// Setup is called with each line of the setup section. It may be nil
	// when there is none.
	Setup func(line string) error
	// TLS is for the tls statement. It may be nil when there is none.
	TLS *tls.Config
	// Timeout is how long one expected line may take; 0 is 5 s.
	Timeout time.Duration
	// Update makes an unexpected line no error but the new text of the S:
	// line, for File.Bytes to return. It does not reach lines after a skip,
	// which have nothing definite to be replaced by.
	Update bool
}

const (
	defaultTimeout = 5 * time.Second
	maxLine        = 1 << 20
	remembered     = 12 // lines of a conversation shown before a failing one
)

// Play plays f on the stage and returns the first thing that was not as
// written, as an *[Error], or nil.
func Play(ctx context.Context, f *File, stage Stage) error {
	if stage.Timeout == 0 {
		stage.Timeout = defaultTimeout
	}
	for _, line := range f.Setup {
		if stage.Setup == nil {
			return f.errorf(1, "the stage has no setup for %q", line)
		}
		if err := stage.Setup(line); err != nil {
			return f.errorf(1, "setup %q: %v", line, err)
		}
	}
	p := &player{
		file:     f,
		stage:    stage,
		conns:    make(map[string]*playedConn),
		captured: make(map[string]string),
	}
	defer p.closeAll()
	for i := range f.Talk {
		step := &f.Talk[i]
		if err := ctx.Err(); err != nil {
			return f.errorf(step.Line, "%v", err)
		}
		if err := p.play(ctx, step); err != nil {
			return f.errorf(step.Line, "%v%s", err, p.before())
		}
	}
	return nil
}

type player struct {
	file     *File
	stage    Stage
	conns    map[string]*playedConn
	captured map[string]string
	skipNext bool     // a skip without a name waits for the next S: line
	said     []string // the last lines of the conversation
}

type playedConn struct {
	net.Conn
	r    *bufio.Reader
	skip bool // lines may come before the next expected one
}

func (p *player) play(ctx context.Context, step *Step) error {
	if step.Verb == Open {
		return p.open(ctx, step)
	}
	if step.Verb == Skip && step.Conn == "" {
		p.skipNext = true
		return nil
	}
	c := p.conns[step.Conn]
	if c == nil {
		return fmt.Errorf("connection %q is not open", step.Conn)
	}
	switch step.Verb {
	case Skip:
		c.skip = true
		return nil
	case Send:
		return p.send(c, step)
	case Expect:
		if p.skipNext {
			p.skipNext, c.skip = false, true
		}
		err := p.expect(c, step)
		c.skip = false
		return err
	case TLS:
		return p.startTLS(ctx, c)
	case EOF:
		return p.waitForEOF(c)
	}
	delete(p.conns, step.Conn)
	if step.Verb == Drop {
		reset(c.Conn)
	}
	c.Close()
	return nil
}

func (p *player) open(ctx context.Context, step *Step) error {
	if p.conns[step.Conn] != nil {
		return fmt.Errorf("connection %q is open already", step.Conn)
	}
	ctx, cancel := context.WithTimeout(ctx, p.stage.Timeout)
	defer cancel()
	c, err := p.stage.Dial(ctx, step.Text)
	if err != nil {
		return fmt.Errorf("open %s: %w", step.Text, err)
	}
	p.conns[step.Conn] = &playedConn{Conn: c, r: bufio.NewReader(c)}
	return nil
}

func (p *player) send(c *playedConn, step *Step) error {
	var out []byte
	crlf := true
	for _, part := range step.parts {
		switch part.kind {
		case literal:
			out = append(out, part.text...)
		case content:
			out, crlf = p.file.files[part.text], false
		case capture:
			value, ok := p.captured[part.text]
			if !ok {
				return fmt.Errorf("nothing has been captured as {%s}", part.text)
			}
			out = append(out, value...)
		case noCRLF:
			crlf = false
		}
	}
	if crlf {
		out = append(out, "\r\n"...)
	}
	p.remember(step.Conn, "C: "+step.Text)
	c.SetWriteDeadline(time.Now().Add(p.stage.Timeout))
	_, err := c.Write(out)
	return err
}

// expect waits for the line of an S: step.
func (p *player) expect(c *playedConn, step *Step) error {
	c.SetReadDeadline(time.Now().Add(p.stage.Timeout))
	if whole, ok := p.wholeBytes(step); ok {
		return p.expectBytes(c, step, whole)
	}
	for {
		line, err := readLine(c.r)
		if err != nil {
			return fmt.Errorf("%s\n\twant S: %s", p.describe(err), p.filled(step))
		}
		text, complete := strings.CutSuffix(line, "\r\n")
		got := Quote(text)
		if !complete {
			got = Quote(line) + `\c`
		}
		p.remember(step.Conn, "S: "+got)
		if complete && p.match(step.parts, text) {
			return nil
		}
		if c.skip {
			continue
		}
		if p.stage.Update {
			p.file.rewrite(step, got)
			return nil
		}
		p.said = p.said[:len(p.said)-1]
		return fmt.Errorf("not the line expected\n\twant S: %s\n\tgot  S: %s", p.filled(step), got)
	}
}

// wholeBytes returns what an S: line expects when that is not a line: a file,
// or bytes without a line end.
func (p *player) wholeBytes(step *Step) (string, bool) {
	if len(step.parts) == 0 {
		return "", false
	}
	if step.parts[0].kind == content {
		return string(p.file.files[step.parts[0].text]), true
	}
	if step.parts[len(step.parts)-1].kind != noCRLF {
		return "", false
	}
	var b strings.Builder
	for _, part := range step.parts {
		if part.kind == capture {
			b.WriteString(p.captured[part.text])
		} else {
			b.WriteString(part.text)
		}
	}
	return b.String(), true
}

func (p *player) expectBytes(c *playedConn, step *Step, want string) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	got = got[:n]
	if err == nil && string(got) == want {
		p.remember(step.Conn, "S: "+step.Text)
		return nil
	}
	same := 0
	for same < n && got[same] == want[same] {
		same++
	}
	if err != nil && same == n {
		return fmt.Errorf("%s after %d of %d octets of %s", p.describe(err), n, len(want), step.Text)
	}
	around := func(b string) string { return Quote(b[max(0, same-30):min(len(b), same+30)]) }
	return fmt.Errorf("octet %d of %s differs\n\twant …%s…\n\tgot  …%s…", same, step.Text, around(want), around(string(got)))
}

// match compares a line with the parts of an S: step. A hole takes as little
// as it can, a capture at least one byte.
func (p *player) match(parts []part, text string) bool {
	if len(parts) == 0 {
		return text == ""
	}
	first, rest := parts[0], parts[1:]
	least := 0
	switch first.kind {
	case literal:
		after, ok := strings.CutPrefix(text, first.text)
		return ok && p.match(rest, after)
	case capture:
		if value, ok := p.captured[first.text]; ok {
			after, ok := strings.CutPrefix(text, value)
			return ok && p.match(rest, after)
		}
		least = 1
	}
	if len(rest) == 0 && first.kind == anything {
		return true
	}
	for end := least; end <= len(text); end++ {
		if first.kind == capture {
			p.captured[first.text] = text[:end]
		}
		if p.match(rest, text[end:]) {
			return true
		}
	}
	if first.kind == capture {
		delete(p.captured, first.text)
	}
	return false
}

// filled is the text of a step with the captures known so far.
func (p *player) filled(step *Step) string {
	text := step.Text
	for name, value := range p.captured {
		text = strings.ReplaceAll(text, "{"+name+"}", Quote(value))
	}
	return text
}

func (p *player) startTLS(ctx context.Context, c *playedConn) error {
	if p.stage.TLS == nil {
		return errors.New("the stage has no TLS")
	}
	if n := c.r.Buffered(); n > 0 {
		rest, _ := c.r.Peek(n)
		return fmt.Errorf("before the handshake came %q", rest)
	}
	ctx, cancel := context.WithTimeout(ctx, p.stage.Timeout)
	defer cancel()
	c.SetDeadline(time.Time{})
	t := tls.Client(c.Conn, p.stage.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
	return nil
}

func (p *player) waitForEOF(c *playedConn) error {
	c.SetReadDeadline(time.Now().Add(p.stage.Timeout))
	for {
		line, err := readLine(c.r)
		if errors.Is(err, io.EOF) && line == "" || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
		if err != nil && line == "" {
			return fmt.Errorf("waiting for the end: %s", p.describe(err))
		}
		if !c.skip && !p.skipNext {
			return fmt.Errorf("want the end of the connection\n\tgot S: %s", Quote(line))
		}
	}
}

func (p *player) describe(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("nothing came within %v", p.stage.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return err.Error()
}

func (p *player) remember(conn, line string) {
	if conn != "" {
		line = conn + " " + line
	}
	if len(p.said) == remembered {
		p.said = append(p.said[:0], p.said[1:]...)
	}
	p.said = append(p.said, line)
}

func (p *player) before() string {
	if len(p.said) == 0 {
		return ""
	}
	return "\n\tbefore that:\n\t\t" + strings.Join(p.said, "\n\t\t")
}

func (p *player) closeAll() {
	for _, c := range p.conns {
		c.Close()
	}
}

// readLine reads up to and including a line feed, or up to an error.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil {
			return string(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
		if len(line) > maxLine {
			return string(line), fmt.Errorf("a line of over %d octets: %s…", maxLine, Quote(string(bytes.TrimSpace(line[:80]))))
		}
	}
}

// reset makes the following Close reset the connection.
func reset(c net.Conn) {
	for c != nil {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // then it closes in the usual way
			return
		}
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		c = inner.NetConn()
	}
}
