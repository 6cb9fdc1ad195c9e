package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// recipient is one of those a job is for, and what has become of it.
type recipient struct {
	store.Queued
	tried   bool     // verdict holds
	verdict *verdict // nil once a server has taken the mail
	reply   string   // with which it was taken
	told    bool     // that server will report as the sender has asked
	again   bool     // this server wants it in a transaction of its own
	by      *conn    // who said so; nil when nobody could be asked

	expanded bool // an address of ours that stands for several
}

func (t *recipient) settle(c *conn, v *verdict) {
	t.tried, t.verdict, t.by = true, v, c
}

func untried(to []*recipient) (left []*recipient) {
	for _, t := range to {
		if !t.tried {
			left = append(left, t)
		}
	}
	return left
}

func settleAll(to []*recipient, c *conn, v *verdict) {
	for _, t := range to {
		t.settle(c, v)
	}
}

// send hands m over to all recipients, in as many transactions as the server
// makes necessary. It returns a verdict when the connection was lost before
// anything was decided for those who are not tried yet: another server may be
// asked for them.
func (c *conn) send(ctx context.Context, m *mail, to []*recipient) *verdict {
	for len(to) > 0 {
		n := min(len(to), maxRecipients)
		batch := to[:n]
		if v := c.transact(ctx, m, batch); v != nil {
			return v
		}
		to = to[n:]
		// RFC 5321 §4.5.3.1.10: those it would not take together with the
		// others get a transaction of their own, as long as some are taken.
		var late []*recipient
		taken := false
		for _, t := range batch {
			taken = taken || t.verdict == nil
			if t.again {
				late = append(late, t)
			}
		}
		if taken && len(late) > 0 && !c.broken {
			for _, t := range late {
				t.tried, t.again = false, false
			}
			to = append(late, to...)
		}
		if c.broken && len(to) > 0 {
			v := later("4.2", "%s ended the connection", c.host.name)
			v.lost = true
			return v
		}
	}
	return nil
}

// maxRecipients of one transaction: what every server takes (RFC 5321
// §4.5.3.1.8).
const maxRecipients = 100

// transact is one MAIL … DATA. Its result is as that of send.
func (c *conn) transact(ctx context.Context, m *mail, to []*recipient) *verdict {
	m, utf8, v := c.suit(m, to)
	if v != nil {
		settleAll(to, c, v)
		return nil
	}
	from, ok := path(to[0].Sender, utf8)
	if !ok {
		settleAll(to, c, never("6.7", "the sender's address needs SMTPUTF8, which %s does not know", c.host.name))
		return nil
	}
	commands := []string{"MAIL FROM:<" + from + ">" + c.mailParameters(m, to[0].Queued, utf8)}
	var named []*recipient
	for _, t := range to {
		address, ok := path(t.Recipient, utf8)
		if !ok {
			t.settle(c, never("6.7", "the address needs SMTPUTF8, which %s does not know", c.host.name))
			continue
		}
		named = append(named, t)
		commands = append(commands, "RCPT TO:<"+address+">"+c.rcptParameters(t.DSN))
	}
	if len(named) == 0 {
		return nil
	}
	for _, line := range commands {
		if strings.ContainsAny(line, "\r\n\x00") {
			settleAll(named, c, never("1.3", "an address of this mail cannot be sent"))
			return nil
		}
	}
	m.r.tapSender(ctx, c, to[0].Sender)
	defer c.tapNobody()
	ready, v := c.envelope(commands, named)
	if v != nil {
		return v
	}
	accepted := untried(named)
	switch {
	case len(accepted) == 0 && ready:
		// RFC 2920 §3.1: it waits for a message that is for nobody.
		if _, err := c.ask(c.timeouts.DataEnd, "."); err != nil {
			c.broken = true
		}
		return nil
	case len(accepted) == 0:
		return nil
	}
	return c.data(m, accepted)
}

