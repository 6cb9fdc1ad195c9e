package message

import "strings"

// What stands for the missing half of an address, because an empty Host means
// a group. The name is reserved (RFC 2606 §2): nothing sent there arrives.
const (
	MissingMailbox = "unknown"
	MissingHost    = "missing.invalid"
)

// ParseAddresses reads an address list (RFC 5322 §3.4, §4.4) from header text
// that is already UTF-8: at most max entries. It reads what senders meant where
// they broke the grammar, and a bad entry costs only itself.
func ParseAddresses(s string, max int) []Address {
	p := addressParser{max: max}
	p.parse(s)
	return p.list
}

type addressParser struct {
	list  []Address
	max   int
	group bool

	// what has turned out not to close further on, so that looking for its end
	// again is not worth it
	openQuote, openAngle bool
	looseQuote           bool // a quote in angle brackets

	// the entry that is being read
	words    []byte // of the phrase, or of a bare address
	word     int    // where its last word begins
	at       int    // where its last unquoted @ is, -1 without
	atWord   int    // where the word with that @ begins
	gap      bool   // white space since the last word
	comment  string
	angle    string // between angle brackets
	hasAngle bool
}

func (p *addressParser) reset() {
	p.words = p.words[:0]
	p.word, p.at, p.atWord, p.gap = 0, -1, 0, false
	p.comment, p.angle, p.hasAngle = "", "", false
}

func (p *addressParser) full() bool { return len(p.list) >= p.max }

func (p *addressParser) parse(s string) {
	p.reset()
	for s != "" && !p.full() {
		n := 1
		switch s[0] {
		case ' ', '\t', '\r', '\n':
			p.gap = true
		case '(':
			var text string
			text, n = cutComment(s)
			if p.comment == "" {
				p.comment = text
			}
			p.gap = true
		case '"':
			n = p.quoted(s)
		case '<':
			n = p.brackets(s)
		case ',':
			p.flush()
		case ';':
			p.flush()
			p.endGroup()
		case ':':
			p.beginGroup()
		case '@': // white space around it does not part words
			p.at, p.atWord, p.gap = len(p.words), p.word, false
			p.words = append(p.words, '@')
			for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
				n++
			}
		default:
			n = bareWord(s)
			if word := strings.TrimLeft(s[:n], ">"); word != "" {
				p.add(word)
			}
		}
		s = s[n:]
	}
	if !p.full() {
		p.flush()
	}
	p.endGroup()
}

// quoted reads the quoted string at the start of s. A quote that never closes
// means nothing, and nor does any after it.
func (p *addressParser) quoted(s string) int {
	if p.openQuote {
		return 1
	}
	text, n := cutQuoted(s)
	if n == 0 {
		p.openQuote = true
		return 1
	}
	p.add(text)
	return n
}

// brackets reads the address in angle brackets at the start of s; the first of
// an entry counts.
func (p *addressParser) brackets(s string) int {
	if p.openAngle {
		return 1
	}
	end := p.angleEnd(s[1:])
	if end < 0 {
		p.openAngle = true
		return 1
	}
	if !p.hasAngle {
		p.angle, p.hasAngle = s[1:1+end], true
	}
	p.gap = true
	if n := 1 + end; n == len(s) || s[n] != '>' {
		return n
	}
	return end + 2
}

// bareWord is the length of the word at the start of s, which is not special.
func bareWord(s string) int {
	const maxLiteral = 64
	n := 1
	for n < len(s) && strings.IndexByte(" \t\r\n(\"<,;:@", s[n]) < 0 {
		if s[n-1] == '[' { // a domain literal may hold colons
			if end := strings.IndexByte(s[n:min(len(s), n+maxLiteral)], ']'); end > 0 {
				n += end
				continue
			}
		}
		n++
	}
	return n
}

// add appends a word, or more of one when no white space came before it.
func (p *addressParser) add(text string) {
	if p.gap && len(p.words) > 0 {
		p.words = append(p.words, ' ')
		p.word = len(p.words)
	}
	p.gap = false
	p.words = append(p.words, text...)
}

func (p *addressParser) beginGroup() {
	if !p.group && !p.hasAngle && p.at < 0 && len(p.words) > 0 {
		p.list = append(p.list, Address{Mailbox: string(p.words)})
		p.group = true
		p.reset()
	}
}

func (p *addressParser) endGroup() {
	if p.group {
		p.list = append(p.list, Address{})
		p.group = false
	}
}

