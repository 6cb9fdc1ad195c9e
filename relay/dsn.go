package relay

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
)

// compose writes the message.
func (n *Notices) compose(p report, o original, utf8 bool) []byte {
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
	field("From", "Mail Delivery System <MAILER-DAEMON@"+n.Hostname+">")
	field("To", "<"+n.addressee(p)+">")
	field("Subject", headerText(p.subject(subject, o.japanese)))
	field("Date", message.NewDate(now))
	field("Message-ID", "<"+message.NewMessageID(n.Hostname)+">")
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
	words := crlf(n.words(p, subject, o))
	if isASCII(words) {
		part("text/plain; charset=us-ascii", "", "Notification", []byte(words))
	} else {
		part("text/plain; charset=utf-8", "base64", "Notification", base64Lines(words))
	}
	status := n.status(p)
	if !utf8 { // RFC 3464 §2.1: it is ASCII, whatever a server has said
		status = question(status)
	}
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

// question puts question marks where text is more than ASCII.
func question(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, s)
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
func (n *Notices) status(p report) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	answered := func(host, reply string) {
		field("Remote-MTA", "dns; "+mtaName(host))
		field("Diagnostic-Code", "smtp; "+reply)
	}
	field("Reporting-MTA", "dns; "+n.Hostname)
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
		case arrived:
			field("Action", map[bool]string{false: "delivered", true: "expanded"}[t.expanded])
		}
		switch v := t.verdict; {
		case p.kind == arrived:
			field("Status", "2.1.5")
		case v == nil:
			field("Status", "2.0.0")
			answered(t.by.host.name, t.reply)
		default:
			field("Status", v.status())
			if v.remote != "" {
				answered(v.remote, v.reply())
			}
		}
		field("Last-Attempt-Date", message.NewDate(p.at))
		if p.kind == Deferred {
			field("Will-Retry-Until", message.NewDate(t.Created.Add(p.age)))
		}
	}
	return b.String()
}

// mtaName is a server's name, or its address as a literal (RFC 5321 §4.1.3):
// a route may know no more.
func mtaName(host string) string {
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return host
	case addr.Is4():
		return "[" + host + "]"
	}
	return "[IPv6:" + host + "]"
}

func addressType(address string) string {
	if isASCII(address) {
		return "rfc822"
	}
	return "utf-8"
}

func tlsVersion(v uint16) string { return strings.ReplaceAll(tls.VersionName(v), " ", "") }

// words is the part for people.
func (n *Notices) words(p report, subject string, o original) string {
	var b strings.Builder
	if o.japanese {
		n.say(&b, p, subject, o, japanese)
		b.WriteString("\n----------------------------------------------------------------------\n\n")
	}
	n.say(&b, p, subject, o, english)
	return b.String()
}

func (n *Notices) say(b *strings.Builder, p report, subject string, o original, l language) {
	fmt.Fprintf(b, l.greeting+"\n\n", n.Hostname)
	switch {
	case p.unvouched:
		from, _ := n.Original(p.to[0].Sender)
		fmt.Fprintf(b, l.unvouched, readable(from))
	case p.kind == Failed:
		b.WriteString(l.failed)
	case p.kind == Deferred:
		fmt.Fprintf(b, l.delayed, l.duration(p.at.Sub(p.to[0].Created)), l.duration(p.age))
	case p.kind == Delivered:
		b.WriteString(l.relayed)
	case p.kind == arrived:
		b.WriteString(l.arrived)
	}
	b.WriteString("\n\n")
	if subject != "" {
		fmt.Fprintf(b, "    %s %s\n\n", l.subject, readable(subject))
	}
	for _, t := range p.to {
		fmt.Fprintf(b, "<%s>\n", t.Recipient)
		switch v := t.verdict; {
		case p.kind == arrived && t.expanded:
			fmt.Fprintf(b, "    %s\n", l.expanded)
		case p.kind == arrived:
		case v == nil:
			fmt.Fprintf(b, "    "+l.said+"\n", t.by.host.name, t.reply)
		default:
			fmt.Fprintf(b, "    %s\n", l.explain(v.detail))
			if p.kind == Failed && !v.final {
				fmt.Fprintf(b, "    "+l.expired+"\n", l.duration(p.age))
			}
			if v.remote != "" {
				fmt.Fprintf(b, "    "+l.said+"\n", v.remote, v.reply())
			} else {
				fmt.Fprintf(b, "    (%s)\n", v.reply())
			}
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
