package webd

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/yubin-mail/yubin/store"
)

func TestSearchesAreRead(t *testing.T) {
	five := int64(5_000_000)
	header := func(name, value string) store.Query {
		return store.Query{Header: []store.HeaderTerm{{Name: name, Value: value}}}
	}
	for _, c := range []struct {
		text string
		want store.Query
		imap string
	}{
		{"", store.Query{}, "UID SEARCH ALL"},
		{"会議", store.Query{Text: []string{"会議"}}, `UID SEARCH CHARSET UTF-8 TEXT "会議"`},
		{`two words`, store.Query{Text: []string{"two", "words"}}, `UID SEARCH TEXT "two" TEXT "words"`},
		{`"two words"`, store.Query{Text: []string{"two words"}}, `UID SEARCH TEXT "two words"`},
		{`subject:"weekly report"`, header("subject", "weekly report"), `UID SEARCH SUBJECT "weekly report"`},
		{`from：hanako`, header("from", "hanako"), `UID SEARCH FROM "hanako"`},
		{`FROM:a"b`, header("from", `a"b`), `UID SEARCH FROM "a\"b"`},
		{`is:unread is:starred`, store.Query{Flags: store.Flagged, NotFlags: store.Seen}, "UID SEARCH UNSEEN FLAGGED"},
		{`to:bob`, store.Query{Or: [][2]store.Query{{header("to", "bob"), header("cc", "bob")}}}, `UID SEARCH OR TO "bob" CC "bob"`},
		{`-from:bob`, store.Query{Not: []store.Query{header("from", "bob")}}, `UID SEARCH NOT FROM "bob"`},
		{`-"a b"`, store.Query{Not: []store.Query{{Text: []string{"a b"}}}}, `UID SEARCH NOT TEXT "a b"`},
		{`larger:5M`, store.Query{Larger: &five}, "UID SEARCH LARGER 5000000"},
		{`after:2026-11-02 before:2026/12/01`, store.Query{Since: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Before: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, "UID SEARCH SINCE 2-Nov-2026 BEFORE 1-Dec-2026"},
		{`http://example.org`, store.Query{Text: []string{"http://example.org"}}, `UID SEARCH TEXT "http://example.org"`},
		{`- a`, store.Query{Text: []string{"-", "a"}}, `UID SEARCH TEXT "-" TEXT "a"`},
		{`"open`, store.Query{Text: []string{"open"}}, `UID SEARCH TEXT "open"`},
		{`from:`, store.Query{}, "UID SEARCH ALL"},
	} {
		q := parseQuery(c.text)
		if !reflect.DeepEqual(q.Query, c.want) || q.IMAP() != c.imap || len(q.Problems) > 0 {
			t.Errorf("%s:\n%+v\n%s\n%v", c.text, q.Query, q.IMAP(), q.Problems)
		}
	}
}

func TestSearchesThatMakeNoSenseAreNamed(t *testing.T) {
	for _, text := range []string{"is:nonsense", "has:nothing", "before:soon", "larger:big", "larger:-1", "larger:NaN"} {
		if q := parseQuery(text); len(q.Problems) != 1 || q.IMAP() != "UID SEARCH ALL" {
			t.Errorf("%s: %+v", text, q)
		} else if _, ok := catalogue[q.Problems[0].Key]; !ok {
			t.Errorf("%s: no text for %s", text, q.Problems[0].Key)
		}
	}
	if q := parseQuery("in:archive has:attachment"); q.In != "archive" || q.Attachment != 1 {
		t.Errorf("%+v", q)
	}
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{`from:a -"b c" is:unread`, `"`, `-`, `:`, "larger:1e300", strings.Repeat("a ", 100), "from：\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := parseQuery(text)
		if strings.ContainsAny(q.IMAP(), "\r\n") && !strings.ContainsAny(text, "\r\n") {
			t.Errorf("%q became %q", text, q.IMAP())
		}
	})
}

func TestASearchThatTakesTooLongIsNoFault(t *testing.T) {
	p, known := replyTo(fmt.Errorf("read messages: %w", context.DeadlineExceeded))
	if !known || p.status != http.StatusServiceUnavailable || !strings.Contains(english.text(p.key), "narrow") {
		t.Errorf("%v, %v", p, known)
	}
}
