package webd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/wiretap"
)

// imapTalk reads what an IMAP session did to one mail. Sequence numbers are
// known as far as the server has told them together with UIDs.
type imapTalk struct {
	*trail
	validity string
	uids     map[int]string // by sequence number, of the mailbox that is open
	unnamed  map[int]bool   // sequence numbers of our mail, of which no UID is known
	asked    []imapCommand  // not answered yet
	fetched  int            // the sequence number of the FETCH that goes by
	mark     postmark
	doomed   bool // flagged \Deleted here
	found    []deed
}

type imapCommand struct {
	tag, verb, set, rest string
	byUID, mine          bool // mine: the server has told something of our mail
	line                 int
}

// inIMAP finds what an IMAP session has done.
func (t *trail) inIMAP(s wiretap.Session) []deed {
	talk := &imapTalk{trail: t, uids: map[int]string{}, unnamed: map[int]bool{}}
	for i, line := range s.Lines {
		switch line.Dir {
		case wiretap.Client:
			if !line.Body {
				talk.ask(line.Text, i)
			}
		case wiretap.Server:
			if line.Body {
				talk.body(line.Text)
			} else {
				talk.hear(line.Text, i)
			}
		}
	}
	return talk.found
}

func (t *imapTalk) ask(text string, i int) {
	words := strings.Fields(text)
	if len(words) < 2 || strings.ContainsAny(words[0], `(){"`) {
		return // DONE, or what follows a literal
	}
	c := imapCommand{tag: words[0], verb: strings.ToUpper(words[1]), line: i}
	rest := words[2:]
	if c.verb == "UID" && len(rest) > 0 {
		c.byUID, c.verb, rest = true, strings.ToUpper(rest[0]), rest[1:]
	}
	if len(rest) > 0 {
		c.set, c.rest = rest[0], strings.Join(rest[1:], " ")
	}
	t.asked = append(t.asked, c)
}

// now is the command that the server is answering.
func (t *imapTalk) now() *imapCommand {
	if len(t.asked) == 0 {
		return &imapCommand{line: -1}
	}
	return &t.asked[0]
}

// mineAt reports whether our mail has a sequence number.
func (t *imapTalk) mineAt(n int) bool {
	return t.unnamed[n] || t.uids[n] != "" && t.names[uidName(t.validity, t.uids[n])]
}

// body takes a line of a literal.
func (t *imapTalk) body(text string) {
	if !t.mark.has(text, t.id) {
		return
	}
	t.unnamed[t.fetched] = true
	t.name()
	t.now().mine = true
}

// name learns what the mail that goes by is called.
func (t *imapTalk) name() {
	if uid := t.uids[t.fetched]; uid != "" && t.unnamed[t.fetched] {
		delete(t.unnamed, t.fetched)
		t.names[uidName(t.validity, uid)] = true
	}
}

