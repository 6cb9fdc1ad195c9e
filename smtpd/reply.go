package smtpd

import (
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// reply is an answer to a client. It is the library's error type, the only
// one whose text the library sends as it is; a success can be one too.
type reply = smtp.SMTPError

// answer makes a reply. The class of the enhanced code is that of the code, so
// the two cannot disagree (RFC 3463 §2).
func answer(code, subject, detail int, text string) *reply {
	return &reply{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, subject, detail}, Message: text}
}

// What we say ourselves.
var (
	okay        = answer(250, 0, 0, "OK")
	readyForTLS = answer(220, 0, 0, "Ready to start TLS")

	errShutdown  = answer(421, 3, 2, "The server is shutting down")
	errSentAway  = answer(421, 3, 2, "An administrator has closed this connection")
	errIdle      = answer(421, 4, 2, "No command came in time")
	errGivenUp   = answer(451, 5, 1, "The message was given up")
	errBrokenOff = answer(421, 4, 2, "The message broke off")
	errSlow      = answer(421, 4, 2, "The message came too slowly")
	errPatience  = answer(421, 7, 0, "Too many errors, please try again later")
	errLoginGone = answer(421, 7, 0, "Your account has changed, log in again")

	errLongLine      = answer(500, 5, 2, "Line too long")
	errControl       = answer(500, 5, 2, "Control character in a command")
	errBase64        = answer(501, 5, 2, "Not base64")
	errParameters    = answer(501, 5, 4, "Wrong number of parameters")
	errLongPath      = answer(501, 5, 4, "Path too long")
	errNoDSN         = answer(555, 5, 4, "DSN is not offered to you")
	errTwice         = answer(501, 5, 4, "A parameter was given twice")
	errChunkSize     = answer(501, 5, 4, "Without a chunk size nobody knows where commands go on")
	errChunkSyntax   = answer(501, 5, 4, "Want BDAT size, or BDAT size LAST")
	errNoAuth        = answer(502, 5, 1, "There is no login here")
	errNoTLS         = answer(502, 5, 1, "There is no TLS here")
	errSecureAlready = answer(503, 5, 1, "TLS is active already")
	errInTransaction = answer(503, 5, 1, "Not during a mail transaction")
	errNested        = answer(503, 5, 1, "A mail transaction is open already")
	errNoRecipients  = answer(503, 5, 1, "RCPT comes first")
	errBetweenChunks = answer(503, 5, 1, "Not between the chunks of a message")
	errLoginFirst    = answer(530, 7, 0, "Log in first")
	errInClear       = answer(530, 7, 10, "REQUIRETLS needs TLS from the beginning: STARTTLS comes first")
	errInjected      = answer(554, 5, 1, "Nothing may follow STARTTLS")

	errTooLarge      = answer(552, 3, 4, "The message is larger than this server takes")
	errHeaderSize    = answer(550, 6, 0, "The header is too large")
	errLoop          = answer(554, 4, 6, "The message has been going in circles")
	errNotUTF8       = answer(553, 6, 7, "An address outside ASCII needs SMTPUTF8, and valid UTF-8")
	errNotYours      = answer(550, 7, 1, "This sender address is not yours")
	errNoRelay       = answer(550, 7, 1, "This server does not relay to other domains")
	errNoDelivery    = answer(550, 7, 1, "Delivery to other servers is not set up on this system")
	errNoRewriting   = answer(550, 1, 8, "Mail from this sender address cannot be forwarded")
	errNoSeal        = answer(451, 4, 3, "The message's ARC chain cannot be checked at present, please try again later")
	errRecipientGone = answer(451, 2, 1, "A recipient has just been removed, please try again")
)

// words are what the errors of others mean to an SMTP client.
var words = []struct {
	err   error
	reply *reply
}{
	{store.ErrBadCredentials, answer(535, 7, 8, "Name or password is wrong")},
	{store.ErrNoSuchUser, answer(550, 1, 1, "There is no such user here")},
	{store.ErrNotLocal, errNoRelay},
	{store.ErrBadAddress, answer(553, 1, 3, "That is not a mail address")},
	{store.ErrOverQuota, answer(452, 2, 2, "The mailbox is full")},
	{store.ErrTooLarge, errTooLarge},
	{store.ErrNotCanonical, answer(550, 6, 0, "The message has a bare CR, a NUL, or a line end that others could take for its end")},
	{message.ErrNotCanonical, answer(550, 6, 0, "The message has a bare CR, a NUL, or a line end that others could take for its end")},
	{message.ErrLineTooLong, answer(554, 6, 0, "The message has a line of more than 64 KiB")},
	{store.ErrFull, answer(452, 3, 1, "The disk is full, please try again later")},
	{auth.ErrThrottled, answer(454, 7, 0, "Too many failed logins, please try again later")},
	{auth.ErrUnknownMechanism, answer(504, 5, 4, "There is no such mechanism here")},
	{auth.ErrMalformed, answer(501, 5, 2, "That is not how this mechanism goes")},
}

// other is the answer to an error that is none of the client's business.
var other = answer(451, 3, 0, "Something went wrong here, please try again later")

// replyTo turns any error into a reply; nil stays nil. The text of an error
// that is not one of ours goes to the log, with known false, and nowhere else.
func replyTo(err error) (r *reply, known bool) {
	if err == nil {
		return nil, true
	}
	if errors.As(err, &r) {
		return r, true
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return w.reply, true
		}
	}
	return other, false
}

// reply is what each method of a session returns. It hangs up after 421 and
// when the client has been refused too often.
func (s *session) reply(doing string, err error) error {
	r, known := replyTo(err)
	switch {
	case r == nil:
		return nil
	case !known, errors.Is(err, store.ErrFull): // somebody has to do something
		s.log.Error("failed", "doing", doing, "err", err)
	case r.Code >= 400 && doing != "AUTH": // failed logins log themselves
		s.log.Info("rejected", "doing", doing, "code", r.Code, "reason", r.Message)
	}
	if r.Code >= 500 {
		if s.conn.refusals++; s.conn.refusals > patience {
			r = errPatience
		}
	}
	if r.Code == errPatience.Code {
		s.conn.hangUp()
	}
	return r
}

// line is a reply as it goes over the wire.
func line(r *reply) string {
	return fmt.Sprintf("%d %d.%d.%d %s\r\n", r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
}
