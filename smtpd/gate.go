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
	return mailauth.Facts{HELO: s.tx.hello, MailFrom: s.tx.Sender, RemoteIP: s.conn.remoteIP()}
}

// remoteIP is the client's address; the zero Addr when it has none.
func (c *conn) remoteIP() netip.Addr {
	remote, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return remote.Addr().Unmap().WithZone("")
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
// below our trace fields, and are nil when nobody has looked; kept is the
// message without results that others have written in our name.
func (s *session) authenticate(spool *store.Spool) (r *mailauth.Results, kept arrival, err error) {
	us := s.Hostname
	if s.Gate != nil && s.login == nil {
		var verdict mailauth.Verdict
		if r, verdict, err = s.Gate.Message(s.ctx, s.facts(), s.tx.given, spool, spool.Size()); err != nil {
			return nil, kept, err
		}
		if r != nil {
			if err := s.obey(verdict); err != nil {
				return nil, kept, err
			}
			us = r.AuthservID
		}
	}
	if kept, err = unforged(spool, us); err != nil || r == nil {
		return nil, kept, err
	}
	s.vouch(r)
	s.tx.seal, err = s.sealed(r, kept, kept.Size())
	return r, kept, err
}

// obey does what the gate says of a message.
func (s *session) obey(v mailauth.Verdict) error {
	if err := refusal(v); err != nil {
		return err
	}
	s.tx.Junk = v.Action == mailauth.Junk
	if s.tx.Junk && s.tx.forwards != "" {
		// It must not leave from here, and somebody has to be told that it does
		// not: the one who can still be told without a notice.
		return answer(v.Code, v.Enhanced[1], v.Enhanced[2], v.Text+"; an alias would lead it elsewhere")
	}
	return nil
}

// sign makes the DKIM signatures of a user's message, which begins with
// missing, the fields that it lacked.
func (s *session) sign(h *headerBlock, missing []byte, kept arrival) ([]byte, error) {
	if s.Signer == nil {
		return nil, nil
	}
	author := message.ParseAddresses(message.Field(h.octets, "From")[0], 1) // checkAuthor has found it
	return s.Signer.Sign(s.ctx, author[0].Host, joinedAt{missing, kept}, int64(len(missing))+kept.Size())
}

// arrival is a message as it is kept: head stands in place of the spool's octets
// up to from.
type arrival struct {
	spool *store.Spool
	head  []byte
	from  int64
}

// unforged takes the Authentication-Results from a message that claim to be
// ours. Nobody may write those, not even our users (RFC 8601 §5).
func unforged(spool *store.Spool, us string) (arrival, error) {
	head, from, err := mailauth.Strip(spool, spool.Size(), us)
	if errors.Is(err, mailauth.ErrHeaderSize) {
		err = errHeaderSize
	}
	return arrival{spool, head, from}, err
}

// isOrphaned reports whether a message begins in the middle of a field. It would
// go on with what stands above it: with our trace, or with our results.
func (a arrival) isOrphaned() bool {
	var first [1]byte
	n, _ := a.ReadAt(first[:], 0)
	return n == 1 && (first[0] == ' ' || first[0] == '\t')
}

func (a arrival) Size() int64 { return int64(len(a.head)) + a.spool.Size() - a.from }

// Open makes arrival a [store.Source].
func (a arrival) Open() (store.Reader, error) {
	return io.NopCloser(io.NewSectionReader(a, 0, a.Size())), nil
}

func (a arrival) ReadAt(p []byte, off int64) (n int, err error) {
	return joinedAt{a.head, io.NewSectionReader(a.spool, a.from, a.spool.Size()-a.from)}.ReadAt(p, off)
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

// afford takes recipients elsewhere from the user's allowance. What was named
// counts, sent or not.
func (s *session) afford(found []store.Recipient) error {
	if s.login == nil {
		return nil
	}
	elsewhere := 0
	for _, r := range found {
		if r.User == 0 {
			elsewhere++
		}
	}
	err := s.Allowance.Spend(s.login.user, elsewhere)
	if err != nil {
		return answer(452, 7, 28, err.Error())
	}
	return nil
}
