package lab

import (
	"bytes"
	"context"
	"fmt"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/yubin-mail/yubin/wiretap"
)

// sender hands mail over by SMTP: another mail server does it at the MX port,
// a person's device at the submission port, where it logs in.
type sender struct {
	*gear
	greeting string // what it calls itself
	login    bool
}

// send delivers one mail in a connection of its own.
func (s *sender) send(ctx context.Context, l letter, from, to string, raw []byte) (err error) {
	proto, address := "smtp", s.stage.recorder.server.SMTP
	if submission := s.stage.recorder.server.Submission; s.login && submission != "" {
		proto, address = "submission", submission
	}
	conn, err := s.open(ctx, proto, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := smtp.NewClient(conn)
	c.CommandTimeout, c.SubmissionTimeout = patience, 3*patience
	if err := c.Hello(s.greeting); err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	if s.login {
		s.setUp("outgoing server", "outgoing port")
	}
	if proto == "submission" {
		s.setUp("outgoing user", "outgoing password")
		if err := c.Auth(sasl.NewPlainClient("", s.account.Address, s.account.Password)); err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
	}
	start := len(conn.lines())
	if err := c.SendMail(from, []string{to}, bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("send to %s: %w", to, err)
	}
	ref := conn.since(start)
	if data, found := conn.find(start, wiretap.Client, "DATA"); found {
		ref.From = data.From
	}
	e := s.note(send, ref)
	e.mail, e.octets = l.id, int64(len(raw))
	return c.Quit()
}
