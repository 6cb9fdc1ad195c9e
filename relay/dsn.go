package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// report is one delivery status notification (RFC 3464) in the making.
type report struct {
	kind Event
	to   []*recipient // of one mail
	at   time.Time
	// unvouched: it is about mail of a stranger that was handed on, whose
	// address nobody vouches for. The postmaster is told in the sender's place.
	unvouched bool
}

// maxReturned is the largest message that a notice brings back whole, and
// smallReturned the largest when the sender has not asked for it.
const (
	maxReturned   = 1 << 20
	smallReturned = 50 << 10
)

// notice writes the notice of p. ok is false when nobody gets one; the log
// says why.
func (r *Relay) notice(ctx context.Context, p report) (d store.Delivery, ok bool) {
	sender := p.addressee()
	to, ours, err := r.sender(ctx, sender)
	switch {
	case err != nil:
		r.Log.Warn("nobody to tell of a mail", "sender", sender, "event", string(p.kind), "err", err)
		return d, false
	case !r.notices.take(strings.ToLower(sender), ours):
		r.Log.Warn("too many notices for one sender", "sender", sender, "event", string(p.kind))
		return d, false
	}
	o, err := r.original(ctx, p)
	if err != nil {
		r.Log.Error("read a mail to tell its sender", "queue", p.to[0].ID, "err", err)
	}
	utf8 := !isASCII(sender)
	for _, t := range p.to {
		utf8 = utf8 || !isASCII(t.Recipient) || !isASCII(t.DSN.Original)
	}
	// RFC 8689 §5: of what was not to travel in clear only the header comes
	// back, and TLS is wished for the notice too; levelOf does not insist.
	return store.Delivery{Recipients: to, Body: store.Bytes(r.compose(p, o, utf8)), UTF8: utf8, RequireTLS: p.to[0].RequireTLS}, true
}

// addressee is whom a notice is for. The domain of a rewritten sender is that
// of the alias.
func (p report) addressee() string {
	sender := p.to[0].Sender
	if p.unvouched {
		return "postmaster@" + sender[strings.LastIndexByte(sender, '@')+1:]
	}
	return sender
}

// handedOn reports whether a recipient's mail is a stranger's, whose sender
// was rewritten.
func (r *Relay) handedOn(t *recipient) bool {
	if r.Original == nil || t.Sender == "" {
		return false
	}
	_, ok := r.Original(t.Sender)
	return ok
}