var (
	imapFlags    = regexp.MustCompile(`\bFLAGS \(([^()]*)\)`)
	imapValidity = regexp.MustCompile(`^\* OK \[UIDVALIDITY (\d+)\]`)
	imapCopied   = regexp.MustCompile(`^\S+ OK \[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]`)
	imapQuoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*("|$)`)
)

func (t *imapTalk) hear(text string, i int) {
	if strings.Contains(text, `"`) {
		text = imapQuoted.ReplaceAllString(text, `""`) // in quotes strangers speak
	}
	if strings.Contains(text, "[") {
		if m := imapCopied.FindStringSubmatch(text); m != nil {
			t.copied(m[1], m[2], m[3], i)
		}
		if m := imapValidity.FindStringSubmatch(text); m != nil {
			t.open(m[1])
		}
	}
	tag, rest, _ := strings.Cut(text, " ")
	if at := slices.IndexFunc(t.asked, func(c imapCommand) bool { return c.tag == tag }); at >= 0 {
		c := t.asked[at]
		t.asked = slices.Delete(t.asked, at, at+1)
		if strings.HasPrefix(strings.ToUpper(rest), "OK") {
			t.granted(c, i)
		}
		return
	}
	first, rest, _ := strings.Cut(rest, " ")
	second, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(first)
	switch {
	case tag == "+":
	case tag != "*":
		t.item(text, i) // the rest of a FETCH after a literal
	case err != nil:
	case second == "FETCH":
		t.fetched, t.mark = n, postmark{}
		t.item(text, i)
	case second == "EXPUNGE":
		t.gone(n, i)
	}
}

// item takes what a FETCH says besides literals.
func (t *imapTalk) item(text string, i int) {
	if uid := uidIn(text); uid != "" && t.fetched > 0 && len(t.uids) < maxSelected {
		t.uids[t.fetched] = uid
		t.name()
	}
	if !t.mineAt(t.fetched) {
		return
	}
	c := t.now()
	c.mine = true
	if m := imapFlags.FindStringSubmatch(text); m != nil && c.verb != "FETCH" && c.verb != "STORE" {
		t.found = append(t.found, deed{Kind: "told", Detail: m[1], Line: i, Reply: i})
	}
}

// uidIn is the UID among the items of a FETCH, or "".
func uidIn(text string) string {
	for {
		i := strings.Index(text, "UID ")
		if i < 0 {
			return ""
		}
		begins := i == 0 || text[i-1] == ' ' || text[i-1] == '('
		text = text[i+len("UID "):]
		if end := strings.IndexFunc(text+" ", func(r rune) bool { return r < '0' || r > '9' }); begins && end > 0 {
			return text[:end]
		}
	}
}

// open is for a mailbox that has been selected.
func (t *imapTalk) open(validity string) {
	t.validity, t.doomed, t.fetched = validity, false, 0
	clear(t.uids)
	clear(t.unnamed)
}

// gone is for EXPUNGE, which makes all later numbers one smaller.
func (t *imapTalk) gone(n, i int) {
	mine := t.mineAt(n)
	uids, unnamed := map[int]string{}, map[int]bool{}
	after := func(k int) int {
		if k > n {
			return k - 1
		}
		return k
	}
	for k, uid := range t.uids {
		if k != n {
			uids[after(k)] = uid
		}
	}
	for k := range t.unnamed {
		if k != n {
			unnamed[after(k)] = true
		}
	}
	t.uids, t.unnamed = uids, unnamed
	switch c := t.now(); {
	case !mine || c.verb == "MOVE":
	case c.verb == "EXPUNGE":
		t.found = append(t.found, deed{Kind: "expunged", Line: c.line, Reply: i})
	default:
		t.found = append(t.found, deed{Kind: "told-gone", Line: i, Reply: i})
	}
}

// copied learns new names from COPYUID (RFC 9051 §7.1), in both directions:
// who knows the copy has found the original.
func (t *imapTalk) copied(validity, from, to string, i int) {
	c := *t.now()
	for name := range t.names {
		v, text, _ := strings.Cut(name, ".")
		uid, _ := strconv.ParseUint(text, 10, 32)
		var other string
		if v == t.validity {
			if n, ok := member(to, rankIn(from, uid)); ok && inSet(from, uid) {
				other = uidName(validity, strconv.FormatUint(n, 10))
			}
		}
		if v == validity && other == "" {
			if n, ok := member(from, rankIn(to, uid)); ok && inSet(to, uid) {
				other = uidName(t.validity, strconv.FormatUint(n, 10))
			}
		}
		if other == "" {
			continue
		}
		t.names[other] = true
		kind := "moved"
		if c.verb != "MOVE" {
			kind = "copied"
		}
		d := deed{Kind: kind, Detail: strings.Trim(c.rest, `"`), Line: max(c.line, 0), Reply: i}
		if !slices.Contains(t.found, d) {
			t.found = append(t.found, d)
		}
	}
}

// granted is for a command that has succeeded.
func (t *imapTalk) granted(c imapCommand, i int) {
	mine := c.mine || t.inSet(c)
	d := deed{Line: c.line, Reply: i}
	items := strings.ToUpper(c.rest)
	switch {
	case c.verb == "FETCH" && c.mine:
		d.Kind = "listed"
		if wholeOf.MatchString(items) {
			d.Kind = "fetched"
		} else if slices.ContainsFunc(t.found, func(d deed) bool { return d.Kind == "listed" }) {
			return
		}
	case c.verb == "STORE" && mine:
		op, flags, _ := strings.Cut(c.rest, " ")
		flags = strings.Trim(flags, "()")
		d.Kind, d.Detail = "flags", strings.TrimRight(op[:min(1, len(op))], "Ff")+flags
		if strings.Contains(strings.ToLower(flags), `\deleted`) {
			t.doomed = !strings.HasPrefix(op, "-")
		}
	case c.verb == "CLOSE" && t.doomed:
		d.Kind = "expunged"
	default:
		return
	}
	t.found = append(t.found, d)
}

// wholeOf are the FETCH items that bring what a mail says, not only about it.
var wholeOf = regexp.MustCompile(`BODY(\.PEEK)?\[(\]|\d|TEXT)|\bRFC822( |\)|$|\.TEXT)|\bBINARY`)

// inSet reports whether a command names our mail.
func (t *imapTalk) inSet(c imapCommand) bool {
	if c.byUID {
		for name := range t.names {
			v, text, _ := strings.Cut(name, ".")
			if uid, _ := strconv.ParseUint(text, 10, 32); v == t.validity && inSet(c.set, uid) {
				return true
			}
		}
		return false
	}
	for n := range t.uids {
		if t.mineAt(n) && inSet(c.set, uint64(n)) {
			return true
		}
	}
	for n := range t.unnamed {
		if inSet(c.set, uint64(n)) {
			return true
		}
	}
	return false
}
