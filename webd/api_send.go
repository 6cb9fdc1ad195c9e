package webd

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// apiLetter is a message to be sent.
type apiLetter struct {
	From        string    `json:"from"` // "" is the user's own address
	To          []string  `json:"to"`
	Cc          []string  `json:"cc"`
	Bcc         []string  `json:"bcc"`
	Subject     string    `json:"subject"`
	Text        string    `json:"text"`
	InReplyTo   string    `json:"in_reply_to"` // message identifier
	References  []string  `json:"references"`
	Attachments []apiFile `json:"attachments"`
	Save        bool      `json:"save"` // keep a copy in Sent
}

type apiFile struct {
	Name    string `json:"name"`
	Type    string `json:"type"`    // "" is found out from the name
	Content []byte `json:"content"` // base64 in JSON
}

type apiSent struct {
	MessageID string `json:"message_id"`
}

// sendMessage sends mail by the same way as the browser.
func sendMessage(c *call) error {
	var a apiLetter
	if err := c.body(c.s.MaxSize*3/2+maxAPIBody, &a); err != nil {
		return err
	}
	l, err := c.letter(&a)
	if err != nil {
		return err
	}
	spool, err := c.s.put(l)
	if err != nil {
		return err
	}
	defer spool.Close()
	err = c.s.admit(c.Context(), c.user, l.recipients(), spool.Size())
	if err == nil {
		err = c.s.post(c.Context(), c.user.ID, l.From, l.recipients(), spool)
	}
	if err != nil {
		var refused *refusal
		if errors.As(err, &refused) {
			if p, known := replyTo(refused.err); known {
				return &detailed{p, map[string]any{"field": "to", "address": refused.Address}}
			}
		}
		return err
	}
	if a.Save {
		if err := c.s.keepSent(c.Context(), c.user.ID, spool); err != nil {
			return err
		}
	}
	return c.answer(http.StatusAccepted, apiSent{l.ID})
}

// letter makes a letter of what came with a call.
func (c *call) letter(a *apiLetter) (*letter, error) {
	l := &letter{
		ID: message.NewMessageID(c.s.Hostname), Date: c.s.Now(), From: author(c.user), Subject: a.Subject, Text: a.Text,
		InReplyTo: bareID(a.InReplyTo),
	}
	if err := singleLine(append([]string{a.Subject, a.InReplyTo}, a.References...)...); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		from []string
		into *[]message.Address
	}{{"to", a.To, &l.To}, {"cc", a.Cc, &l.Cc}, {"bcc", a.Bcc, &l.Bcc}} {
		all, err := parseRecipients(strings.Join(f.from, ", "))
		if p, known := replyTo(err); err != nil && known {
			return nil, p.about(f.name)
		}
		*f.into = all
	}
	switch n := len(l.recipients()); {
	case n == 0:
		return nil, errNobody
	case n > maxRecipients:
		return nil, store.ErrLimit
	}
	if a.From != "" {
		from, err := parseRecipients(a.From)
		if err != nil || len(from) != 1 {
			return nil, store.ErrBadAddress
		}
		if _, err := c.s.sender(c.Context(), c.user.ID, from[0]); err != nil {
			return nil, err
		}
		l.From = from[0]
	}
	for _, id := range a.References {
		if id = bareID(id); id != "" {
			l.References = append(l.References, id)
		}
	}
	for _, f := range a.Attachments {
		if err := singleLine(f.Name, f.Type); err != nil {
			return nil, err
		}
		l.Files = append(l.Files, enclosure{Name: f.Name, Type: f.Type, Size: int64(len(f.Content)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(f.Content)), nil
		}})
	}
	return l, nil
}

// bareID is a message identifier without its brackets and what could break
// out of them.
func bareID(id string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '<' || r == '>' || r == 0x7f {
			return -1
		}
		return r
	}, id)
}
