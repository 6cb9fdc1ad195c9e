package relay

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// Mechanisms that prove a password without telling it (RFC 5802, RFC 7677);
// the second also that nobody sits in the middle of the TLS connection.
const (
	scramPlain = "SCRAM-SHA-256"
	scramPlus  = "SCRAM-SHA-256-PLUS"
)

// Bounds on the work that a server asks of us for a login. RFC 7677 §4 sets
// the least; the most has as many digits as this.
const (
	minIterations = 4096
	maxIterations = "999999"
)

// login authenticates us (RFC 4954). Where it fails the mail waits: the
// password is the administrator's mistake, not the sender's.
func (c *conn) login() *verdict {
	if c.host.user == "" {
		return nil
	}
	mechanism, err := c.mechanism(strings.Fields(strings.ToUpper(c.extensions["AUTH"])))
	switch {
	case err != nil:
		c.log.Error("login impossible", "user", c.host.user, "err", err)
		return later("7.0", "the login could not be made")
	case mechanism == nil:
		return later("7.0", "%s offers no way to log in that we know", c.host.name)
	}
	v := c.authenticate(mechanism)
	if v != nil && v.final {
		v.final = false
		c.log.Error("login refused", "user", c.host.user, "reply", v.reply())
	}
	return v
}

// mechanism is the best of those offered, or nil.
func (c *conn) mechanism(offered []string) (sasl.Client, error) {
	offers := func(m string) bool { return slices.Contains(offered, m) }
	// Before TLS 1.3 there is no binding that all servers have (RFC 9266 §1).
	binds := c.tls != nil && c.tls.Version >= tls.VersionTLS13
	switch {
	case offers(scramPlus) && binds:
		binding, err := scram.NewTLSExporterBinding(c.tls)
		if err != nil {
			return nil, err
		}
		return newScram(scramPlus, c.host, func(s *scram.Client) *scram.ClientConversation { return s.NewConversationWithChannelBinding(binding) })
	case offers(scramPlain) && binds:
		// RFC 5802 §6: if it does offer the other, somebody has taken that out.
		return newScram(scramPlain, c.host, (*scram.Client).NewConversationAdvertisingChannelBinding)
	case offers(scramPlain):
		return newScram(scramPlain, c.host, (*scram.Client).NewConversation)
	case offers(sasl.Plain):
		return sasl.NewPlainClient("", c.host.user, c.host.password), nil
	case offers(sasl.Login):
		return sasl.NewLoginClient(c.host.user, c.host.password), nil
	}
	return nil, nil
}

// scramClient is the library's client as a [sasl.Client].
type scramClient struct {
	name string
	*scram.ClientConversation
}

func newScram(name string, h host, converse func(*scram.Client) *scram.ClientConversation) (sasl.Client, error) {
	client, err := scram.SHA256.NewClient(h.user, h.password, "")
	if err != nil {
		return nil, errors.New("user name or password have characters that cannot be") // the library's error could cite them
	}
	return &scramClient{name, converse(client.WithMinIterations(minIterations))}, nil
}

func (s *scramClient) Start() (mechanism string, first []byte, err error) {
	text, err := s.Step("")
	return s.name, []byte(text), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	for _, attribute := range strings.Split(string(challenge), ",") {
		if n, ok := strings.CutPrefix(attribute, "i="); ok && len(n) > len(maxIterations) {
			return nil, errors.New("too many iterations")
		}
	}
	text, err := s.Step(string(challenge))
	return []byte(text), err
}

// authenticate runs one SASL exchange (RFC 4954 §4).
func (c *conn) authenticate(mechanism sasl.Client) *verdict {
	name, first, err := mechanism.Start()
	if err != nil {
		return later("7.0", "the login could not be made")
	}
	command := "AUTH " + name
	if first != nil {
		command += " " + response(first)
	}
	const maxChallenges = 8
	for range maxChallenges {
		r, err := c.ask(c.timeouts.Command, "%s", command)
		switch {
		case err != nil:
			return c.gone(err, "logging in")
		case r.code == 235:
			return c.proved(mechanism)
		case r.code != 334:
			return c.refused(r, "7.8")
		}
		challenge, err := base64.StdEncoding.DecodeString(r.lines[0])
		var next []byte
		if err == nil {
			next, err = mechanism.Next(challenge)
		}
		command = base64.StdEncoding.EncodeToString(next)
		if err != nil {
			command = "*"
		}
	}
	return later("7.0", "%s does not come to an end with the login", c.host.name)
}

// proved is the verdict on a login that the server calls good. By SCRAM a
// server proves that it knows the password too (RFC 5802 §3); one that does
// not is not the one we know.
func (c *conn) proved(mechanism sasl.Client) *verdict {
	s, ok := mechanism.(*scramClient)
	if !ok || s.Valid() {
		return nil
	}
	return later("7.0", "%s has not proven that it is the server of this account", c.host.name)
}

// response is an initial response; an empty one is written as "=".
func response(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}