// sender finds who is to be told.
func (r *Relay) sender(ctx context.Context, address string) (to []store.Recipient, ours bool, err error) {
	if r.Original != nil {
		if original, ok := r.Original(address); ok {
			address = original
		}
	}
	to, err = r.Store.Resolve(ctx, address)
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

func (r *Relay) original(ctx context.Context, p report) (o original, err error) {
	q := p.to[0].Queued
	body, err := r.Store.OpenBody(ctx, q.Blob)
	if err != nil {
		return o, err
	}
	defer body.Close()
	skip, err := returnPath(body)
	if err != nil {
		return o, err
	}
	size := body.Size() - skip
	read := io.NewSectionReader(body, skip, min(size, maxReturned))
	text, err := io.ReadAll(read)
	if err != nil {
		return o, err
	}
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
	if p.kind == Failed && !p.unvouched && q.DSN.Return != "HDRS" && !q.RequireTLS && size <= limit {
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

// compose writes the message.
func (r *Relay) compose(p report, o original, utf8 bool) []byte {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	now := p.at
	subject := ""
	if o.summary != nil {
		subject = message.DecodeHeader(o.summary.Envelope.Subject)
	}
	global := ""
	if utf8 {
		global = "global-" // RFC 6533 §4
	}
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("Return-Path", "<>") // the sender's server, when it is not us, gets it without
	field("From", "Mail Delivery System <MAILER-DAEMON@"+r.Hostname+">")
	field("To", "<"+p.addressee()+">")
	field("Subject", headerText(p.subject(subject, o.japanese)))
	field("Date", message.NewDate(now))
	field("Message-ID", "<"+message.NewMessageID(r.Hostname)+">")
	if o.summary != nil && o.summary.Envelope.MessageID != "" {
		field("In-Reply-To", "<"+o.summary.Envelope.MessageID+">")
		field("References", "<"+o.summary.Envelope.MessageID+">")
	}
	field("Auto-Submitted", "auto-replied") // RFC 3834 §5.2
	field("MIME-Version", "1.0")
	field("Content-Type", "multipart/report; report-type="+global+"delivery-status;\r\n\tboundary=\""+w.Boundary()+"\"")
	b.WriteString("\r\n")

	part := func(kind, encoding, description string, text []byte) {
		h := textproto.MIMEHeader{"Content-Type": {kind}, "Content-Description": {description}}
		if encoding != "" {
			h.Set("Content-Transfer-Encoding", encoding)
		}
		pw, _ := w.CreatePart(h) // a buffer takes everything
		_, _ = pw.Write(text)
	}
	words := crlf(r.words(p, subject, o))
	if isASCII(words) {
		part("text/plain; charset=us-ascii", "", "Notification", []byte(words))
	} else {
		part("text/plain; charset=utf-8", "base64", "Notification", base64Lines(words))
	}
	status := r.status(p)
	part("message/"+global+"delivery-status", eightBit(status), "Delivery report", []byte(status))
	isGlobal := utf8 && !isASCII(string(o.header))
	switch {
	case o.whole != nil && isGlobal:
		part("message/global", "8bit", "Undelivered message", o.whole)
	case o.whole != nil:
		part("message/rfc822", eightBit(string(o.whole)), "Undelivered message", o.whole)
	case isGlobal:
		part("message/global-headers", "8bit", "Header of the message", o.header)
	case len(o.header) > 0:
		part("text/rfc822-headers", eightBit(string(o.header)), "Header of the message", o.header)
	}
	_ = w.Close() // a buffer takes everything
	return b.Bytes()
}

func eightBit(s string) string {
	if isASCII(s) {
		return ""
	}
	return "8bit"
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func base64Lines(s string) []byte {
	var b bytes.Buffer
	l := &wrapper{w: &b}
	_, _ = io.WriteString(l, base64.StdEncoding.EncodeToString([]byte(s))) // a buffer takes everything
	_ = l.close()
	return b.Bytes()
}

// headerText is text in a field, on lines that are short enough.
func headerText(s string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// status is the part for programs (RFC 3464 §2).
func (r *Relay) status(p report) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("Reporting-MTA", "dns; "+r.Hostname)
	field("Original-Envelope-Id", readable(p.to[0].DSN.EnvelopID))
	field("Arrival-Date", message.NewDate(p.to[0].Created))
	for _, t := range p.to {
		b.WriteString("\r\n")
		if kind, address, ok := strings.Cut(t.DSN.Original, ";"); ok {
			field("Original-Recipient", kind+"; "+readable(address))
		}
		field("Final-Recipient", addressType(t.Recipient)+"; "+t.Recipient)
		switch p.kind {
		case Failed:
			field("Action", "failed")
		case Deferred:
			field("Action", "delayed")
		case Delivered:
			// RFC 3461 §5.2.2: nobody will tell more.
			field("Action", "relayed")
		}
		v := t.verdict
		if v == nil {
			v = &verdict{remote: t.by.host.name, text: t.reply}
			field("Status", "2.0.0")
		} else {
			field("Status", v.status())
		}
		if v.remote != "" {
			field("Remote-MTA", "dns; "+strings.Trim(v.remote, "[]"))
			if t.verdict != nil {
				field("Diagnostic-Code", "smtp; "+v.reply())
			} else {
				field("Diagnostic-Code", "smtp; "+t.reply)
			}
		}
		field("Last-Attempt-Date", message.NewDate(p.at))
		if p.kind == Deferred {
			field("Will-Retry-Until", message.NewDate(t.Created.Add(r.MaxAge)))
		}
	}
	return b.String()
}

func addressType(address string) string {
	if isASCII(address) {
		return "rfc822"
	}
	return "utf-8"
}

func tlsVersion(v uint16) string { return strings.ReplaceAll(tls.VersionName(v), " ", "") }

// words is the part for people.
func (r *Relay) words(p report, subject string, o original) string {
	var b strings.Builder
	if o.japanese {
		r.say(&b, p, subject, o, japanese)
		b.WriteString("\n----------------------------------------------------------------------\n\n")
	}
	r.say(&b, p, subject, o, english)
	return b.String()
}

func (r *Relay) say(b *strings.Builder, p report, subject string, o original, l language) {
	fmt.Fprintf(b, l.greeting+"\n\n", r.Hostname)
	switch {
	case p.unvouched:
		from, _ := r.Original(p.to[0].Sender)
		fmt.Fprintf(b, l.unvouched, readable(from))
	case p.kind == Failed:
		b.WriteString(l.failed)
	case p.kind == Deferred:
		fmt.Fprintf(b, l.delayed, l.duration(p.at.Sub(p.to[0].Created)), l.duration(r.MaxAge))
	case p.kind == Delivered:
		b.WriteString(l.relayed)
	}
	b.WriteString("\n\n")
	if subject != "" {
		fmt.Fprintf(b, "    %s %s\n\n", l.subject, readable(subject))
	}
	for _, t := range p.to {
		fmt.Fprintf(b, "<%s>\n", t.Recipient)
		v := t.verdict
		if v == nil {
			fmt.Fprintf(b, "    "+l.said+"\n\n", t.by.host.name, t.reply)
			continue
		}
		fmt.Fprintf(b, "    %s\n", l.explain(v.detail))
		if p.kind == Failed && !v.final {
			fmt.Fprintf(b, "    "+l.expired+"\n", l.duration(r.MaxAge))
		}
		if v.remote != "" {
			fmt.Fprintf(b, "    "+l.said+"\n", v.remote, v.reply())
		} else {
			fmt.Fprintf(b, "    (%s)\n", v.reply())
		}
		b.WriteString("\n")
	}
	switch {
	case o.whole != nil:
		b.WriteString(l.whole + "\n")
	case p.unvouched: // it is not the reader's message
	case len(o.header) > 0:
		b.WriteString(l.header + "\n")
	}
}
