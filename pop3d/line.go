package pop3d

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yubin-mail/yubin/internal/listen"
)

const (
	// maxCommand counts the end of the line too (RFC 2449 §4).
	maxCommand = 255
	// maxResponse is for the lines of a SASL exchange, which may be longer
	// than commands (RFC 5034 §4): more than the longest name and password
	// that anybody can have here take in base64.
	maxResponse = 4096
	// maxFlood is how much of a line that is too long we read to find its
	// end.
	maxFlood = 64 << 10
)

var (
	errLineTooLong = errors.New("line too long")
	errFlood       = errors.New("line without an end")
	errInterrupted = errors.New("interrupted")
	errNotText     = errors.New("not printable UTF-8")
)

// readLine returns the next line without its end: CRLF, or LF alone, for
// people who type. Before it waits for the client it sends the replies
// collected so far; while a whole line is in the buffer already it does
// neither (RFC 2449 §6.6).
//
// A line longer than limit octets is read to its end, so that the rest of it
// never runs as a command, and is errLineTooLong beside how it began.
func (s *session) readLine(limit int) (string, error) {
	if err := s.await(); err != nil {
		return "", err
	}
	line, err := s.in.ReadSlice('\n')
	beginning := string(line[:min(len(line), limit)])
	whole := err == nil && len(line) <= limit
	for n := len(line); errors.Is(err, bufio.ErrBufferFull); n += len(line) {
		if n > maxFlood {
			return "", errFlood
		}
		line, err = s.in.ReadSlice('\n')
	}
	switch {
	case err != nil && s.isInterrupted():
		return "", errInterrupted
	case err != nil:
		return "", err
	case !whole:
		return beginning, errLineTooLong
	}
	return strings.TrimSuffix(beginning[:len(beginning)-1], "\r"), nil
}

// await sends what we owe and sets the time by which the client must speak,
// unless it has spoken already.
func (s *session) await() error {
	waiting, _ := s.in.Peek(s.in.Buffered())
	if bytes.IndexByte(waiting, '\n') >= 0 {
		if s.isInterrupted() {
			return errInterrupted
		}
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	deadline := time.Now().Add(s.IdleTimeout)
	if s.drop == nil && s.loginBy.Before(deadline) {
		deadline = s.loginBy
	}
	return s.readBy(deadline)
}

// readBy limits the time that reads may take, unless the session has been
// told to end: then they may not start.
func (s *session) readBy(deadline time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupted != nil {
		return errInterrupted
	}
	return s.raw.SetReadDeadline(deadline)
}

// interrupt makes a session that waits for its client stop waiting, and one
// that works stop after the command it is at; last is what it says then. Any
// goroutine may call it.
func (s *session) interrupt(last reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupted == nil {
		s.interrupted = &last
	}
	s.raw.SetReadDeadline(time.Unix(1, 0))
}

func (s *session) isInterrupted() bool { return s.lastReply() != nil }

func (s *session) lastReply() *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.interrupted
}

// sendAway interrupts one session. Nothing is removed: only QUIT does that.
func (s *session) sendAway(why listen.Reason) {
	last := fail(codeTemp, sentAway)
	if why == listen.Revoked {
		last = fail(codeAuth, accessEnded)
	}
	s.interrupt(last)
}

// unread is the reply to no line.
func (s *session) unread(err error) reply {
	switch {
	case errors.Is(err, errLineTooLong):
		return s.bad(fail(codeNone, lineTooLong))
	case errors.Is(err, errInterrupted):
		return s.lastReply().hangingUp()
	}
	// The client has gone, or has been silent for so long that the session
	// ends without a response (RFC 1939 §3).
	s.log.Debug("connection ended", "err", err)
	return gone
}

// A command is a line taken apart.
type command struct {
	verb string // upper case
	rest string // after one space
}

// parse takes a line apart. Keywords and arguments are printable ASCII
// (RFC 1939 §3) or, in user names and passwords, UTF-8 (RFC 6856 §2.2).
func parse(line string) (command, error) {
	if !utf8.ValidString(line) || strings.IndexFunc(line, unicode.IsControl) >= 0 {
		return command{}, errNotText
	}
	verb, rest, _ := strings.Cut(line, " ")
	return command{upper(verb), rest}, nil
}

// args are the arguments for v, or false when v does not take that many.
func (c command) args(v verb) ([]string, bool) {
	if v.max == wholeLine {
		return []string{c.rest}, c.rest != ""
	}
	args := strings.FieldsFunc(c.rest, func(r rune) bool { return r == ' ' })
	return args, v.min <= len(args) && len(args) <= v.max
}

// upper is strings.ToUpper for a keyword: of ASCII letters only, because
// other letters can become one (U+017F upper-cases to S).
func upper(keyword string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, keyword)
}
