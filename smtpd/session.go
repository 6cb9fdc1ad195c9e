package smtpd

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/yubin-mail/yubin/internal/listen"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// session answers the commands of one connection. The library makes one at
// the first EHLO, and calls its methods one after another.
type session struct {
	conn *conn
	smtp *smtp.Conn // for the client's name in EHLO
	log  *slog.Logger
	Config

	ctx    context.Context // in a struct because the library passes none; ends with the session
	cancel context.CancelFunc

	login *login       // nil until somebody has logged in
	tx    *transaction // nil outside of one
}

// login is who has logged in. The generation tells when that is over.
type login struct {
	user       store.User
	generation int64
}

// transaction is one message on its way (RFC 5321 §3.3).
type transaction struct {
	store.Delivery
	given    []string // the forward-paths as they were accepted
	size     int64    // as declared; 0 is unknown
	hello    string
	extended bool // the client has said EHLO
	dsn      store.DSN
	declined []string // forward-paths whose sender does not want to hear of failures
	confirm  confirmations
	forwards string // our domain whose alias leads elsewhere, or ""
	seal     []byte // ARC fields for mail that is forwarded
}

func newSession(c *smtp.Conn) *session {
	own := c.Conn().(*conn)
	s := &session{conn: own, smtp: c, log: own.log, Config: own.server.config}
	s.ctx, s.cancel = context.WithCancel(own.server.ctx)
	return s
}

// Reset ends the transaction, whatever it has come to.
func (s *session) Reset() {
	s.tx = nil
	s.conn.recipients = 0
	s.conn.busy.Store(false)
	s.conn.peer.SetState(s.state())
}

// state is how far the session is outside of a transaction.
func (s *session) state() listen.State {
	if s.login == nil {
		return listen.Connected
	}
	return listen.Authenticated
}

// Logout ends the session.
func (s *session) Logout() error {
	s.cancel()
	return nil
}

// Mail begins a transaction. RFC 5321 §4.1.1.2. A path may be longer than the
// 256 octets of §4.5.3.1.3, which senders with a name for each recipient do not
// keep to, as long as the trace fields can hold it.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	return s.reply("MAIL", s.mail(requoted(from), o))
}

func (s *session) mail(from string, o *smtp.MailOptions) error {
	// RFC 5321 §4.1.4. The library would take it, and keep to itself the
	// recipients that it has heard of.
	if s.tx != nil {
		return errNested
	}
	if s.login == nil && s.Role == Submission {
		return errLoginFirst
	}
	if len(from) > message.MaxPath {
		return errLongPath
	}
	if !isText(from, o.UTF8) {
		return errNotUTF8
	}
	if (o.Return != "" || o.EnvelopeID != "") && !s.conn.offersDSN() {
		return errNoDSN
	}
	if o.RequireTLS && !s.conn.isSecure() {
		return errInClear
	}
	if s.login != nil {
		if err := s.maySend(from); err != nil {
			return err
		}
	}
	s.tx = &transaction{
		Delivery: store.Delivery{Sender: from, UTF8: o.UTF8, RequireTLS: o.RequireTLS},
		size:     o.Size,
		hello:    s.smtp.Hostname(),
		extended: s.conn.extended,
		dsn:      store.DSN{Return: string(o.Return), EnvelopID: o.EnvelopeID},
	}
	s.conn.busy.Store(true)
	s.conn.peer.SetState(listen.Transaction)
	return nil
}

// maySend checks a reverse-path against who has logged in (RFC 6409 §6.1).
// The null one is everybody's: read receipts are sent with it.
func (s *session) maySend(from string) error {
	switch g, err := s.Store.Generation(s.ctx, s.login.user.ID); {
	case errors.Is(err, store.ErrNoSuchUser), errors.Is(err, store.ErrBadCredentials), err == nil && g != s.login.generation:
		return errLoginGone
	case err != nil:
		return err
	}
	if from == "" {
		return nil
	}
	ok, err := s.Store.MaySend(s.ctx, s.login.user.ID, from)
	if err == nil && !ok {
		err = errNotYours
	}
	return err
}

