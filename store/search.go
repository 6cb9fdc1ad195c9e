package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
)

// UIDRange is a run of UIDs, both ends included.
type UIDRange struct{ First, Last UID }

// HeaderTerm asks for a header field that contains a text; an empty Value
// asks only that the field be there.
type HeaderTerm struct{ Name, Value string }

// Query says which messages to find. All that is set must hold; the zero
// Query finds all. Texts are found as substrings without regard to case, in
// decoded text whatever its charset (RFC 9051 §6.4.4).
type Query struct {
	UIDs                  [][]UIDRange // in each of these sets
	Flags, NotFlags       SystemFlags
	Keywords, NotKeywords []string
	// Days; time and zone are disregarded. Since includes its day, Before
	// excludes it. Sent… look at the Date field, the others at arrival.
	Since, Before, SentSince, SentBefore time.Time
	Header                               []HeaderTerm
	Body                                 []string // in the body's text
	Text                                 []string // in the body's text or the header
	Larger                               *int64   // octets, exclusive
	Smaller                              *int64
	ModSeq                               ModSeq // at least
	Not                                  []Query
	Or                                   [][2]Query
}

// maxQuery bounds the terms of one query, nested ones included.
const maxQuery = 10_000

// Search finds messages in a mailbox and returns their UIDs, ascending. It
// answers ErrLimit for a query of too many terms.
func (s *Store) Search(ctx context.Context, id MailboxID, q Query) ([]UID, error) {
	all, err := s.SearchIn(ctx, []MailboxID{id}, q)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// SearchIn is [Store.Search] in several mailboxes, for which the index is asked
// once. The index narrows what is looked at; the message's own text decides: in
// a first pass over nothing but the rows most messages fall through, and what
// the others say is read in a second one.
func (s *Store) SearchIn(ctx context.Context, ids []MailboxID, q Query) ([][]UID, error) {
	f := finder{s: s, ctx: ctx}
	match, pass, err := f.compile(&q)
	if err != nil {
		return nil, err
	}
	all := make([][]UID, len(ids))
	for i, id := range ids {
		if all[i], err = f.find(id, match, pass); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f *finder) find(id MailboxID, match predicate, pass sieve) (uids []UID, err error) {
	var likely []UID
	if f.want != 0 && pass != nil {
		likely = []UID{}
		err := f.s.Each(f.ctx, id, nil, 0, func(m *Message) error {
			if pass(m) {
				likely = append(likely, m.UID)
			}
			return f.ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	err = f.s.Each(f.ctx, id, likely, f.want, func(m *Message) error {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		c := candidate{f: f, m: m}
		ok, err := match(&c)
		if ok && err == nil {
			uids = append(uids, m.UID)
		}
		return err
	})
	return uids, err
}

// finder compiles a query once for all mailboxes.
type finder struct {
	s     *Store
	ctx   context.Context
	want  Want
	terms int
}

// predicate decides about one message.
type predicate func(*candidate) (bool, error)

func flat(test func(m *Message) bool) predicate {
	return func(c *candidate) (bool, error) { return test(c.m), nil }
}

// sieve tells by a message's row and the index whether it can be one that is
// looked for. nil lets every message pass.
type sieve func(m *Message) bool

// and lets pass what passes both.
func (a sieve) and(b sieve) sieve {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(m *Message) bool { return a(m) && b(m) }
}

// or lets pass what passes one of them.
func (a sieve) or(b sieve) sieve {
	if a == nil || b == nil {
		return nil
	}
	return func(m *Message) bool { return a(m) || b(m) }
}

// compile puts the cheap tests before those that read the message.
func (f *finder) compile(q *Query) (predicate, sieve, error) {
	all, pass := f.compileRow(q)
	for _, h := range q.Header {
		f.want |= WantHeader
		value := message.Fold(h.Value)
		likely, err := f.s.narrow(f.ctx, value)
		if err != nil {
			return nil, nil, err
		}
		pass = pass.and(func(m *Message) bool { return likely(m.Blob) })
		all = append(all, func(c *candidate) (bool, error) {
			if !likely(c.m.Blob) {
				return false, nil
			}
			return c.hasHeader(h.Name, value)
		})
	}
	if !q.SentSince.IsZero() || !q.SentBefore.IsZero() {
		f.want |= WantEnvelope
		since, before := sentDate(q.SentSince), sentDate(q.SentBefore)
		all = append(all, flat(func(m *Message) bool {
			d := sentDate(m.Envelope.Date)
			return d != 0 && (since == 0 || d >= since) && (before == 0 || d < before)
		}))
	}
	for i := range q.Not {
		p, _, err := f.compile(&q.Not[i])
		if err != nil {
			return nil, nil, err
		}
		all = append(all, func(c *candidate) (bool, error) { ok, err := p(c); return !ok, err })
	}
	for i := range q.Or {
		a, passA, err := f.compile(&q.Or[i][0])
		if err != nil {
			return nil, nil, err
		}
		b, passB, err := f.compile(&q.Or[i][1])
		if err != nil {
			return nil, nil, err
		}
		pass = pass.and(passA.or(passB))
		all = append(all, func(c *candidate) (bool, error) {
			if ok, err := a(c); ok || err != nil {
				return ok, err
			}
			return b(c)
		})
	}
	texts, passTexts, err := f.compileText(q)
	if err != nil {
		return nil, nil, err
	}
	all = append(all, texts...)
	if f.terms += 1 + len(all); f.terms > maxQuery {
		return nil, nil, ErrLimit
	}
	return func(c *candidate) (bool, error) {
		for _, p := range all {
			if ok, err := p(c); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	}, pass.and(passTexts), nil
}

// compileRow makes the tests that the message's row answers.
func (f *finder) compileRow(q *Query) (all []predicate, pass sieve) {
	add := func(test func(m *Message) bool) { all, pass = append(all, flat(test)), pass.and(test) }
	for _, set := range q.UIDs {
		add(func(m *Message) bool {
			return slices.ContainsFunc(set, func(r UIDRange) bool { return r.First <= m.UID && m.UID <= r.Last })
		})
	}
	if q.Flags|q.NotFlags != 0 {
		add(func(m *Message) bool { return m.Flags.Has(q.Flags) && m.Flags.System&q.NotFlags == 0 })
	}
	for _, k := range q.Keywords {
		add(func(m *Message) bool { return m.Flags.HasKeyword(k) })
	}
	for _, k := range q.NotKeywords {
		add(func(m *Message) bool { return !m.Flags.HasKeyword(k) })
	}
	if since := sentDate(q.Since); since != 0 {
		add(func(m *Message) bool { return sentDate(m.Received) >= since })
	}
	if before := sentDate(q.Before); before != 0 {
		add(func(m *Message) bool { return sentDate(m.Received) < before })
	}
	if q.Larger != nil {
		add(func(m *Message) bool { return m.Size > *q.Larger })
	}
	if q.Smaller != nil {
		add(func(m *Message) bool { return m.Size < *q.Smaller })
	}
	if q.ModSeq != 0 {
		add(func(m *Message) bool { return m.ModSeq >= q.ModSeq })
	}
	return all, pass
}

func (f *finder) compileText(q *Query) (all []predicate, pass sieve, err error) {
	add := func(text string, header bool) error {
		folded := message.Fold(text)
		if folded == "" {
			return nil // every message contains the empty text
		}
		likely, err := f.s.narrow(f.ctx, folded)
		if err != nil {
			return err
		}
		f.want |= WantStructure
		if header {
			f.want |= WantHeader
		}
		pass = pass.and(func(m *Message) bool { return likely(m.Blob) })
		all = append(all, func(c *candidate) (bool, error) {
			if !likely(c.m.Blob) {
				return false, nil
			}
			return c.hasText(folded, header)
		})
		return nil
	}
	for _, t := range q.Text {
		if err := add(t, true); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range q.Body {
		if err := add(t, false); err != nil {
			return nil, nil, err
		}
	}
	return all, pass, nil
}

// candidate is one message under test.
type candidate struct {
	f *finder
	m *Message
}

// header is the message's header block, from its row or, when it is too long
// for that, from the body.
func (c *candidate) header() ([]byte, error) {
	if c.m.Header != nil || c.m.Size == 0 {
		return c.m.Header, nil
	}
	b, err := c.f.s.OpenBody(c.f.ctx, c.m.Blob)
	if err != nil {
		return nil, gone(err)
	}
	defer b.Close()
	head, err := io.ReadAll(io.LimitReader(b.Section(0, b.Size()), maxSearchedHeader))
	if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
		head = head[:end+4]
	}
	c.m.Header = head
	return head, gone(err)
}

// maxSearchedHeader and maxSearchedText bound what one message costs a search.
const (
	maxSearchedHeader = 8 << 20
	maxSearchedText   = 64 << 20
)

// gone makes an expunged message one that does not match.
func gone(err error) error {
	if errors.Is(err, ErrExpunged) {
		return nil
	}
	return err
}

func (c *candidate) hasHeader(name, folded string) (bool, error) {
	head, err := c.header()
	if err != nil {
		return false, err
	}
	for _, v := range message.Field(head, name) {
		if folded == "" || strings.Contains(message.Fold(message.DecodeHeader(v)), folded) {
			return true, nil
		}
	}
	return false, nil
}

// errFound ends a reading early.
var errFound = errors.New("found")

func (c *candidate) hasText(folded string, header bool) (bool, error) {
	if header {
		head, err := c.header()
		if err != nil {
			return false, err
		}
		if strings.Contains(message.Fold(message.DecodedHeader(head)), folded) {
			return true, nil
		}
	}
	body, err := c.f.s.OpenBody(c.f.ctx, c.m.Blob)
	if err != nil {
		return false, gone(err)
	}
	defer body.Close()
	err = message.ReadText(body, c.m.Structure, body.Size(), maxSearchedText, func(_ *message.Part, r io.Reader) error {
		ok, err := containsFolded(message.FoldReader(r), folded)
		if ok && err == nil {
			err = errFound
		}
		return err
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, gone(err)
}

// containsFolded looks for a text in a stream that is folded already.
func containsFolded(r io.Reader, folded string) (bool, error) {
	needle := []byte(folded)
	buf := make([]byte, 0, 32<<10+len(needle))
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if bytes.Contains(buf, needle) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if keep := len(needle) - 1; len(buf) > keep {
			buf = buf[:copy(buf, buf[len(buf)-keep:])]
		}
	}
}