// flush ends an entry and keeps it when it says anything.
func (p *addressParser) flush() {
	defer p.reset()
	var a Address
	switch {
	case p.hasAngle:
		a.Name = strings.TrimSpace(string(p.words))
		a.Mailbox, a.Host = parseSpec(p.angle)
		if a.Mailbox == "" && a.Host == "" {
			if a.Name == "" {
				return
			}
			if p.at > 0 { // "user@host <>"
				a.Mailbox, a.Host = string(p.words[p.atWord:p.at]), string(p.words[p.at+1:])
			}
		}
	case p.at >= 0:
		a.Name = strings.TrimSpace(string(p.words[:p.atWord]))
		a.Mailbox = string(p.words[p.atWord:p.at])
		a.Host, _, _ = strings.Cut(string(p.words[p.at+1:]), " ")
	case len(p.words) > 0:
		a.Name = string(p.words)
		if !strings.Contains(a.Name, " ") { // a local name such as root
			a.Name, a.Mailbox = "", a.Name
		}
	default:
		return
	}
	if a.Name == "" && p.comment != "" && a.Mailbox != "" {
		a.Name = p.comment // the form before RFC 822
	}
	if a.Mailbox == "" {
		a.Mailbox = MissingMailbox
	}
	if a.Host == "" {
		a.Host = MissingHost
	}
	p.list = append(p.list, a)
}

// cutQuoted reads the quoted string at the start of s and its length, 0 when it
// has no end.
func cutQuoted(s string) (string, int) {
	simple := true
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			simple = false
			i++
		case '"':
			if simple {
				return s[1:i], i + 1
			}
			return unescape(s[1:i]), i + 1
		}
	}
	return "", 0
}

// cutComment reads the comment at the start of s with those in it. One that
// never closes takes the rest.
func cutComment(s string) (string, int) {
	depth, n := 0, len(s)
	text := s[1:]
scan:
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				text, n = s[1:i], i+1
				break scan
			}
		}
	}
	return strings.TrimSpace(unescape(text)), n
}

func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// angleEnd finds where the address after a < ends: at its >, or where the entry
// does when another < comes first. It is -1 when neither comes. Once a quote in
// brackets turns out never to close, quotes in brackets mean nothing any more.
func (p *addressParser) angleEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"' && !p.looseQuote:
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		case c == '<' && !quoted:
			if comma := strings.IndexByte(s[:i], ','); comma >= 0 {
				return comma // this address was not closed before the next entry
			}
			return i
		}
	}
	if p.looseQuote {
		return -1
	}
	p.looseQuote = true
	return p.angleEnd(s)
}

// parseSpec splits what angle brackets enclose: route removed, local part
// without its quotes.
func parseSpec(s string) (mailbox, host string) {
	s = strings.Trim(stripComments(s), " \t<>")
	if strings.HasPrefix(s, "@") { // RFC 5322 §4.4: a source route
		if _, rest, ok := strings.Cut(s, ":"); ok {
			s = rest
		}
	}
	if rest, ok := strings.CutPrefix(s, "mailto:"); ok {
		s = rest
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return localPart(s), ""
	}
	return localPart(s[:at]), withoutSpace(s[at+1:])
}

func localPart(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return unescape(s[1 : len(s)-1])
	}
	return withoutSpace(s)
}

// QuotedLocal is a local part as an address has it (RFC 5321 §4.1.2): in quotes
// unless it is a dot-string.
func QuotedLocal(local string) string {
	if IsDotString(local) {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

// IsDotString reports whether a local part needs no quotes.
func IsDotString(local string) bool {
	return !strings.HasPrefix(local, ".") && !strings.HasSuffix(local, ".") && !strings.Contains(local, "..") &&
		!strings.ContainsAny(local, "\"(),:;<>@[\\] \t")
}

func withoutSpace(s string) string {
	if strings.ContainsAny(s, " \t") {
		return strings.Join(strings.Fields(s), "")
	}
	return s
}

// parseIDs reads message identifiers, without their brackets: at most max, and
// of more the first and the last ones, which say most about a thread.
func parseIDs(s string, max int) []string {
	var ids []string
	if strings.IndexByte(s, '<') < 0 {
		for id := range strings.FieldsSeq(s) {
			if strings.Contains(id, "@") && len(ids) < max {
				ids = append(ids, cut(id, maxID))
			}
		}
		return ids
	}
	for {
		_, after, ok := strings.Cut(s, "<")
		end := strings.IndexAny(after, "<>")
		if !ok || end < 0 {
			break
		}
		s = after
		id := withoutSpace(s[:end])
		s = s[end:]
		if id == "" {
			continue
		}
		if len(ids) == 2*max { // drop from the middle
			ids = append(ids[:1], ids[max+1:]...)
		}
		ids = append(ids, cut(id, maxID))
	}
	if len(ids) > max {
		ids = append(ids[:1], ids[len(ids)-max+1:]...)
	}
	return ids
}

// parseID reads one identifier, liberally: some programs leave out the brackets.
func parseID(s string) string {
	if ids := parseIDs(s, 1); len(ids) > 0 {
		return ids[0]
	}
	return cut(withoutSpace(strings.Trim(s, "<>")), maxID)
}
