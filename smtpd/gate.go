package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net/netip"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// facts are what the gate wants to know of a stranger.
func (s *session) facts() mailauth.Facts {
	f := mailauth.Facts{HELO: s.tx.hello, MailFrom: s.tx.Sender}
	if remote, err := netip.ParseAddrPort(s.conn.RemoteAddr().String()); err == nil {
		f.RemoteIP = remote.Addr().Unmap().WithZone("")
	}
	return f
}

// mayEnter asks the gate about a stranger's recipient.
func (s *session) mayEnter(to string) error {
	if s.Gate == nil || s.login != nil {
		return nil
	}
	return refusal(s.Gate.Recipient(s.ctx, s.facts(), to))
}

// refusal is the reply to what the gate refuses.
func refusal(v mailauth.Verdict) error {
	if v.Action != mailauth.Refuse {
		return nil
	}
	return answer(v.Code, v.Enhanced[1], v.Enhanced[2], v.Text)
}

// authenticate asks the gate about a stranger's message. The results belong
// below our trace fields, and are nil when nobody has looked; body is the
// message without results that others have written in our name.
func (s *session) authenticate(spool *store.Spool) (r *mailauth.Results, body store.Source, err error) {
	if s.login != nil {
		return nil, spool, nil
	}
	us := s.Hostname
	if s.Gate != nil {
		var verdict mailauth.Verdict
		if r, verdict, err = s.Gate.Message(s.ctx, s.facts(), s.tx.given, spool, spool.Size()); err != nil {
			return nil, nil, err
		}
		if r != nil {
			if err := refusal(verdict); err != nil {
				return nil, nil, err
			}
			s.tx.Junk, us = verdict.Action == mailauth.Junk, r.AuthservID
			if s.tx.Junk && s.tx.forwards != "" {
				// It must not leave from here, and somebody has to be told that it
				// does not: the one who can still be told without a notice.
				return nil, nil, answer(verdict.Code, verdict.Enhanced[1], verdict.Enhanced[2], verdict.Text+"; an alias would lead it elsewhere")
			}
		}
	}
	header, from, err := mailauth.Strip(spool, spool.Size(), us)
	if errors.Is(err, mailauth.ErrHeaderSize) {
		return nil, nil, answer(550, 6, 0, "The header is too large")
	}
	if err != nil {
		return nil, nil, err
	}
	rest := tail{spool, from}
	if r != nil {
		s.vouch(r)
		whole := joinedAt{header, io.NewSectionReader(spool, from, rest.Size())}
		if s.tx.seal, err = s.sealed(r, whole, int64(len(header))+rest.Size()); err != nil {
			return nil, nil, err
		}
	}
	if from == 0 {
		return r, spool, nil
	}
	return r, store.Prefix(header, rest), nil
}

// sign makes the DKIM signatures of a user's message, which begins with
// missing, the fields that it lacked.
func (s *session) sign(h *headerBlock, missing []byte, spool *store.Spool) ([]byte, error) {
	if s.Signer == nil {
		return nil, nil
	}
	author := message.ParseAddresses(message.Field(h.octets, "From")[0], 1) // checkAuthor has found it
	return s.Signer.Sign(s.ctx, author[0].Host, joinedAt{missing, spool}, int64(len(missing))+spool.Size())
}

// tail is a spool without its first octets.
type tail struct {
	*store.Spool
	from int64
}

func (t tail) Size() int64 { return t.Spool.Size() - t.from }

func (t tail) Open() (store.Reader, error) {
	return io.NopCloser(io.NewSectionReader(t.Spool, t.from, t.Size())), nil
}

// joinedAt is head followed by rest.
type joinedAt struct {
	head []byte
	rest io.ReaderAt
}

func (j joinedAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(j.head)) {
		n, _ = bytes.NewReader(j.head).ReadAt(p, off)
	}
	if n == len(p) {
		return n, nil
	}
	more, err := j.rest.ReadAt(p[n:], off+int64(n)-int64(len(j.head)))
	return n + more, err
}
