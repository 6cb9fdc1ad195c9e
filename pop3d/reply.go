package pop3d

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

// The response codes we send (RFC 2449 §8, RFC 3206 §4 and §5).
const (
	codeNone       = ""
	codeAuth       = "AUTH"        // the credentials are wrong
	codeInUse      = "IN-USE"      // another session has the maildrop
	codeLoginDelay = "LOGIN-DELAY" // logged in too soon after the last time
	codeTemp       = "SYS/TEMP"    // ours to mend: do not ask for a new password
)

// A reply is what a verb returns. The session's loop writes it, in the
// session's language: that is the only place that does.
type reply struct {
	ok   bool
	code string // response code without its brackets
	text phrase
	args []any // for text

	// body writes what follows the status line of a multi-line reply, up to
	// and without the final dot; nil for a single line. It is called once
	// whatever happened to the status line, so it may own something to close.
	body func(*bufio.Writer) error

	hangup bool         // close the connection after this reply
	mute   bool         // say nothing: the other side is gone or must not hear more
	then   func() error // runs once the reply has been sent; an error closes
}

func ok(p phrase, args ...any) reply { return reply{ok: true, text: p, args: args} }

func fail(code string, p phrase, args ...any) reply {
	return reply{code: code, text: p, args: args}
}

// hangingUp is r as the last reply of its connection.
func (r reply) hangingUp() reply { r.hangup = true; return r }

// gone ends a session without a word.
var gone = reply{mute: true, hangup: true}

// status is the reply's first line, without its end.
func (r reply) status(l *language) string {
	indicator := "-ERR "
	if r.ok {
		indicator = "+OK "
	}
	if r.code != codeNone {
		indicator += "[" + r.code + "] "
	}
	return indicator + fmt.Sprintf(r.text.in(l), r.args...)
}

// words turns an error of the store or of a login into POP3's words. What it
// does not know is our own fault and temporary: the client hears [SYS/TEMP]
// (RFC 3206 §4) and nothing of the error's text.
func words(err error) reply {
	switch {
	case errors.Is(err, store.ErrBadCredentials):
		return fail(codeAuth, badCredentials)
	case errors.Is(err, auth.ErrMalformed):
		return fail(codeNone, saslMalformed)
	case errors.Is(err, auth.ErrUnknownMechanism):
		return fail(codeNone, mechanismUnknown)
	case errors.Is(err, auth.ErrThrottled):
		// Not [AUTH]: the password may be right, we just did not look.
		return fail(codeTemp, tooManyFailures)
	case errors.Is(err, store.ErrMaildropBusy):
		return fail(codeInUse, maildropInUse)
	case errors.Is(err, store.ErrExpunged):
		return fail(codeNone, noSuchMessage)
	}
	return fail(codeTemp, temporarily)
}

// failure is words for an error of the store, which the log gets in full.
func (s *session) failure(err error) reply {
	r := words(err)
	if r.text == temporarily {
		s.log.Error("failed", "verb", s.verb, "err", err)
	}
	return r
}
