package pop3d

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

func TestErrorsBecomeWords(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{store.ErrBadCredentials, "-ERR [AUTH] wrong user name or password"},
		{auth.ErrThrottled, "-ERR [SYS/TEMP] too many failed logins, try again later"},
		{auth.ErrMalformed, "-ERR malformed authentication exchange"},
		{auth.ErrUnknownMechanism, "-ERR no such SASL mechanism here"},
		{store.ErrMaildropBusy, "-ERR [IN-USE] another session is using this maildrop"},
		{store.ErrExpunged, "-ERR no such message"},
		{store.ErrFull, "-ERR [SYS/TEMP] temporary failure, try again later"},
		{store.ErrClosed, "-ERR [SYS/TEMP] temporary failure, try again later"},
		{errors.New("secret path"), "-ERR [SYS/TEMP] temporary failure, try again later"},
	} {
		if got := words(fmt.Errorf("wrapped: %w", test.err)).status(&english); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}

// RFC 1939 §3: replies have at most 512 octets; a status line is one line.
func TestPhrasesFitALine(t *testing.T) {
	for _, p := range []phrase{
		greeting, goodbye, unknownCommand, wrongArguments, notPrintable, lineTooLong, tooMuchOfThis, loginFirst,
		alreadyIn, shuttingDown, sentAway, temporarily, capabilityList, languageList, languageChosen, languageUnknown,
		utf8Enabled, stlsBegin, stlsNone, stlsActive, stlsAfter, stlsPipeline, sendPassword, userFirst, useTLS,
		noAPOP, badCredentials, tooManyFailures, accessEnded, loggedInLately, maildropInUse, oneMessage,
		manyMessages, mechanismList, mechanismUnknown, saslCancelled, saslMalformed, saslNotBase64, figures,
		uniqueID, uniqueIDs, messageSize, topFollows, noSuchMessage, marked, completed, notRemoved,
	} {
		for _, text := range []string{p.en, p.ja} {
			if len(text) > 300 || strings.ContainsAny(text, "\r\n<>") || !utf8.ValidString(text) {
				t.Errorf("%q", text)
			}
		}
		if p.ja != "" && strings.Count(p.en, "%") != strings.Count(p.ja, "%") {
			t.Errorf("%q and %q take different arguments", p.en, p.ja)
		}
	}
}
