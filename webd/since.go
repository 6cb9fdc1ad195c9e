package webd

import (
	"fmt"
	"slices"
	"time"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// arrivalTalk is the conversation that brought a mail.
type arrivalTalk struct {
	wireSession
	Lines []labLine
}

// happening is something that a device of the user has done to the mail.
type happening struct {
	wireSession
	Time  time.Time
	Text  string
	Place string // URL of where the conversation says so
}

// maxHappenings is how many a page shows, the last.
const maxHappenings = 100

// since adds what conversations tell of the mail, as far as they are kept and
// are the user's: the one that brought it, and what has been done to it.
func (v *visit) since(a *journey, box folder, m *store.Message) {
	if v.s.Tap == nil {
		return
	}
	id, name := "", box.name(m.UID)
	if n := len(a.Hops); n > 0 && a.Hops[n-1].Ours && mailID(a.Hops[n-1].ID) {
		id = a.Hops[n-1].ID
		a.LifeOf = "/wire?mail=" + id + "&at=" + name
	}
	a.Untold = "arrived.as-recorded"
	switch {
	case !v.s.Tap.Enabled():
		a.Untold = "arrived.tap-off"
	case !v.s.Demo && !v.user.Tap:
		a.Untold = "arrived.not-recorded"
	}
	if s, ok := v.s.arrivalTranscript(v.user, id); ok {
		a.Talk = &arrivalTalk{v.wireSession(s), v.wireLines(s)}
		a.Talk.URL = wirePlace(s, 0)
	}
	var own []wiretap.Session
	for _, s := range v.s.Tap.Sessions() {
		if s, ok := ownPart(s, v.user); ok {
			own = append(own, s)
		}
	}
	t := newTrail(id, name)
	if box.Is("send") {
		t.sent = m.Envelope.MessageID
	}
	for i, deeds := range t.follow(own) {
		for _, d := range deeds {
			if d.Kind == "delivered" {
				continue // told above
			}
			if d.Kind == "deleted" && box.Is("inbox") {
				d.Kind = "hidden" // it is still here: the policy keeps it
			}
			s := own[i]
			a.Since = append(a.Since, happening{v.wireSession(s), s.Lines[d.Reply].Time, v.deedText(d), wirePlace(s, d.Reply)})
		}
	}
	slices.SortStableFunc(a.Since, func(a, b happening) int { return a.Time.Compare(b.Time) })
	a.Since = a.Since[max(0, len(a.Since)-maxHappenings):]
}

// wirePlace is the URL of a line in the wire log.
func wirePlace(s wiretap.Session, line int) string {
	return fmt.Sprintf("/wire?a=%d#c%d-%d", s.ID, s.ID, line+1)
}
