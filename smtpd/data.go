package smtpd

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// Data takes the message. It comes from the connection itself: the library's
// reader has only its end.
func (s *session) Data(io.Reader) error {
	defer s.conn.endMessage()
	return s.reply("DATA", s.data(s.conn.message()))
}

func (s *session) data(r io.Reader) error {
	spool := s.Store.NewSpool()
	defer spool.Close()
	var header headerBlock
	body := message.NewCanonicalReader(&limited{r: r, left: s.MaxSize, rest: s.MaxSize})
	if _, err := io.Copy(io.MultiWriter(&header, spool), body); err != nil {
		// The client hears of it after its whole message.
		if _, late := io.Copy(io.Discard, body); late != nil {
			err = late
		}
		if errors.Is(err, errEndless) {
			s.conn.say(errTooLarge)
			_ = s.conn.abandon(err)
		}
		return err
	}
	if header.received >= maxReceived {
		return errLoop
	}
	results, kept, err := s.authenticate(spool)
	if err != nil {
		return err
	}
	head, id := s.trace(results)
	switch {
	case s.login != nil:
		if err := s.checkAuthor(&header); err != nil {
			return err
		}
		missing := message.AddMissing(header.octets, s.Hostname, s.Now())
		signatures, err := s.sign(&header, missing, kept)
		if err != nil {
			return err
		}
		head = append(append(head, signatures...), missing...)
	case results != nil:
		head = append(append(head, s.tx.seal...), results.Header()...)
	}
	if kept.isOrphaned() {
		head = append(head, "X-Orphaned-Line:\r\n"...)
	}
	s.tx.Body = store.Prefix(head, kept)
	accepted, err := s.keep(results)
	if err != nil {
		return err
	}
	s.conn.refusals = 0
	s.log.Info("accepted", "id", id, "from", s.tx.Sender, "to", len(s.tx.given), "copies", len(accepted.Delivered), "size", accepted.Size, "junk", s.tx.Junk)
	return answer(250, 0, 0, "OK "+id)
}

// maxReceived is how many hosts a message may have passed (RFC 5321 §6.3).
const maxReceived = 100

// trace makes Return-Path and Received, and the name the message has in both
// the latter and the log. The results are nil when nobody has looked.
func (s *session) trace(r *mailauth.Results) (head []byte, id string) {
	id = strings.ToLower(rand.Text()[:16])
	t := message.Trace{
		ReturnPath: s.tx.Sender,
		Hello:      s.tx.hello,
		HELO:       !s.tx.extended,
		Host:       s.Hostname,
		TLS:        s.tls(),
		Auth:       s.login != nil,
		UTF8:       s.tx.UTF8,
		ID:         id,
		Time:       s.Now(),
	}
	if remote, err := netip.ParseAddrPort(s.conn.RemoteAddr().String()); err == nil {
		t.Remote = remote.Addr()
	}
	if r != nil {
		t.ReverseName = r.IPRev.Name
	}
	if len(s.tx.given) == 1 { // others could be blind copies (RFC 5321 §7.2)
		t.For = s.tx.given[0]
	}
	return t.Header(), id
}

// checkAuthor checks what a user puts into a header: one From with one
// address, which is theirs, and no field twice that readers might then read
// differently (RFC 5322 §3.6, RFC 6409 §6.1).
func (s *session) checkAuthor(h *headerBlock) error {
	if h.cut {
		return answer(550, 6, 0, "The header has more than 64 KiB")
	}
	for _, name := range []string{"From", "Sender", "Date", "Subject", "Message-ID", "Content-Type"} {
		if len(message.Field(h.octets, name)) > 1 {
			return answer(550, 6, 0, "The message has more than one "+name)
		}
	}
	if len(h.octets) > 0 && (h.octets[0] == ' ' || h.octets[0] == '\t') { // it would continue a field of ours
		return answer(550, 6, 0, "The header begins in the middle of a field")
	}
	if obsoleteFrom(h.octets) {
		return answer(550, 6, 0, "Nothing may stand between From and its colon")
	}
	from := message.Field(h.octets, "From")
	if len(from) == 0 {
		return answer(550, 6, 0, "The message has no From")
	}
	author := message.ParseAddresses(from[0], 2)
	if len(author) != 1 || author[0].Host == "" {
		return answer(550, 6, 0, "From must have exactly one address")
	}
	authors := author
	if sender := message.Field(h.octets, "Sender"); len(sender) == 1 {
		authors = append(authors, message.ParseAddresses(sender[0], 2)...)
	}
	for _, a := range authors {
		ok, err := s.Store.MaySend(s.ctx, s.login.user.ID, requoted(a.Mailbox+"@"+a.Host))
		if err != nil {
			return err
		}
		if !ok {
			return answer(550, 7, 1, "The address in From or Sender is not yours")
		}
	}
	return nil
}

// obsoleteFrom finds "From :", which some readers take for a From and others
// do not (RFC 5322 §4.5.2).
func obsoleteFrom(header []byte) bool {
	for line := range bytes.Lines(header) {
		name, _, ok := bytes.Cut(line, []byte(":"))
		if ok && len(name) > 4 && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("from")) {
			return true
		}
	}
	return false
}

// headerBlock is a Writer that watches a canonical message go by and keeps
// the first message.MaxHeader octets of its header.
type headerBlock struct {
	octets   []byte
	cut      bool // there was more
	received int  // Received fields, all of them

	line []byte // the beginning of the current line
	over bool   // the header has ended
}

func (h *headerBlock) Write(p []byte) (int, error) {
	for piece := range bytes.Lines(p) {
		if h.over {
			break
		}
		const enough = 64 // for a field's name
		h.line = append(h.line, piece[:min(len(piece), enough-min(enough, len(h.line)))]...)
		room := min(len(piece), message.MaxHeader-len(h.octets))
		h.octets = append(h.octets, piece[:room]...)
		h.cut = h.cut || room < len(piece)
		if piece[len(piece)-1] == '\n' {
			h.endLine()
		}
	}
	return len(p), nil
}

func (h *headerBlock) endLine() {
	name, _, ok := bytes.Cut(h.line, []byte(":"))
	if ok && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("received")) {
		h.received++
	}
	h.over = string(h.line) == "\r\n"
	h.line = h.line[:0]
}

// errEndless: the message is so far beyond the limit that waiting for its end
// makes no sense.
var errEndless = fmt.Errorf("%w, and does not end", store.ErrTooLarge)

// limited reads a message of at most left octets. It reads a larger one to
// its end, then answers store.ErrTooLarge, unless it has more than rest
// octets besides.
type limited struct {
	r          io.Reader
	left, rest int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left >= 0 || err != nil && err != io.EOF {
		return n, err
	}
	switch more, err := io.Copy(io.Discard, io.LimitReader(l.r, l.rest)); {
	case err != nil:
		return 0, err
	case more == l.rest:
		return 0, errEndless
	}
	return 0, store.ErrTooLarge
}
