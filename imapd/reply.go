package imapd

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// The response codes that go-imap has no name for. RFC 5530 §3, RFC 6154 §3
const (
	codeReadOnly      imap.ResponseCode = "READ-ONLY"
	codeExpungeIssued imap.ResponseCode = "EXPUNGEISSUED"
	codeUseAttr       imap.ResponseCode = "USEATTR"
)

const (
	textUnavailable  = "Something went wrong here; please try again later"
	textNotCanonical = "The message holds a bare CR or a NUL"
)

// words are what the client hears of an error it can do something about.
var words = []struct {
	err  error
	code imap.ResponseCode
	text string
}{
	{store.ErrBadCredentials, imap.ResponseCodeAuthenticationFailed, "Wrong address or password"},
	{auth.ErrThrottled, imap.ResponseCodeUnavailable, "Too many failed logins; please wait a while"},
	{auth.ErrUnknownMechanism, imap.ResponseCodeCannot, "Mechanism not offered"},
	{store.ErrOverQuota, imap.ResponseCodeOverQuota, "There is no room for this"},
	{store.ErrTooLarge, imap.ResponseCodeTooBig, "The message is too large"},
	{store.ErrNoSuchMailbox, imap.ResponseCodeNonExistent, "No such mailbox"},
	{store.ErrMailboxExists, imap.ResponseCodeAlreadyExists, "There is a mailbox of that name"},
	{store.ErrBadMailboxName, imap.ResponseCodeCannot, "Mailbox name not allowed"},
	{store.ErrHasChildren, imap.ResponseCodeHasChildren, "The mailbox has mailboxes below it"},
	{store.ErrExpunged, codeExpungeIssued, "Some of the messages are gone"},
	{store.ErrLimit, imap.ResponseCodeLimit, "Too many, or too long"},
	{store.ErrNotCanonical, imap.ResponseCodeCannot, textNotCanonical},
	{message.ErrNotCanonical, imap.ResponseCodeCannot, textNotCanonical},
	{message.ErrLineTooLong, imap.ResponseCodeCannot, "The message holds a line that is too long"},
}

// reply turns an error into what the client is told. An error that is none of
// its business becomes NO [UNAVAILABLE], and its text goes to the log only.
// It takes the last word in every method that the library calls, because the
// library sends the text of nothing but an *imap.Error.
func (s *session) reply(doing string, err error) error {
	if err == nil {
		return nil
	}
	var said *imap.Error
	if errors.As(err, &said) {
		return said
	}
	if errors.Is(err, auth.ErrMalformed) {
		return bad("Malformed authentication exchange")
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return no(w.code, w.text)
		}
	}
	if !hungUp(err) {
		s.log.Error("failed", "doing", doing, "err", err)
	}
	return no(imap.ResponseCodeUnavailable, textUnavailable)
}

// tryCreate is reply for the mailbox that APPEND, COPY or MOVE goes to.
// RFC 9051 §6.3.12
func (s *session) tryCreate(doing string, err error) error {
	if errors.Is(err, store.ErrNoSuchMailbox) {
		return no(imap.ResponseCodeTryCreate, "No such mailbox; it can be created")
	}
	return s.reply(doing, err)
}

// hungUp reports whether err only says that the client has gone, or is being
// sent away.
func hungUp(err error) bool {
	var timeout net.Error
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.As(err, &timeout)
}

func no(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

func bad(text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: text}
}
