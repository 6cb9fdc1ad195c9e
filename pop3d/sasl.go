package pop3d

import (
	"bufio"
	"encoding/base64"
	"slices"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

// mechanisms are the SASL mechanisms of this connection as it is now.
func (s *session) mechanisms() []string {
	return auth.Mechanisms(s.secure(), s.PlaintextOK, auth.HasBinding(s.tls))
}

// auth is one SASL exchange (RFC 5034 §4). Without an argument it lists the
// mechanisms: no RFC says so, older clients ask that way.
func (s *session) auth(args []string) reply {
	offered := s.mechanisms()
	if len(args) == 0 {
		r := ok(mechanismList)
		r.body = func(w *bufio.Writer) error {
			for _, m := range offered {
				w.WriteString(m + "\r\n")
			}
			return nil
		}
		return r
	}
	mech := upper(args[0])
	switch {
	case !s.mayLogin():
		return fail(codeNone, useTLS)
	case !slices.Contains(offered, mech):
		return fail(codeNone, mechanismUnknown)
	}
	var first []byte // nil: no initial response
	if len(args) == 2 {
		var err error
		if first, err = initialResponse(args[1]); err != nil {
			return fail(codeNone, saslNotBase64)
		}
	}
	exchange, err := s.Auth.Begin(s.ctx, mech, auth.Facts{
		Remote:      s.raw.RemoteAddr(),
		TLS:         s.tls,
		PlusOffered: slices.Contains(offered, auth.ScramSHA256Plus),
		Service:     service,
	})
	if err != nil {
		return s.login(store.User{}, err)
	}
	return s.exchange(exchange, first)
}

// exchange passes challenges and responses on until the mechanism has seen
// enough.
func (s *session) exchange(x auth.Exchange, response []byte) reply {
	for {
		challenge, done, err := x.Next(response)
		if err != nil || done {
			return s.login(x.User(), err)
		}
		if _, err := s.out.WriteString("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n"); err != nil {
			return gone
		}
		line, err := s.readLine(maxResponse)
		switch {
		case err != nil:
			return s.unread(err)
		case line == "*":
			return fail(codeNone, saslCancelled)
		}
		// Strict: a decoder that forgives lets two spellings be one.
		if response, err = base64.StdEncoding.Strict().DecodeString(line); err != nil {
			return fail(codeNone, saslNotBase64)
		}
	}
}

// initialResponse decodes the argument of AUTH: "=" is an empty response,
// which is not the same as none (RFC 5034 §4).
func initialResponse(arg string) ([]byte, error) {
	if arg == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.Strict().DecodeString(arg)
}
