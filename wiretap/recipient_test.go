package wiretap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/wiretap"
)

// delivery is mail for ada, bob (twice) and carol, and a second one for bob.
const delivery = `
S: 220 mx ready
C: EHLO far
S: 250 mx
C: MAIL FROM:<eve@far>
C: RCPT TO:<Ada+news@x>
C: RCPT TO:<bob@x>
C: RCPT TO:<carol@x> NOTIFY=NEVER
S: 250 ok
S: 250 <ada+news@x> ok
S: 250 <bob@x> ok
S: 550-no
S: 550 <carol@x>
C: DATA
S: 354 go
C: To: ada@x
C: Bcc: bob@x,
C:  carol@x
C: Subject: hi
C: .
S: 250 stored for bob@x
C: MAIL FROM:<eve@far>
S: 250 ok
C: RCPT TO:<bob@x>
S: 250 ok
C: DATA
S: 354 go
C: Subject: for bob
C: .
S: 250 stored
C: QUIT
S: 221 bye
`

const deliveryForAda = `
S: 220 mx ready
C: EHLO far
S: 250 mx
C: MAIL FROM:<eve@far>
C: RCPT TO:<Ada+news@x>
S: 250 ok
S: 250 <ada+news@x> ok
C: DATA
S: 354 go
C: To: ada@x
C: Subject: hi
C: .
C: QUIT
S: 221 bye
`

func TestRecipientSeesNoOtherRecipients(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true, Everyone: true})
	c := newCall(t, tap, "smtp")
	c.talk(delivery)
	s := tap.Sessions()[0]
	same(t, wiretap.Transcript(s.For("ada@x")), deliveryForAda)
	if whole := wiretap.Transcript(s); !strings.Contains(whole, "carol@x> NOTIFY") {
		t.Errorf("the session itself was changed:\n%s", whole)
	}
	same(t, wiretap.Transcript(s.For("dan@x")), `
S: 220 mx ready
C: EHLO far
S: 250 mx
C: QUIT
S: 221 bye
`)
}

func TestOnlyRecipientsWhoOptedInSeeADelivery(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	all, cancelAll := tap.Subscribe(wiretap.Filter{})
	adas, cancelAdas := tap.Subscribe(wiretap.Filter{Proto: "smtp", User: "ada@x"})
	bobs, cancelBobs := tap.Subscribe(wiretap.Filter{User: "bob@x"})
	c := newCall(t, tap, "smtp")
	mail, rest, _ := strings.Cut(delivery, "S: 250 <ada")
	c.talk(mail)
	wiretap.User(c.server, "ada@x", true)
	wiretap.User(c.server, "bob@x", false)
	c.talk("S: 250 <ada" + rest)
	same(t, only(t, tap), deliveryForAda) // while it is open
	c.hangUp()
	same(t, only(t, tap), deliveryForAda)
	cancelAll()
	cancelAdas()
	cancelBobs()
	for name, events := range map[string]<-chan wiretap.Event{"all": all, "ada": adas} {
		t.Run(name, func(t *testing.T) {
			var seen strings.Builder
			for e := range events {
				if !e.Ended {
					seen.WriteString(e.Line.String() + "\n")
				}
			}
			same(t, seen.String(), deliveryForAda)
		})
	}
	for e := range bobs {
		t.Errorf("bob saw %+v", e)
	}
}

func TestSubmissionBelongsToItsSender(t *testing.T) {
	for _, test := range []struct {
		name             string
		code             string
		senderIn         bool
		user, recipients string
		kept             int
	}{
		{"in", "235 ok", true, "eve@x", "[ada@x]", 1},
		{"out", "235 ok", false, "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			tap := wiretap.New(wiretap.Config{Enabled: true})
			c := newCall(t, tap, "submission")
			c.talk("S: 220 x\nC: AUTH PLAIN AGV2ZQBnZWhlaW0=\n")
			wiretap.User(c.server, "eve@x", test.senderIn)
			c.talk("S: " + test.code + "\nC: MAIL FROM:<eve@x>\nS: 250 ok\nC: RCPT TO:<ada@x>\n")
			wiretap.User(c.server, "ada@x", true)
			c.hangUp()
			sessions := tap.Sessions()
			if len(sessions) != test.kept {
				t.Fatalf("%d sessions are kept", len(sessions))
			}
			if test.kept > 0 && (sessions[0].User != test.user || fmt.Sprint(sessions[0].Recipients) != test.recipients) {
				t.Errorf("got %+v", sessions[0])
			}
		})
	}
}

func TestFailedLoginMakesNoSender(t *testing.T) {
	tap := wiretap.New(wiretap.Config{Enabled: true})
	c := newCall(t, tap, "smtp")
	c.talk("S: 220 x\nC: AUTH PLAIN AGV2ZQBnZWhlaW0=\nS: 535 no\nC: MAIL FROM:<eve@x>\nS: 250 ok\nC: RCPT TO:<bob@x>\nS: 250 ok\nC: RCPT TO:<ada@x>\n")
	wiretap.User(c.server, "ada@x", true)
	if got := only(t, tap); strings.Contains(got, "bob") {
		t.Errorf("ada saw\n%s", got)
	}
}
