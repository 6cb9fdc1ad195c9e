package webd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// What is sent from the browser obeys what submission obeys: the author is
// the user, each recipient exists or may be relayed to and has room, not too
// many are elsewhere, and the message is canonical and signed. Then it enters the store by the same door.

// refusal is a recipient who cannot be sent to, and why.
type refusal struct {
	Address string
	err     error
}

func (r *refusal) Error() string { return fmt.Sprintf("to %q: %v", r.Address, r.err) }
func (r *refusal) Unwrap() error { return r.err }

// resolve finds out who gets a letter of size octets.
func (s *Server) resolve(ctx context.Context, to []message.Address, size int64) ([]store.Recipient, error) {
	var all []store.Recipient
	for _, a := range to {
		found, err := s.resolveOne(ctx, a, size)
		if err != nil {
			return nil, &refusal{addressText(a), err}
		}
		all = append(all, found...)
	}
	return all, nil
}

// admit finds out whether a user may send a letter of size octets, and takes
// those elsewhere from the allowance: whoever is named counts, sent or not.
func (s *Server) admit(ctx context.Context, u store.User, to []message.Address, size int64) error {
	found, err := s.resolve(ctx, to, size)
	if err != nil {
		return err
	}
	var elsewhere []int
	for _, r := range found {
		if r.User == 0 {
			elsewhere = append(elsewhere, 1)
		}
	}
	return s.Allowance.Spend(u, elsewhere...)
}

func (s *Server) resolveOne(ctx context.Context, a message.Address, size int64) ([]store.Recipient, error) {
	address := requoted(a)
	found, err := s.Store.Resolve(ctx, address)
	if errors.Is(err, store.ErrNotLocal) && strings.EqualFold(address, "postmaster@"+s.Hostname) {
		found, err = s.Store.Resolve(ctx, "postmaster")
	}
	if errors.Is(err, store.ErrNotLocal) && s.Relay {
		remote, err := inEnvelope(a)
		if err != nil {
			return nil, err
		}
		return []store.Recipient{{Address: address, Remote: remote}}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if r.User == 0 {
			if !s.Relay { // an alias that leads elsewhere
				return nil, store.ErrNotLocal
			}
			continue
		}
		if err := s.Store.RoomFor(ctx, r.User, size); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// requoted writes an address as an envelope has it (RFC 5321 §4.1.2).
func requoted(a message.Address) string {
	return message.QuotedLocal(a.Mailbox) + "@" + a.Host
}

// inEnvelope is an address with its domain in the one form that DNS knows. It
// answers store.ErrBadAddress.
func inEnvelope(a message.Address) (string, error) {
	domain, err := store.CanonicalDomain(a.Host)
	a.Host = domain
	return requoted(a), err
}

// author is the user as From has them.
func author(u store.User) message.Address {
	a := message.Address{Name: strings.TrimSpace(u.Name)}
	a.Mailbox, a.Host = cutAddress(u.Address)
	return a
}

// put writes a letter into a spool, which the caller closes.
func (s *Server) put(l *letter) (*store.Spool, error) {
	spool := s.Store.NewSpool()
	err := l.write(&bounded{w: spool, left: s.MaxSize})
	if err != nil {
		spool.Close()
		return nil, err
	}
	return spool, nil
}

// bounded takes at most left octets.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, store.ErrTooLarge
	}
	return b.w.Write(p)
}

// text is a message's octets to be read in any order and from the start.
type text interface {
	io.ReaderAt
	store.Source
}

// post sends a user's message from one of their addresses: whole when it
// returns nil, else not at all. The mail has gone by HTTP so far; from here on
// it goes as all mail does.
func (s *Server) post(ctx context.Context, u store.UserID, from message.Address, to []message.Address, mail text) error {
	sender, err := s.sender(ctx, u, from)
	if err != nil {
		return err
	}
	recipients, err := s.resolve(ctx, to, mail.Size())
	if err != nil {
		return err
	}
	var signatures []byte
	if s.Signer != nil {
		signatures, err = s.Signer.Sign(ctx, sender[strings.LastIndexByte(sender, '@')+1:], mail, mail.Size())
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	return s.accept(ctx, sender, to, recipients, signatures, mail)
}

// sender is an address of From as the envelope has it. It answers
// errNotYours when it is not the user's.
func (s *Server) sender(ctx context.Context, u store.UserID, from message.Address) (string, error) {
	may, err := s.Store.MaySend(ctx, u, requoted(from))
	if err != nil || !may {
		return "", errors.Join(err, errNotYours)
	}
	return inEnvelope(from)
}

// greet delivers a message that the server has written itself to a user.
func (s *Server) greet(ctx context.Context, u store.User, mail store.Source) error {
	return s.accept(ctx, "", []message.Address{author(u)}, []store.Recipient{{Address: u.Address, User: u.ID}}, nil, mail)
}

// accept is the one door through which mail from the browser enters the
// store. head are fields to stand above it, besides those of the trace.
func (s *Server) accept(ctx context.Context, sender string, to []message.Address, recipients []store.Recipient, head []byte, mail store.Source) error {
	id := strings.ToLower(rand.Text()[:16])
	head = append([]byte("Return-Path: <"+sender+">\r\n"+s.received(id, to)), head...)
	wide := func(r rune) bool { return r > unicode.MaxASCII }
	utf8 := strings.ContainsFunc(sender, wide)
	for _, r := range recipients {
		utf8 = utf8 || strings.ContainsFunc(r.Remote, wide)
	}
	accepted, err := s.Store.Accept(ctx, store.Delivery{Sender: sender, Recipients: recipients, Body: store.Prefix(head, mail), UTF8: utf8})
	if err != nil {
		return err
	}
	s.Log.Info("accepted", "proto", "http", "id", id, "from", sender, "to", len(to), "copies", len(accepted.Delivered), "size", accepted.Size)
	return nil
}

// keepSent puts a copy of what was sent where the user's other clients keep
// theirs.
func (s *Server) keepSent(ctx context.Context, u store.UserID, body store.Source) error {
	sent, err := s.use(ctx, u, `\Sent`)
	if err != nil {
		return err
	}
	_, _, err = s.Store.Append(ctx, sent.ID, []store.Appended{{Flags: store.Flags{System: store.Seen}, Body: body}})
	return err
}

// received is the trace field of a mail that began in a browser. It does not
// tell where the browser was (RFC 5321 §4.4 leaves "from" to SMTP).
func (s *Server) received(id string, to []message.Address) string {
	var b bytes.Buffer
	b.WriteString("Received: by " + s.Hostname + " with HTTP id " + id)
	if len(to) == 1 { // others could be blind copies (RFC 5321 §7.2)
		b.WriteString("\r\n\tfor <" + requoted(to[0]) + ">")
	}
	b.WriteString(";\r\n\t" + message.NewDate(s.Now()) + "\r\n")
	return b.String()
}
