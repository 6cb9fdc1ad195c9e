package smtpd

import (
	"errors"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/store"
)

// never is RFC 3461 §4.1: no notices at all.
const never = "NEVER"

// offersDSN reports whether a client can be told what has become of its mail:
// users always, strangers where we find out whether they are who they say and
// can bring a notice to them. The others get none, and their own server, which
// sees no DSN here, tells them that it has handed the mail over (RFC 3461
// §5.2.2).
func (c *conn) offersDSN() bool {
	s := c.server.config
	return s.Confirm != nil && (s.login() || s.Relay && s.Gate.Judges(c.remoteIP()))
}

// confirmations are the addresses of a message whose sender wants to hear that
// it has got there (NOTIFY=SUCCESS), as they were given.
type confirmations struct {
	delivered []store.Recipient
	expanded  []store.Recipient // stand for several
}

// notify gives each of those whom a forward-path leads to their own NOTIFY, and
// notes what we have to confirm ourselves.
func (s *session) notify(to string, dsn store.DSN, found []store.Recipient) {
	away := false
	for i := range found {
		found[i].DSN = dsn
		away = away || found[i].User == 0
	}
	if away && s.login != nil && len(found) == 1 {
		return // RFC 3461 §5.2.7.2: where it leads is where it is confirmed
	}
	for i := range found {
		switch {
		case found[i].User != 0:
		case s.login == nil:
			found[i].DSN.Notify = never // until the sender is known, see vouch
		default:
			found[i].DSN.Notify = without(dsn.Notify, "SUCCESS")
		}
	}
	if s.tx.Sender == "" || !wants(dsn.Notify, "SUCCESS") {
		return
	}
	into := &s.tx.confirm.delivered
	// RFC 3461 §5.2.7.3 (c). Where an alias leads a stranger's mail is nobody's
	// business, so that is delivered here (§5.2.7.4); and so is what stays here.
	if away && s.login != nil {
		into = &s.tx.confirm.expanded
	}
	if r := (store.Recipient{Address: to, DSN: dsn}); !slices.Contains(*into, r) {
		*into = append(*into, r)
	}
}

// confirmation is the notice that the sender gets together with the message's
// arrival. The results are nil when nobody has looked.
func (s *session) confirmation(r *mailauth.Results) []store.Delivery {
	c := s.tx.confirm
	if len(c.delivered)+len(c.expanded) == 0 {
		return nil
	}
	if s.login == nil {
		switch {
		case r != nil && !r.VouchForSender():
			return nil // it would be backscatter
		case r == nil:
			// At least it must not leave the house.
			if _, err := s.Store.Resolve(s.ctx, s.tx.Sender); err != nil {
				return nil
			}
		}
	}
	notice, ok := s.Confirm(s.ctx, s.tx.Delivery, c.delivered, c.expanded)
	if ok && !s.Relay { // nobody would bring it there
		notice.Recipients = slices.DeleteFunc(notice.Recipients, func(r store.Recipient) bool { return r.User == 0 })
	}
	if !ok || len(notice.Recipients) == 0 {
		return nil
	}
	return []store.Delivery{notice}
}

// keep makes the message durable, and with it the notice of its arrival.
func (s *session) keep(r *mailauth.Results) (store.Accepted, error) {
	notices := s.confirmation(r)
	accepted, err := s.Store.Accept(s.ctx, s.tx.Delivery, notices...)
	if errors.Is(err, store.ErrNoSuchUser) && len(notices) > 0 { // perhaps the sender has been deleted this moment
		accepted, err = s.Store.Accept(s.ctx, s.tx.Delivery)
	}
	if errors.Is(err, store.ErrNoSuchUser) {
		err = errRecipientGone
	}
	return accepted, err
}

// wants reports whether a NOTIFY that was given has a word.
func wants(notify, word string) bool { return slices.Contains(strings.Split(notify, ","), word) }

// without is a NOTIFY that no longer has a word.
func without(notify, word string) string {
	if !wants(notify, word) {
		return notify
	}
	left := slices.DeleteFunc(strings.Split(notify, ","), func(w string) bool { return w == word })
	if len(left) == 0 {
		return never
	}
	return strings.Join(left, ",")
}