// suit chooses the form of a mail that the server can take.
func (c *conn) suit(m *mail, to []*recipient) (_ *mail, utf8 bool, v *verdict) {
	if to[0].UTF8 {
		utf8 = c.offers("SMTPUTF8")
		if !utf8 && m.facts.utf8Header {
			// RFC 6531 §3.6: nobody but the sender may take that out.
			return nil, false, never("6.7", "the message has a header in UTF-8 (SMTPUTF8), which %s does not know", c.host.name)
		}
	}
	if (m.facts.eightBit || m.facts.utf8Header) && !c.offers("8BITMIME") {
		plain, err := m.sevenBit()
		switch {
		case errors.As(err, &v):
			return nil, false, v
		case err != nil:
			c.log.Warn("convert a message", "err", err)
			return nil, false, later("3.0", "the message cannot be converted at present")
		}
		m = plain
	}
	// RFC 1870 §6.1; without a number the limit is unknown.
	var limit int64
	if _, err := fmt.Sscan(c.extensions["SIZE"], &limit); err == nil && limit > 0 && m.size > limit {
		return nil, false, never("3.4", "the message has %d octets, and %s takes no more than %d", m.size, c.host.name, limit)
	}
	return m, utf8, nil
}

func (c *conn) mailParameters(m *mail, q store.Queued, utf8 bool) string {
	var b strings.Builder
	if c.offers("SIZE") {
		fmt.Fprintf(&b, " SIZE=%d", m.size)
	}
	if c.offers("8BITMIME") && (m.facts.eightBit || m.facts.utf8Header) {
		b.WriteString(" BODY=8BITMIME")
	}
	if utf8 {
		b.WriteString(" SMTPUTF8")
	}
	if c.level == strict {
		b.WriteString(" REQUIRETLS")
	}
	if c.offers("DSN") {
		if q.DSN.Return != "" {
			b.WriteString(" RET=" + q.DSN.Return)
		}
		if q.DSN.EnvelopID != "" {
			b.WriteString(" ENVID=" + xtext(q.DSN.EnvelopID))
		}
	}
	return b.String()
}

func (c *conn) rcptParameters(d store.DSN) string {
	if !c.offers("DSN") {
		return ""
	}
	var b strings.Builder
	if d.Notify != "" {
		b.WriteString(" NOTIFY=" + d.Notify)
	}
	if kind, address, ok := strings.Cut(d.Original, ";"); ok {
		b.WriteString(" ORCPT=" + originalRecipient(kind, address))
	}
	return b.String()
}

// envelope sends MAIL, RCPT and DATA, at once where the server offers
// PIPELINING (RFC 2920). It settles those who are refused; ready is true when
// the server waits for the message.
func (c *conn) envelope(commands []string, to []*recipient) (ready bool, v *verdict) {
	commands = append(commands, "DATA")
	step := 1
	if c.offers("PIPELINING") {
		step = len(commands)
	}
	var mail *verdict // of MAIL, and so of everybody
	for i := 0; i < len(commands); i += step {
		if err := c.write(c.timeouts.Command, strings.Join(commands[i:i+step], "\r\n")+"\r\n"); err != nil {
			return false, c.gone(err, "starting a mail")
		}
		for k := i; k < i+step; k++ {
			wait := c.timeouts.Command
			if k == len(commands)-1 {
				wait = c.timeouts.DataStart
			}
			_ = c.nc.SetDeadline(time.Now().Add(wait)) // a closed connection fails below
			r, err := c.readReply()
			if err != nil {
				return false, c.gone(err, "starting a mail")
			}
			if r.code == 421 {
				c.broken = true
				return false, c.refused(r, "3.2")
			}
			switch {
			case k == 0 && !r.ok():
				mail = c.refused(r, "1.0")
				settleAll(to, c, mail)
			case k == 0, k == len(commands)-1:
			case mail == nil && !r.ok():
				c.refuse(to[k-1], r)
			}
			if k == len(commands)-1 {
				ready = r.code == 354
				if !ready {
					settleAll(untried(to), c, c.refused(r, "3.0"))
				}
			}
		}
		// One after another, there is no need to go on for nobody.
		if len(untried(to)) == 0 && step == 1 {
			break
		}
	}
	if !ready {
		return false, c.reset()
	}
	return true, nil
}

