package webd

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/yubin-mail/yubin/store"
)

// A search is words and operators, all of which must hold:
//
//	from:hanako to:bob subject:"weekly report" body:invoice
//	has:attachment is:unread is:starred in:archive
//	after:2026-11-01 before:2026-12-01 larger:5M -word "a phrase"
//
// It becomes a query of the store, and is shown back as the IMAP SEARCH that
// asks the same (RFC 9051 §6.4.4).

// query is a search that has been read.
type query struct {
	store.Query
	In         string // a folder, as it was written
	Attachment int    // 1 with files, -1 without, 0 either
	Problems   []problemWith
	imap       []string
	wide       bool // there is text outside ASCII
}

// problemWith is an operator whose value makes no sense, and a key of the
// catalogue that says what would.
type problemWith struct{ Term, Key string }

// term is one piece of a search.
type term struct {
	not      bool
	op       string // "" for plain text
	value    string
	original string
}

// terms cuts a search into pieces.
func terms(text string) []term {
	var all []term
	rs := []rune(text)
	for i := 0; i < len(rs); {
		if unicode.IsSpace(rs[i]) {
			i++
			continue
		}
		var t term
		start := i
		if rs[i] == '-' && i+1 < len(rs) && !unicode.IsSpace(rs[i+1]) {
			t.not = true
			i++
		}
		for j := i; j < len(rs) && (unicode.IsLetter(rs[j]) || rs[j] == ':' || rs[j] == '：'); j++ {
			if rs[j] == ':' || rs[j] == '：' {
				if name := strings.ToLower(string(rs[i:j])); operators[name] {
					t.op = name
					i = j + 1
				}
				break
			}
		}
		var value strings.Builder
		quoted := i < len(rs) && rs[i] == '"'
		if quoted {
			i++
		}
		for i < len(rs) && (quoted && rs[i] != '"' || !quoted && !unicode.IsSpace(rs[i])) {
			value.WriteRune(rs[i])
			i++
		}
		if quoted && i < len(rs) {
			i++
		}
		t.value, t.original = value.String(), string(rs[start:i])
		if t.value != "" {
			all = append(all, t)
		}
	}
	return all
}

var operators = map[string]bool{
	"from": true, "to": true, "cc": true, "subject": true, "body": true, "has": true, "is": true, "in": true,
	"before": true, "after": true, "larger": true, "smaller": true,
}

// maxTerms bounds one search.
const maxTerms = 50

// parseQuery reads a search. It never fails: what makes no sense is among
// the problems and asks for nothing.
func parseQuery(text string) query {
	var q query
	all := terms(text)
	for _, t := range all[:min(len(all), maxTerms)] {
		q.add(t)
	}
	return q
}

func (q *query) add(t term) {
	one, imap, problem := t.query()
	switch {
	case problem != "":
		q.Problems = append(q.Problems, problemWith{t.original, problem})
		return
	case t.op == "in":
		q.In = t.value
		return
	case t.op == "has":
		q.Attachment = 1
		if t.not {
			q.Attachment = -1
		}
	case t.not:
		q.Not = append(q.Not, one)
	default:
		q.and(one)
	}
	if t.not {
		imap = "NOT " + imap
	}
	q.imap = append(q.imap, imap)
	q.wide = q.wide || strings.ContainsFunc(t.value, func(r rune) bool { return r > unicode.MaxASCII })
}

// and adds what one asks for.
func (q *query) and(one store.Query) {
	q.Flags |= one.Flags
	q.NotFlags |= one.NotFlags
	q.Header = append(q.Header, one.Header...)
	q.Body = append(q.Body, one.Body...)
	q.Text = append(q.Text, one.Text...)
	q.Or = append(q.Or, one.Or...)
	if !one.Since.IsZero() && one.Since.After(q.Since) {
		q.Since = one.Since
	}
	if !one.Before.IsZero() && (q.Before.IsZero() || one.Before.Before(q.Before)) {
		q.Before = one.Before
	}
	if one.Larger != nil {
		q.Larger = one.Larger
	}
	if one.Smaller != nil {
		q.Smaller = one.Smaller
	}
}

