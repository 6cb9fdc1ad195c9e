package relay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// Notices tells senders what has become of their mail (RFC 3464). It works
// without a [Relay] too: mail for our own people needs none.
type Notices struct {
	Hostname string
	Store    *store.Store
	Now      func() time.Time
	Log      *slog.Logger
	// Original finds whom a rewritten sender of ours stands for; nil, and
	// false, is that there is nobody.
	Original func(address string) (string, bool)
	// PerHour bounds the notices to one sender within an hour; 0 is 50.
	PerHour int

	ration rationing
}

// report is one delivery status notification (RFC 3464) in the making.
type report struct {
	kind Event
	to   []*recipient // of one mail
	at   time.Time
	body store.Source  // of the mail
	age  time.Duration // at which mail is given up
	// unvouched: it is about mail of a stranger that was handed on, whose
	// address nobody vouches for. The postmaster is told in the sender's place.
	unvouched bool
}

// arrived is the event of mail that has come to its end here.
const arrived Event = "arrived"

// Delivered writes the notice about mail that is about to be kept here and
// whose sender has asked to hear of that: for some of its addresses it has come
// to its end (RFC 3461 §5.2.3), others stand for several (§5.2.7.3). It must be
// kept together with d. ok is false when nobody gets one; the log says why.
func (n *Notices) Delivered(ctx context.Context, d store.Delivery, delivered, expanded []store.Recipient) (notice store.Delivery, ok bool) {
	p := report{kind: arrived, at: n.Now(), body: d.Body}
	add := func(all []store.Recipient, expanded bool) {
		for _, r := range all {
			p.to = append(p.to, &recipient{expanded: expanded,
				Queued: store.Queued{Sender: d.Sender, Recipient: r.Address, DSN: r.DSN, RequireTLS: d.RequireTLS, Created: p.at}})
		}
	}
	add(delivered, false)
	add(expanded, true)
	if len(p.to) == 0 || d.Sender == "" {
		return store.Delivery{}, false
	}
	return n.notice(ctx, p)
}

// maxReturned is the largest message that a notice brings back whole, and
// smallReturned the largest when the sender has not asked for it.
const (
	maxReturned   = 1 << 20
	smallReturned = 50 << 10
)

// notice writes the notice of p. ok is false when nobody gets one; the log
// says why.
func (n *Notices) notice(ctx context.Context, p report) (d store.Delivery, ok bool) {
	sender := n.addressee(p)
	to, ours, err := n.sender(ctx, sender)
	switch {
	case err != nil:
		n.Log.Warn("nobody to tell of a mail", "sender", sender, "event", string(p.kind), "err", err)
		return d, false
	case !n.ration.take(strings.ToLower(sender), ours, n.limit(p.kind), p.at):
		n.Log.Warn("too many notices for one sender", "sender", sender, "event", string(p.kind))
		return d, false
	}
	o, err := n.original(ctx, p)
	if err != nil {
		n.Log.Error("read a mail to tell its sender", "sender", sender, "queue", p.to[0].ID, "err", err)
	}
	utf8 := !isASCII(sender)
	for _, t := range p.to {
		utf8 = utf8 || !isASCII(t.Recipient) || !isASCII(t.DSN.Original)
	}
	// RFC 8689 §5: of what was not to travel in clear only the header comes
	// back, and TLS is wished for the notice too; levelOf does not insist.
	return store.Delivery{Recipients: to, Body: store.Bytes(n.compose(p, o, utf8)), UTF8: utf8, RequireTLS: p.to[0].RequireTLS}, true
}

// limit is how many notices of all kinds a sender may have had within an hour
// to get one more of this. What went well is told as long as that leaves room
// for what did not.
func (n *Notices) limit(kind Event) int {
	limit := cmp.Or(n.PerHour, 50)
	if kind == arrived || kind == Delivered {
		return (limit + 1) / 2
	}
	return limit
}

