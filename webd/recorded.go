package webd

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/store"
	"github.com/yubin-mail/yubin/wiretap"
)

// A browser's requests are nothing that the tap could listen to, so what they
// do to mail is told to it: one conversation for a login, of the requests
// that touch messages only, with a remark for each message.

// maxRecorded is how many messages of one request are told of.
const maxRecorded = 50

// record notes what this request has done, where the user's conversations are
// recorded.
func (v *visit) record(done ...string) {
	s := v.session
	s.telling.Lock()
	defer s.telling.Unlock()
	select {
	case <-s.ended:
		return
	default:
	}
	if !v.s.Demo && !v.user.Tap {
		s.wire.End()
		return
	}
	request := v.Method + " " + v.URL.Path + " " + v.Proto // the rest of the URL is nobody's business
	if !s.wire.Say(wiretap.Client, request) {
		s.wire.End()
		security := ""
		if v.isSecure() {
			security = "tls"
		}
		s.wire = v.s.Tap.Log("http", security, v.Host, v.RemoteAddr, v.user.Address, v.user.Tap)
		s.wire.Say(wiretap.Client, request)
	}
	for i, text := range done {
		if i == maxRecorded {
			s.wire.Say(wiretap.Note, "and "+strconv.Itoa(len(done)-i)+" more")
			break
		}
		s.wire.Say(wiretap.Note, text)
	}
	status := http.StatusOK
	if v.Method == http.MethodPost && !v.wantsJSON() {
		status = http.StatusSeeOther
	}
	s.wire.Say(wiretap.Server, v.Proto+" "+strconv.Itoa(status)+" "+http.StatusText(status))
}

// hush ends what is told of a session that is over.
func (s *session) hush() {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.wire.End()
}

// name is what a message is called on the wire.
func (f folder) name(uid store.UID) string {
	return uidName(strconv.FormatUint(uint64(f.UIDValidity), 10), strconv.FormatUint(uint64(uid), 10))
}

// flagged is the remark that a flag has been set or cleared.
func flagged(f folder, uid store.UID, op store.FlagOp, flag string) string {
	sign := "+"
	if op == store.RemoveFlags {
		sign = "-"
	}
	return "flags " + f.name(uid) + " " + sign + flag
}

func (v *visit) recordFlags(f folder, uids []store.UID, op store.FlagOp, flag string) {
	var done []string
	for _, uid := range uids {
		done = append(done, flagged(f, uid, op, flag))
	}
	v.record(done...)
}

func (v *visit) recordMove(from, to folder, pairs []store.UIDPair) {
	var done []string
	for _, p := range pairs {
		done = append(done, "moved "+from.name(p.From)+" "+to.name(p.To)+" "+to.Name)
	}
	v.record(done...)
}

// inHTTP finds what a browser has done.
func (t *trail) inHTTP(s wiretap.Session) (found []deed) {
	asked := 0
	for i, line := range s.Lines {
		if line.Dir == wiretap.Client {
			asked = i
		}
		if line.Dir != wiretap.Note {
			continue
		}
		words := strings.SplitN(line.Text, " ", 4)
		d := deed{Kind: words[0], Line: asked, Reply: i}
		switch {
		case d.Kind == "opened" && len(words) == 2 && t.names[words[1]]:
		case d.Kind == "flags" && len(words) > 2 && t.names[words[1]]:
			d.Detail = strings.Join(words[2:], " ")
		case d.Kind == "moved" && len(words) == 4 && (t.names[words[1]] || t.names[words[2]]):
			t.names[words[1]], t.names[words[2]] = true, true
			d.Detail = words[3]
		default:
			continue
		}
		found = append(found, d)
	}
	return found
}