// refuse settles a recipient that RCPT has refused.
func (c *conn) refuse(t *recipient, r reply) {
	v := c.refused(r, "1.0")
	// RFC 5321 §4.5.3.1.10: 552 is an older word for it.
	if t.again = r.code == 452 || r.code == 552 && v.detail == "5.3"; t.again {
		v.final = false
	}
	t.settle(c, v)
}

// reset forgets what the server has of a mail. Everybody is settled already,
// so a failure only costs the connection.
func (c *conn) reset() *verdict {
	if r, err := c.ask(c.timeouts.Command, "RSET"); err != nil || !r.ok() {
		c.broken = true
	}
	return nil
}

// data sends the message, and settles to.
func (c *conn) data(m *mail, to []*recipient) *verdict {
	// However steadily a server reads, it does not take for ever.
	until := time.Now().Add(c.timeouts.DataBlock + time.Duration(m.size/minRate)*time.Second)
	w := c.out
	w.Reset(deadlineWriter{c, until})
	var err error
	if c.in.Buffered() > 0 {
		err = errUnsolicited
	}
	if err == nil {
		_, err = m.WriteTo(w)
	}
	if err == nil {
		if _, err = w.WriteString(".\r\n"); err == nil {
			err = w.Flush()
		}
	}
	var own errRead
	if errors.As(err, &own) {
		c.log.Error("read a message", "err", own.error)
		c.broken = true // without its final dot the server has got nothing
		settleAll(to, c, later("3.0", "the message cannot be read at present"))
		return nil
	}
	if err != nil { // so the final dot was not sent either
		return c.interrupted(err, to)
	}
	// From here on it is unknown whether the server has taken the message:
	// nobody else is asked, and it is tried again later (RFC 5321 §6.1).
	_ = c.nc.SetDeadline(time.Now().Add(c.timeouts.DataEnd)) // a closed connection fails below
	r, err := c.readReply()
	if err != nil {
		v := c.gone(err, "confirming the message, which may arrive twice for that reason")
		v.lost = false
		settleAll(to, c, v)
		return nil
	}
	c.sent++
	c.broken = r.code == 421
	if !r.ok() {
		v := c.refused(r, "0.0")
		v.lost = false
		settleAll(to, c, v)
		return nil
	}
	for _, t := range to {
		t.settle(c, nil)
		t.reply, t.told = fmt.Sprintf("%d %s", r.code, r.text()), c.offers("DSN")
	}
	return nil
}

// interrupted is for a server that ends the connection within a message. It
// may have said why.
func (c *conn) interrupted(err error, to []*recipient) *verdict {
	v := c.gone(err, "sending the message")
	_ = c.nc.SetDeadline(time.Now().Add(time.Second)) // a closed connection fails below
	if r, err := c.readReply(); err == nil && r.code >= 400 {
		v = c.refused(r, "0.0")
		v.lost = false
		settleAll(to, c, v)
		return nil
	}
	return v
}

// minRate is how slowly a server may read a message, in octets per second.
const minRate = 2000

// deadlineWriter gives each piece its own time, and all of them until.
type deadlineWriter struct {
	c     *conn
	until time.Time
}

func (d deadlineWriter) Write(b []byte) (int, error) {
	limit := time.Now().Add(d.c.timeouts.DataBlock)
	if d.until.Before(limit) {
		limit = d.until
	}
	_ = d.c.nc.SetDeadline(limit) // a closed connection fails below
	return d.c.nc.Write(b)
}
