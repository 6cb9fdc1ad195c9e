package smtpd

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/store"
)

// rewriting makes and reads the senders of mail that a domain hands on.
func (s *session) rewriting(domain string) mailauth.SRS {
	return mailauth.SRS{Domain: domain, Secrets: s.Rewrite, Now: s.Now}
}

// forward prepares a recipient elsewhere: a user's own, who answers for it, or
// one that an alias of ours leads a stranger's mail to. The sender of the
// latter is rewritten, because the stranger's SPF does not allow us.
func (s *session) forward(alias string, r *store.Recipient) error {
	if s.mayRelay() {
		return nil
	}
	if !s.Relay || len(s.Rewrite) == 0 {
		return errNoDelivery
	}
	domain, err := store.CanonicalDomain(alias[strings.LastIndexByte(alias, '@')+1:])
	if err != nil {
		return err
	}
	if r.Sender, err = s.rewriting(domain).Forward(s.tx.Sender); err != nil {
		return errNoRewriting // ErrNotSRS, or ErrLongSRS
	}
	s.tx.forwards = domain
	return nil
}

// reversed finds whom a rewritten sender stands for. Only notices come back to
// one: the way is for nothing else.
func (s *session) reversed(to string) ([]store.Recipient, bool) {
	at := strings.LastIndexByte(to, '@')
	if at < 0 || !s.Relay || len(s.Rewrite) == 0 || s.tx.Sender != "" {
		return nil, false
	}
	domain := to[at+1:]
	original, err := s.rewriting(domain).Reverse(to)
	if err != nil {
		return nil, false // to everybody else there is no such user
	}
	// Our own name is no domain of ours, but postmaster's mail came to it.
	if !strings.EqualFold(domain, s.Hostname) {
		if _, err := s.Store.Resolve(s.ctx, "postmaster@"+domain); errors.Is(err, store.ErrNotLocal) {
			return nil, false
		}
	}
	found, err := s.Store.Resolve(s.ctx, original)
	if errors.Is(err, store.ErrNotLocal) {
		found, err = elsewhere(original)
	}
	return found, err == nil
}

// vouch decides who hears when mail that we have handed on fails. Notices to
// senders who may be forged would be backscatter, so SPF or DKIM has to vouch
// for the address; else the relay tells the postmaster.
func (s *session) vouch(r *mailauth.Results) {
	if !r.VouchForSender() {
		return
	}
	for i := range s.tx.Recipients {
		to := &s.tx.Recipients[i]
		if to.Sender != "" && !slices.Contains(s.tx.declined, to.Address) {
			to.DSN.Notify = "FAILURE"
		}
	}
}

// sealed makes the ARC fields of mail that we hand on, so that those who get
// it can see what we saw (RFC 8617 §5.1).
func (s *session) sealed(r *mailauth.Results, raw io.ReaderAt, size int64) ([]byte, error) {
	if s.tx.forwards == "" || s.Signer == nil {
		return nil, nil
	}
	seal, err := s.Signer.Seal(s.ctx, s.tx.forwards, *r, raw, size)
	if errors.Is(err, mailauth.ErrTemporary) {
		return nil, errNoSeal
	}
	if errors.Is(err, mailauth.ErrHeaderSize) {
		return nil, errHeaderSize
	}
	return seal, err
}
