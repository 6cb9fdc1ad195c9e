package webd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/wiretap"
)

// trail is one mail as conversations name it: by the id in the Received field
// that we put on top, which it keeps for ever, and by UIDVALIDITY and UID,
// which change when it moves. Whoever follows a trail learns names on the way.
type trail struct {
	id    string
	sent  string          // Message-ID, without brackets, of a mail that the user has sent; or ""
	names map[string]bool // such as "3.41", as POP3's UIDL has them
}

// deed is something that was done to the mail in a conversation.
type deed struct {
	Kind   string // "deed." and this is its text
	Detail string
	Line   int // where it was asked for, from 0
	Reply  int // where it was granted
}

func newTrail(id string, names ...string) *trail {
	t := &trail{id: id, names: make(map[string]bool)}
	if !mailID(id) {
		t.id = ""
	}
	for _, name := range names {
		t.names[name] = true
	}
	return t
}

// uidName is what a message is called within its store.
func uidName(validity, uid string) string { return validity + "." + uid }

// maxPasses bounds how often all conversations are read: once more for every
// move that only a later conversation tells of.
const maxPasses = 5

// follow finds what was done to the mail, by conversation.
func (t *trail) follow(all []wiretap.Session) [][]deed {
	found := make([][]deed, len(all))
	for range maxPasses {
		known := len(t.names)
		for i, s := range all {
			found[i] = t.in(s)
		}
		if len(t.names) == known {
			break
		}
	}
	return found
}

// in finds what one conversation has done.
func (t *trail) in(s wiretap.Session) []deed {
	switch wiretap.Protocol(s.Proto) {
	case "smtp":
		return t.inSMTP(s)
	case "pop3":
		return t.inPOP3(s)
	case "imap":
		return t.inIMAP(s)
	case "relay":
		return t.inRelay(s)
	case "http":
		return t.inHTTP(s)
	}
	return nil
}

// inSMTP finds where the server took the mail.
func (t *trail) inSMTP(s wiretap.Session) (found []deed) {
	for i, line := range s.Lines {
		if t.id == "" || acceptedAs(line) != t.id {
			continue
		}
		kind := "delivered"
		if s.User != "" {
			kind = "submitted"
		}
		found = append(found, deed{Kind: kind, Line: i, Reply: i})
	}
	return found
}

// inRelay finds what another server said to the mail.
func (t *trail) inRelay(s wiretap.Session) (found []deed) {
	var mark postmark
	mine, asked := false, -1
	for i, line := range s.Lines {
		switch {
		case line.Dir == wiretap.Client && line.Body:
			mine = mark.has(line.Text, t.id) || mark.isCalled(line.Text, t.sent) || mine
		case line.Dir == wiretap.Client:
			if mine && line.Text == "." {
				asked = i
			} else if verb, _, _ := strings.Cut(strings.ToUpper(line.Text), " "); verb == "MAIL" {
				mine, asked, mark = false, -1, postmark{}
			}
		case line.Dir == wiretap.Server && asked >= 0:
			kind := "relay-refused"
			if strings.HasPrefix(line.Text, "2") {
				kind = "relayed"
			}
			found = append(found, deed{Kind: kind, Detail: line.Text, Line: asked, Reply: i})
			mine, asked = false, -1
		}
	}
	return found
}

// postmark looks for our id in the topmost Received field of a message that
// goes by. What stands further down anybody may have written.
type postmark struct {
	received int
	field    string
	over     bool // the header is
}

func (p *postmark) has(line, id string) bool {
	switch {
	case p.over:
		return false
	case line == "":
		p.over = true
		return false
	case line[0] != ' ' && line[0] != '\t':
		name, _, _ := strings.Cut(line, ":")
		p.field = strings.ToLower(strings.TrimSpace(name))
		if p.field == "received" {
			p.received++
		}
	}
	if id == "" || p.field != "received" || p.received != 1 {
		return false
	}
	words := strings.Fields(line)
	i := slices.IndexFunc(words, func(w string) bool { return strings.TrimSuffix(w, ";") == id })
	return i > 0 && words[i-1] == "id"
}

// isCalled reports whether a line of the same header is the Message-ID. Our
// webmail hands mail on without a Received field.
func (p *postmark) isCalled(line, id string) bool {
	name, value, _ := strings.Cut(line, ":")
	return id != "" && !p.over && strings.EqualFold(name, "Message-ID") && strings.Trim(value, " <>") == id
}

// inSet reports whether a number is in an IMAP sequence set (RFC 9051 §9).
// A star is as large as a number can be, or as it must be alone.
func inSet(set string, n uint64) bool {
	return rankIn(set, n) >= 0
}

// rankIn is how many numbers a set has before n, or -1 when n is not in it.
func rankIn(set string, n uint64) int {
	before := uint64(0)
	for part := range strings.SplitSeq(set, ",") {
		low, high, ok := bounds(part)
		switch {
		case !ok:
			return -1
		case n >= low && n <= high:
			return int(min(before+n-low, 1<<40))
		}
		before += high - low + 1
	}
	return -1
}

// member is the number at a place of a set.
func member(set string, at int) (n uint64, ok bool) {
	left := uint64(max(at, 0))
	for part := range strings.SplitSeq(set, ",") {
		low, high, ok := bounds(part)
		switch {
		case !ok:
			return 0, false
		case left <= high-low:
			return low + left, true
		}
		left -= high - low + 1
	}
	return 0, false
}

// bounds reads one range. A star alone is a message of which the wire does
// not say the number.
func bounds(part string) (low, high uint64, ok bool) {
	const most = 1<<32 - 1
	from, to, ranged := strings.Cut(part, ":")
	number := func(text string) uint64 {
		if text == "*" && ranged {
			return most
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0
		}
		return n
	}
	if low = number(from); !ranged {
		return low, low, low != 0
	}
	high = number(to)
	return min(low, high), max(low, high), low != 0 && high != 0
}