// Rcpt adds a recipient. RFC 5321 §4.1.1.3.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	return s.reply("RCPT", s.rcpt(requoted(to), o))
}

func (s *session) rcpt(to string, o *smtp.RcptOptions) error {
	if len(to) > message.MaxPath {
		return errLongPath
	}
	if !isText(to, s.tx.UTF8) {
		return errNotUTF8
	}
	if (o.Notify != nil || o.OriginalRecipient != "") && !s.conn.offersDSN() {
		return errNoDSN
	}
	if !s.Limiter.MayName(s.conn.RemoteAddr()) {
		return errPatience
	}
	found, err := s.resolve(to)
	if err != nil {
		return err
	}
	for i, r := range found {
		if r.User == 0 {
			if err := s.forward(to, &found[i]); err != nil {
				return err
			}
			continue
		}
		// One full mailbox refuses the whole alias: later nobody could tell
		// the sender that one of them got nothing.
		if err := s.Store.RoomFor(s.ctx, r.User, s.tx.size); err != nil {
			return err
		}
	}
	if err := s.mayEnter(to); err != nil {
		return err
	}
	if err := s.afford(found); err != nil {
		return err
	}
	dsn := s.tx.dsn
	dsn.Notify = joined(o.Notify)
	if o.OriginalRecipient != "" {
		dsn.Original = strings.ToLower(string(o.OriginalRecipientType)) + ";" + o.OriginalRecipient
	}
	if dsn.Notify != "" && !wants(dsn.Notify, "FAILURE") {
		s.tx.declined = append(s.tx.declined, to)
	}
	s.notify(to, dsn, found)
	for _, r := range found {
		s.tx.Recipients = append(s.tx.Recipients, r)
		if r.User != 0 {
			s.tapRecipient(to, r.User)
		}
	}
	s.tx.given = append(s.tx.given, to)
	s.conn.recipients = len(s.tx.given)
	return nil
}

// resolve finds out whose a forward-path is.
func (s *session) resolve(to string) ([]store.Recipient, error) {
	found, err := s.Store.Resolve(s.ctx, to)
	if errors.Is(err, store.ErrNotLocal) && strings.EqualFold(to, "postmaster@"+s.Hostname) {
		found, err = s.Store.Resolve(s.ctx, "postmaster")
	}
	if back, ours := s.reversed(to); ours {
		return back, nil
	}
	switch {
	case errors.Is(err, store.ErrNoSuchUser):
		s.Limiter.UnknownRecipient(s.ctx, s.conn.RemoteAddr())
	case errors.Is(err, store.ErrNotLocal) && s.mayRelay():
		return elsewhere(to)
	case errors.Is(err, store.ErrNotLocal) && s.login != nil:
		err = errNoDelivery
	}
	return found, err
}

// mayRelay reports whether mail for other domains is taken.
func (s *session) mayRelay() bool { return s.Relay && s.login != nil }

// elsewhere is a recipient in another domain. What the local part means is
// known there only (RFC 5321 §2.3.11), so it stays as it is.
func elsewhere(to string) ([]store.Recipient, error) {
	at := strings.LastIndexByte(to, '@')
	domain, err := store.CanonicalDomain(to[at+1:])
	if err != nil || at < 1 {
		return nil, store.ErrBadAddress
	}
	return []store.Recipient{{Address: to, Remote: to[:at+1] + domain}}, nil
}

// requoted writes an address as RFC 5321 §4.1.2 does: the library takes the
// quotes off the local part, so that "a@b"@c looks like something else.
func requoted(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	return message.QuotedLocal(address[:at]) + address[at:]
}

// isText reports whether an address is ASCII, or UTF-8 where that has been
// agreed (RFC 6531 §3.4).
func isText(address string, allowUTF8 bool) bool {
	if allowUTF8 {
		return utf8.ValidString(address)
	}
	return !strings.ContainsFunc(address, func(r rune) bool { return r >= utf8.RuneSelf })
}

func joined(notify []smtp.DSNNotify) string {
	var words []string
	for _, n := range notify {
		words = append(words, string(n))
	}
	return strings.Join(words, ",")
}