// addressee is whom a notice is for. The domain of a rewritten sender is that
// of the alias.
func (n *Notices) addressee(p report) string {
	sender := p.to[0].Sender
	if p.unvouched {
		return "postmaster@" + sender[strings.LastIndexByte(sender, '@')+1:]
	}
	if n.Original != nil {
		if original, ok := n.Original(sender); ok {
			return original
		}
	}
	return sender
}

// handedOn reports whether a recipient's mail is a stranger's, whose sender
// was rewritten.
func (n *Notices) handedOn(t *recipient) bool {
	if n.Original == nil || t.Sender == "" {
		return false
	}
	_, ok := n.Original(t.Sender)
	return ok
}

// sender finds where an addressee gets mail.
func (n *Notices) sender(ctx context.Context, address string) (to []store.Recipient, ours bool, err error) {
	to, err = n.Store.Resolve(ctx, address)
	if errors.Is(err, store.ErrNotLocal) {
		return []store.Recipient{{Address: address, Remote: address}}, false, nil
	}
	return to, true, err
}

// original is what a notice needs of the mail it is about.
type original struct {
	summary  *message.Summary
	japanese bool
	whole    []byte // nil when it is not returned
	header   []byte
}

// open reads the mail that p is about.
func (n *Notices) open(ctx context.Context, p report) (io.ReadCloser, int64, error) {
	if p.body != nil {
		r, err := p.body.Open()
		return r, p.body.Size(), err
	}
	b, err := n.Store.OpenBody(ctx, p.to[0].Blob)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{b.Section(0, b.Size()), b}, b.Size(), nil
}

func (n *Notices) original(ctx context.Context, p report) (o original, err error) {
	q := p.to[0].Queued
	body, size, err := n.open(ctx, p)
	if err != nil {
		return o, err
	}
	defer body.Close()
	enough := int64(maxReturned)
	if p.kind == arrived { // within somebody's DATA, perhaps many at once
		enough = smallMail
	}
	text, err := io.ReadAll(io.LimitReader(body, enough))
	if err != nil {
		return o, err
	}
	skip, err := returnPath(bytes.NewReader(text))
	if err != nil {
		return o, err
	}
	text, size = text[skip:], size-skip
	if o.summary, err = message.Summarize(bytes.NewReader(text)); err != nil {
		return o, err
	}
	o.header = text[:o.summary.HeaderSize]
	o.japanese = isJapanese(o.summary)
	// RFC 3461 §4.3: RET is about failures, other notices need no copy.
	limit := int64(smallReturned)
	if q.DSN.Return == "FULL" {
		limit = maxReturned
	}
	if p.kind == Failed && !p.unvouched && q.DSN.Return != "HDRS" && !q.RequireTLS && int64(len(text)) == size && size <= limit {
		o.whole = text
	}
	return o, nil
}

// isJapanese looks for kana, which no other language has, and for charsets.
func isJapanese(s *message.Summary) bool {
	if s.Root != nil {
		switch strings.ToLower(s.Root.Params["charset"]) {
		case "iso-2022-jp", "shift_jis", "euc-jp", "windows-31j", "cp932":
			return true
		}
	}
	return strings.ContainsFunc(message.DecodeHeader(s.Envelope.Subject)+s.Preview, func(r rune) bool { return r >= '\u3041' && r <= '\u30ff' })
}

// rationing bounds how many notices one sender gets within an hour, and how
// many go to senders elsewhere: whoever forges addresses shall not make us a
// weapon.
type rationing struct {
	mu        sync.Mutex
	since     time.Time
	given     map[string]int
	elsewhere int
}

// generous is by how much more our own users, and all others together, get.
const generous = 20

func (n *rationing) take(sender string, ours bool, limit int, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.given == nil || now.Sub(n.since) >= time.Hour {
		n.since, n.given, n.elsewhere = now, make(map[string]int), 0
	}
	most := limit
	if ours {
		most *= generous
	}
	if n.given[sender] >= most || !ours && n.elsewhere >= limit*generous {
		return false
	}
	n.given[sender]++
	if !ours {
		n.elsewhere++
	}
	return true
}
