package imapd

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/listen"
)

// libraryCaps is what the library must know to serve what we announce. It
// composes lists of its own from it, which capabilities then replaces.
var libraryCaps = imap.CapSet{
	imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}, imap.CapLiteralPlus: {},
	imap.CapNamespace: {}, imap.CapMove: {}, imap.CapUnauthenticate: {},
	imap.CapUIDPlus: {}, imap.CapESearch: {}, imap.CapSearchRes: {},
	imap.CapListExtended: {}, imap.CapListStatus: {}, imap.CapStatusSize: {},
	imap.CapChildren: {}, imap.CapSpecialUse: {}, imap.CapCreateSpecialUse: {},
	imap.CapBinary: {},
}

// served is announced to whoever has logged in. RFC 7888 §5 forbids to
// announce LITERAL- beside LITERAL+, which the library does.
const served = "IMAP4rev2 IMAP4rev1 SASL-IR LITERAL+ ENABLE ID IDLE UNSELECT UTF8=ACCEPT NAMESPACE UIDPLUS " +
	"ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS MOVE STATUS=SIZE BINARY CHILDREN SPECIAL-USE " +
	"CREATE-SPECIAL-USE UNAUTHENTICATE APPENDLIMIT=%d"

// capabilities is the truth about what this connection can do now.
func (c *conn) capabilities() string {
	if c.authenticated() {
		return fmt.Sprintf(served, c.server.config.MaxSize)
	}
	caps := "IMAP4rev2 IMAP4rev1 SASL-IR LITERAL+ ENABLE ID"
	if c.server.config.TLS != nil && !c.secure() {
		caps += " STARTTLS"
	}
	mechanisms := c.mechanisms()
	if len(mechanisms) == 0 {
		caps += " LOGINDISABLED"
	}
	for _, m := range mechanisms {
		caps += " AUTH=" + m
	}
	return caps
}

// mechanisms are the SASL mechanisms on offer.
func (c *conn) mechanisms() []string {
	state, ok := listen.ConnectionState(c.wire())
	return auth.Mechanisms(c.secure(), c.server.config.PlaintextOK, ok && auth.HasBinding(&state))
}

// What the library answers to whatever it cannot parse, unless it calls it a
// syntax error. No method of the session lets it say so: see reply.
const libraryBug = "NO [SERVERBUG] Internal server error\r\n"

// revise changes what the library says about itself, and leaves out what it
// should not say; out is locked. Message data it never touches: it looks only
// at the first octets of an answer, or at answers that hold no such data.
func (c *conn) revise(b []byte) []byte {
	first := !c.out.begun
	c.out.begun = c.out.begun || !bytes.HasPrefix(b, []byte("+ ")) // which asks, and answers nothing
	tagged := bytes.HasPrefix(b, []byte(c.out.cmd.tag+" "))
	if tagged && !c.out.answered {
		c.out.answered = true
		if first && string(b[len(c.out.cmd.tag)+1:]) == libraryBug {
			return []byte(c.out.cmd.tag + " " + c.misunderstood() + "\r\n")
		}
	}
	if first && c.out.cmd.saveOnly && bytes.HasPrefix(b, []byte("* ESEARCH ")) {
		return nil
	}
	switch c.out.cmd.name {
	case "", "CAPABILITY", "LOGIN", "AUTHENTICATE":
		return c.withCapabilities(b)
	}
	return b
}

// withCapabilities replaces the list in a CAPABILITY response or code, and the
// name in the greeting.
func (c *conn) withCapabilities(b []byte) []byte {
	line := string(b)
	for _, open := range []string{"* CAPABILITY ", " [CAPABILITY "} {
		before, rest, found := strings.Cut(line, open)
		if !found || open[0] == '*' && before != "" {
			continue
		}
		if end := strings.IndexAny(rest, "]\r"); end >= 0 {
			rest = strings.Replace(rest[end:], "IMAP server ready", c.server.config.Hostname+" ready", 1)
			return []byte(before + open + c.capabilities() + rest)
		}
	}
	return b
}

// misunderstood is what a client hears whose command the library could not
// make sense of: where there is nothing but a mailbox name to stumble over,
// that was it. RFC 9051 §5.1
func (c *conn) misunderstood() string {
	switch c.out.cmd.name {
	case "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB", "STATUS":
		return "NO [CANNOT] Not a mailbox name"
	}
	return "BAD [CLIENTBUG] Syntax error"
}
