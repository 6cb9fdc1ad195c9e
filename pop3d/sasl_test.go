package pop3d

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// RFC 5034 §4, RFC 7677, RFC 9266: SCRAM with and without channel binding.
func TestScram(t *testing.T) {
	h := newHouse(t)
	trust := h.giveTLS()
	h.ada()

	c := h.connect()
	c.scram(t, "SCRAM-SHA-256", "secret", nil)
	c.want("+OK 0 messages *")
	c.ask("QUIT", "+OK *")

	c = h.connect()
	c.ask("STLS", "+OK *")
	conn := tls.Client(c.Conn, trust)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	c = talk(t, conn)
	c.scram(t, "SCRAM-SHA-256-PLUS", "wrong", &state)
	c.want("-ERR [AUTH] *")
	c.scram(t, "SCRAM-SHA-256-PLUS", "secret", &state)
	c.want("+OK 0 messages *")
}

// scram goes through an exchange up to its last answer.
func (c *client) scram(t *testing.T, mech, password string, state *tls.ConnectionState) {
	t.Helper()
	sc, err := scram.SHA256.NewClient("ada@example.test", password, "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := sc.NewConversation()
	if state != nil {
		binding, err := scram.NewTLSExporterBinding(state)
		if err != nil {
			t.Fatal(err)
		}
		conversation = sc.NewConversationWithChannelBinding(binding)
	}
	first, err := conversation.Step("")
	if err != nil {
		t.Fatal(err)
	}
	c.say("AUTH " + mech + " " + base64.StdEncoding.EncodeToString([]byte(first)))
	for range 2 {
		line, err := c.ReadLine()
		if err != nil {
			t.Fatal(err)
		}
		text, more := strings.CutPrefix(line, "+ ")
		if !more {
			t.Fatalf("%q instead of a challenge", line)
		}
		challenge, _ := base64.StdEncoding.DecodeString(text)
		answer, err := conversation.Step(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		c.say(base64.StdEncoding.EncodeToString([]byte(answer)))
		if password == "wrong" {
			return
		}
	}
	if !conversation.Valid() {
		t.Error("the server has not proved that it knows the password")
	}
}

// RFC 5034 §4: lines of an exchange may be longer than commands, but not for
// ever.
func TestLongResponses(t *testing.T) {
	h := newHouse(t)
	u := h.ada()
	c := h.connect()
	c.ask("AUTH PLAIN", "+ *")
	c.ask(base64.StdEncoding.EncodeToString(make([]byte, 3000)), "-ERR *")
	c.ask("AUTH PLAIN", "+ *")
	c.ask(strings.Repeat("A", maxResponse), "-ERR line too long")
	c.ask("USER "+u.Address, "+OK *")
	c.ask("PASS secret", "+OK *")
}

// A client that leaves in the middle of an exchange leaves nothing behind.
func TestExchangeCutOff(t *testing.T) {
	h := newHouse(t)
	h.ada()
	c := h.connect()
	c.ask("AUTH LOGIN", "+ *")
	c.Close()
	h.waitClosed()
}
