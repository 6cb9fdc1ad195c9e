package relay

import (
	"encoding/base64"

	"github.com/emersion/go-sasl"
)

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
			return nil
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

// response is an initial response; an empty one is written as "=".
func response(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}
