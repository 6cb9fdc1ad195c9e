package webd

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// wireLife is one mail's way through the conversations.
type wireLife struct {
	ID    string
	Lanes []wireLane
}

// wireLane is one conversation's part in it.
type wireLane struct {
	wireSession
	Deeds []string
	Lines []labLine
}

// mailID reports whether a text can be the id of a Received field of ours.
func mailID(id string) bool {
	return len(id) >= 8 && len(id) <= 40 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// life finds every conversation that had to do with a mail.
func (v *visit) life(t *trail, all []wiretap.Session) *wireLife {
	life := &wireLife{ID: t.id}
	for i, deeds := range t.follow(all) {
		if len(deeds) > 0 {
			life.Lanes = append(life.Lanes, wireLane{v.wireSession(all[i]), v.deedTexts(deeds), v.deedLines(all[i], deeds)})
		}
	}
	slices.SortStableFunc(life.Lanes, func(a, b wireLane) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
	return life
}

// maxLaneLines is how much of a conversation a lane shows.
const maxLaneLines = 40

// deedLines are the lines in which something was done: where it was asked for
// and where it was granted, each with the line below.
func (v *visit) deedLines(s wiretap.Session, deeds []deed) []labLine {
	lines := v.wireLines(s)
	chosen := map[int]bool{}
	for _, d := range deeds {
		for _, at := range []int{d.Line, d.Line + 1, d.Reply, d.Reply + 1} {
			if at < len(lines) && (at == d.Line || at == d.Reply || s.Lines[at].Dir != wiretap.Client) {
				chosen[at] = true
			}
		}
	}
	var some []labLine
	for _, at := range slices.Sorted(maps.Keys(chosen)) {
		some = append(some, lines[at])
	}
	return some[:min(len(some), maxLaneLines)]
}

// deedTexts says what was done, each thing once.
func (v *visit) deedTexts(deeds []deed) (texts []string) {
	for _, d := range deeds {
		if text := v.deedText(d); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts[:min(len(texts), maxLaneLines)]
}

func (v *visit) deedText(d deed) string {
	switch d.Kind {
	case "moved", "copied":
		return v.T("deed."+d.Kind, cmp.Or(v.labFolder(d.Detail), v.T("folder.inbox")))
	case "flags", "told", "relayed", "relay-refused":
		return v.T("deed."+d.Kind, d.Detail)
	}
	return v.T("deed." + d.Kind)
}

// arrivalTranscript is the SMTP session that brought a mail, as far as the
// user may see it: found by the id that our Received field has, which the
// server said when it took the mail.
func (s *Server) arrivalTranscript(u store.User, received string) (wiretap.Session, bool) {
	if s.Tap == nil || !mailID(received) {
		return wiretap.Session{}, false
	}
	for _, session := range slices.Backward(s.Tap.Sessions()) {
		if wiretap.Protocol(session.Proto) != "smtp" || !slices.ContainsFunc(session.Lines, func(l wiretap.Line) bool {
			return acceptedAs(l) == received
		}) {
			continue
		}
		return ownPart(session, u)
	}
	return wiretap.Session{}, false
}