// states are the words after is: and their IMAP keys.
var states = map[string]struct {
	flag store.SystemFlags
	set  bool
	imap string
}{
	"unread": {store.Seen, false, "UNSEEN"}, "read": {store.Seen, true, "SEEN"},
	"starred": {store.Flagged, true, "FLAGGED"}, "unstarred": {store.Flagged, false, "UNFLAGGED"},
	"answered": {store.Answered, true, "ANSWERED"}, "unanswered": {store.Answered, false, "UNANSWERED"},
	"deleted": {store.Deleted, true, "DELETED"},
}

// query is what one term asks for, in our words and in IMAP's.
func (t term) query() (q store.Query, imap, problem string) {
	header := func(name string) store.Query {
		return store.Query{Header: []store.HeaderTerm{{Name: name, Value: t.value}}}
	}
	text := quotedIMAP(t.value)
	switch t.op {
	case "":
		return store.Query{Text: []string{t.value}}, "TEXT " + text, ""
	case "from", "cc", "subject":
		return header(t.op), strings.ToUpper(t.op) + " " + text, ""
	case "to":
		return store.Query{Or: [][2]store.Query{{header("to"), header("cc")}}}, "OR TO " + text + " CC " + text, ""
	case "body":
		return store.Query{Body: []string{t.value}}, "BODY " + text, ""
	case "has":
		if v := strings.ToLower(t.value); v != "attachment" && v != "file" && v != "添付" {
			return q, "", "search.bad-has"
		}
		// IMAP has no such key; this is what clients make do with.
		return q, `HEADER Content-Type "multipart/mixed"`, ""
	case "is":
		s, ok := states[strings.ToLower(t.value)]
		if !ok {
			return q, "", "search.bad-is"
		}
		if s.set {
			return store.Query{Flags: s.flag}, s.imap, ""
		}
		return store.Query{NotFlags: s.flag}, s.imap, ""
	case "before", "after":
		day, ok := parseDay(t.value)
		if !ok {
			return q, "", "search.bad-date"
		}
		if t.op == "before" {
			return store.Query{Before: day}, "BEFORE " + day.Format("2-Jan-2006"), ""
		}
		return store.Query{Since: day}, "SINCE " + day.Format("2-Jan-2006"), ""
	case "larger", "smaller":
		n, ok := parseSize(t.value)
		if !ok {
			return q, "", "search.bad-size"
		}
		imap = strings.ToUpper(t.op) + " " + strconv.FormatInt(n, 10)
		if t.op == "larger" {
			return store.Query{Larger: &n}, imap, ""
		}
		return store.Query{Smaller: &n}, imap, ""
	}
	return q, "", ""
}

func parseDay(s string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02", "2006/01/02", "2006/1/2", "2006-1-2", "20060102"} {
		if day, err := time.Parse(layout, s); err == nil {
			return day, true
		}
	}
	return time.Time{}, false
}

func parseSize(s string) (int64, bool) {
	s = strings.ToUpper(strings.TrimSuffix(strings.ToUpper(s), "B"))
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1000
	case strings.HasSuffix(s, "M"):
		unit = 1000_000
	case strings.HasSuffix(s, "G"):
		unit = 1000_000_000
	}
	n, err := strconv.ParseFloat(strings.TrimRight(s, "KMG"), 64)
	if err != nil || !(n >= 0 && n <= 1e9) { // NaN is neither
		return 0, false
	}
	return int64(n * float64(unit)), true
}

func quotedIMAP(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// IMAP is the command that asks the same.
func (q query) IMAP() string {
	if len(q.imap) == 0 {
		return "UID SEARCH ALL"
	}
	charset := ""
	if q.wide {
		charset = "CHARSET UTF-8 "
	}
	return "UID SEARCH " + charset + strings.Join(q.imap, " ")
}
