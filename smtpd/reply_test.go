package smtpd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/store"
)

func TestReplyTo(t *testing.T) {
	for want, err := range map[string]error{
		"535 5.7.8": store.ErrBadCredentials,
		"454 4.7.0": auth.ErrThrottled,
		"550 5.1.1": store.ErrNoSuchUser,
		"550 5.7.1": store.ErrNotLocal,
		"553 5.1.3": store.ErrBadAddress,
		"452 4.2.2": store.ErrOverQuota,
		"552 5.3.4": store.ErrTooLarge,
		"550 5.6.0": store.ErrNotCanonical,
		"452 4.3.1": store.ErrFull,
		"451 4.3.0": errors.New("database is locked"),
	} {
		for _, err := range []error{err, fmt.Errorf("while testing: %w", err)} {
			r, _ := replyTo(err)
			if got := line(r); !strings.HasPrefix(got, want) || strings.Contains(got, "locked") {
				t.Errorf("%v: %q, want %s", err, got, want)
			}
		}
	}
}

// The library would send the text of any other error to the client, as a
// permanent failure.
func TestInternalErrorsStayInside(t *testing.T) {
	h := newHouse(t)
	h.user("ada@example.test", "secret")
	c := h.client()
	c.do("MAIL FROM:<bob@far.test>", "250")
	c.do("RCPT TO:<ada@example.test>", "250")
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "451 4.3.0 Something went wrong here, please try again later\r\n"
	if r := c.do("RCPT TO:<ada@example.test>", "451"); r != want {
		t.Errorf("RCPT got %q", r)
	}
	c.do("DATA", "354")
	c.send("Subject: lost\r\n\r\n.\r\n")
	if r := c.want("451"); r != want {
		t.Errorf("DATA got %q", r)
	}
	c.do("MAIL FROM:<bob@far.test>", "250")
	c.do("RSET", "250")
	if log := h.log.String(); strings.Count(log, "level=ERROR msg=failed proto=smtp conn=") != 2 {
		t.Errorf("log:\n%s", log)
	}
}

// A full disk is the client's business, and more so that of whoever reads logs.
func TestFullDiskIsLogged(t *testing.T) {
	h := newHouse(t)
	s := &session{Config: h.config, conn: &conn{}, log: h.config.Log}
	err := s.reply("DATA", fmt.Errorf("%w: 7 octets left", store.ErrFull))
	if r, ok := err.(*reply); !ok || r.Code != 452 {
		t.Errorf("got %v", err)
	}
	if log := h.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "7 octets left") {
		t.Errorf("log:\n%s", log)
	}
}

func TestRequoted(t *testing.T) {
	for in, want := range map[string]string{
		"":           "",
		"ada@x":      "ada@x",
		"a b@x":      `"a b"@x`,
		"a@b@x":      `"a@b"@x`,
		"a..b@x":     `"a..b"@x`,
		"a.@x":       `"a."@x`,
		`a"b\@x`:     `"a\"b\\"@x`,
		"a%b!c@x":    "a%b!c@x",
		"postmaster": "postmaster",
	} {
		if got := requoted(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
