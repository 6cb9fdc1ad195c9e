package store_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"github.com/yubin-mail/yubin/store"
)

func encoded(t testing.TB, charset, text string) string {
	t.Helper()
	enc := map[string]func() (string, error){
		"ISO-2022-JP": func() (string, error) { return japanese.ISO2022JP.NewEncoder().String(text) },
		"Shift_JIS":   func() (string, error) { return japanese.ShiftJIS.NewEncoder().String(text) },
		"EUC-JP":      func() (string, error) { return japanese.EUCJP.NewEncoder().String(text) },
		"UTF-8":       func() (string, error) { return text, nil },
	}[charset]
	s, err := enc()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mail(t testing.TB, charset, subject, body string) store.Bytes {
	word := "=?" + charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(encoded(t, charset, subject))) + "?="
	return store.Bytes("From: \"Hanako\" <hanako@example.org>\r\nTo: ada@example.test\r\nSubject: " + word +
		"\r\nDate: Mon, 23 Nov 2026 23:30:00 -0900\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=" + charset +
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(encoded(t, charset, body))) + "\r\n")
}

// corpus is six messages; their UIDs are the positions plus one.
func corpus(t testing.TB) []store.Bytes {
	return []store.Bytes{
		mail(t, "ISO-2022-JP", "会議のお知らせ", "来週の予算会議は第二会議室で行います。\r\n"),
		mail(t, "Shift_JIS", "請求書", "十一月分の請求書をお送りします。Invoice No. 20261123\r\n"),
		mail(t, "EUC-JP", "議事録", "先日の会の議題について。ﾊﾝｶｸもあります\r\n"),
		mail(t, "UTF-8", "Überweisung", "Grüße aus Köln — die Rechnung über 1.234,56 € ist fällig.\r\n"),
		store.Bytes("From: ops@example.com\r\nSubject: weekly report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain words about invoices\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>HTML wor<b>ds</b> &amp; entities</p><script>var hidden = 1</script>\r\n--b--\r\n"),
		store.Bytes("From: long@example.com\r\nSubject: long word\r\n\r\n" + strings.Repeat("abcdefghij", 20) + "needle" + strings.Repeat("q", 80) + "\r\nline\r\nbroken here\r\n"),
	}
}

func TestSearch(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	for _, m := range corpus(t) {
		deliver(t, s, m, ada)
	}
	in := inbox(t, s, ada)
	s.SetFlags(ctx, in.ID, []store.UID{2}, store.AddFlags, store.Flags{System: store.Seen, Keywords: []string{"Work"}})
	n := func(i int64) *int64 { return &i }
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	text := func(s string) store.Query { return store.Query{Text: []string{s}} }
	for _, c := range []struct {
		name string
		q    store.Query
		want []store.UID
	}{
		{"all", store.Query{}, []store.UID{1, 2, 3, 4, 5, 6}},
		{"kanji", text("会議"), []store.UID{1}},
		{"one kanji", text("会"), []store.UID{1, 3}},
		{"subject in JIS", store.Query{Header: []store.HeaderTerm{{Name: "subject", Value: "お知らせ"}}}, []store.UID{1}},
		{"Shift_JIS body", store.Query{Body: []string{"請求書"}}, []store.UID{2}},
		{"subject is not body", store.Query{Body: []string{"議事録"}}, nil},
		{"half-width kana", text("ハンカク"), []store.UID{3}},
		{"piece of a word, case", text("NVOIC"), []store.UID{2, 5}},
		{"umlaut", text("grüße AUS"), []store.UID{4}},
		{"decomposed umlaut", text("u\u0308berweisung"), []store.UID{4}},
		{"punctuation", text("1.234,56 €"), []store.UID{4}},
		{"across html tags", text("html words & entities"), []store.UID{5}},
		{"script is no text", text("hidden"), nil},
		{"in a very long word", text("needleqqq"), []store.UID{6}},
		{"across a line end", text("line broken"), []store.UID{6}},
		{"header field exists", store.Query{Header: []store.HeaderTerm{{Name: "date"}}}, []store.UID{1, 2, 3, 4}},
		{"from", store.Query{Header: []store.HeaderTerm{{Name: "From", Value: "HANAKO"}}}, []store.UID{1, 2, 3, 4}},
		{"flag", store.Query{Flags: store.Seen}, []store.UID{2}},
		{"no flag", store.Query{NotFlags: store.Seen, UIDs: [][]store.UIDRange{{{First: 1, Last: 3}}}}, []store.UID{1, 3}},
		{"keyword", store.Query{Keywords: []string{"work"}}, []store.UID{2}},
		{"no keyword", store.Query{NotKeywords: []string{"WORK"}}, []store.UID{1, 3, 4, 5, 6}},
		{"sent on its own day", store.Query{SentSince: day(23), SentBefore: day(24)}, []store.UID{1, 2, 3, 4}},
		{"sent later", store.Query{SentSince: day(24)}, nil},
		{"larger", store.Query{Larger: n(int64(len(corpus(t)[5])) - 1)}, []store.UID{6}},
		{"larger, not as large", store.Query{Larger: n(int64(len(corpus(t)[5])))}, nil},
		{"smaller", store.Query{Smaller: n(int64(len(corpus(t)[5])))}, []store.UID{1, 2, 3, 4, 5}},
		{"or", store.Query{Or: [][2]store.Query{{text("会議"), text("invoice")}}}, []store.UID{1, 2, 5}},
		{"not", store.Query{Not: []store.Query{text("hanako")}}, []store.UID{5, 6}},
		{"and", store.Query{Text: []string{"hanako", "invoice"}}, []store.UID{2}},
		{"empty text", text(""), []store.UID{1, 2, 3, 4, 5, 6}},
		{"nothing", text("no such words anywhere"), nil},
	} {
		for _, indexed := range []bool{false, true} {
			if indexed {
				if err := s.Index(ctx); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Search(ctx, in.ID, c.q)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s (index up to date: %v): %v, want %v; %v", c.name, indexed, got, c.want, err)
			}
		}
	}
	deep := text("x")
	for range 20_000 {
		deep = store.Query{Not: []store.Query{deep}}
	}
	if _, err := s.Search(ctx, in.ID, deep); !errors.Is(err, store.ErrLimit) {
		t.Errorf("a very deep query: %v", err)
	}
}

// Whatever is looked for, the index must not change the answer: every
// substring of three characters of the corpus, with and without it.
func TestIndexDoesNotChangeAnswers(t *testing.T) {
	plain, a := open(t, store.Options{})
	indexed, b := open(t, store.Options{})
	for _, m := range corpus(t) {
		deliver(t, plain, m, a)
		deliver(t, indexed, m, b)
	}
	if err := indexed.Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, text := range []string{"来週の予算会議は第二会議室で行います。", "十一月分の請求書をお送りします。Invoice No. 20261123", "先日の会の議題について。ハンカクもあります",
		"Grüße aus Köln — die Rechnung über 1.234,56 € ist fällig.", "plain words about invoices", "html words & entities", "jabcdefghijneedleqqq", "weekly report", "hanako@example.org"} {
		r := []rune(text)
		for i := 0; i+3 <= len(r); i++ {
			seen[string(r[i:i+3])] = true
		}
	}
	boxA, boxB := inbox(t, plain, a).ID, inbox(t, indexed, b).ID
	for piece := range seen {
		q := store.Query{Text: []string{piece}}
		want, err := plain.Search(t.Context(), boxA, q)
		if err != nil || len(want) == 0 && piece != "jab" {
			t.Fatalf("%q without the index: %v, %v", piece, want, err)
		}
		if got, err := indexed.Search(t.Context(), boxB, q); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v with the index, %v without; %v", piece, got, want, err)
		}
		in := func(name string) store.Query {
			return store.Query{Header: []store.HeaderTerm{{Name: name, Value: piece}}}
		}
		for name, q := range map[string]store.Query{
			"subject": in("Subject"), "from or to": {Or: [][2]store.Query{{in("From"), in("To")}}}, "not from": {Not: []store.Query{in("From")}},
			"text or unseen": {Or: [][2]store.Query{{q, {NotFlags: store.Seen}}}}, "nor": {Not: []store.Query{{Or: [][2]store.Query{{in("Subject"), q}}}}},
		} {
			want, err := plain.Search(t.Context(), boxA, q)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := indexed.Search(t.Context(), boxB, q); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s %q: %v with the index, %v without; %v", name, piece, got, want, err)
			}
		}
	}
}

// Where words begin and end, next to blanks, marks, other scripts and characters
// that combine: what is found with the index is found without it.
func TestIndexKnowsWhereWordsEnd(t *testing.T) {
	plain, a := open(t, store.Options{})
	indexed, b := open(t, store.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "b", "ab", "abc", "7", "77", " ", " ", "-", "\r\n", "会", "議", "é", "e\u0301", "\u0301", "ａ", "ß", "ﬁ", "_", strings.Repeat("long", 20)}
	anything := func(n int) string {
		var all strings.Builder
		for range n {
			all.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		return all.String()
	}
	var texts []string
	for i := range 40 {
		text := anything(12)
		texts = append(texts, text)
		subject := "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\r\n", " "))) + "?="
		m := store.Bytes(fmt.Sprintf("Subject: %s\r\nX-Number: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", subject, i, text))
		deliver(t, plain, m, a)
		deliver(t, indexed, m, b)
	}
	if err := indexed.Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	boxA, boxB := inbox(t, plain, a).ID, inbox(t, indexed, b).ID
	hits := 0
	for i := range 600 {
		what := anything(1 + random.IntN(4))
		if r := []rune(texts[i%len(texts)]); i%2 == 0 {
			from := random.IntN(len(r))
			what = string(r[from:min(len(r), from+1+random.IntN(8))])
		}
		for name, q := range map[string]store.Query{
			"text": {Text: []string{what}}, "subject": {Header: []store.HeaderTerm{{Name: "Subject", Value: what}}},
		} {
			want, err := plain.Search(t.Context(), boxA, q)
			if err != nil {
				t.Fatal(err)
			}
			hits += len(want)
			if got, err := indexed.Search(t.Context(), boxB, q); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s %q: %v with the index, %v without; %v", name, what, got, want, err)
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d hits: this compares nothing", hits)
	}
}

func TestSearchInSeveralMailboxes(t *testing.T) {
	s, ada := open(t, store.Options{})
	ctx := t.Context()
	in := inbox(t, s, ada)
	drafts, err := s.Mailbox(ctx, ada.ID, "Drafts")
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, s, text("the needle"), ada)
	deliver(t, s, text("hay"), ada)
	if _, _, err := s.Append(ctx, drafts.ID, []store.Appended{{Body: text("hay")}, {Body: text("another needle")}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.SearchIn(ctx, []store.MailboxID{drafts.ID, in.ID}, store.Query{Text: []string{"needle"}})
	if want := [][]store.UID{{2}, {1}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestIndexFollowsDeliveriesAndExpunges(t *testing.T) {
	s, ada := open(t, store.Options{Server: true})
	ctx := t.Context()
	in := inbox(t, s, ada)
	find := func() int {
		got, err := s.Search(ctx, in.ID, store.Query{Text: []string{"invoice"}})
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	for i := range 40 {
		deliver(t, s, text(fmt.Sprint("invoice ", i)), ada)
		if n := find(); n != i+1 {
			t.Fatalf("found %d right after delivery %d", n, i+1)
		}
	}
	s.Remove(ctx, in.ID, uidsOf(t, s, in.ID)[:10])
	if n := find(); n != 30 {
		t.Errorf("found %d after ten were removed", n)
	}
}

func BenchmarkSearchText(b *testing.B) {
	s, ada := open(b, store.Options{})
	ctx := context.Background()
	for i := range 10_000 {
		body := text(fmt.Sprintf("note %d", i))
		if i%100 == 0 {
			body = append(body, "the needle is in this haystack\r\n"...)
		}
		deliver(b, s, append(body, strings.Repeat("some more hay for the cattle to eat\r\n", 100)...), ada)
	}
	in := inbox(b, s, ada)
	for _, indexed := range []bool{false, true} {
		b.Run(map[bool]string{false: "scan", true: "index"}[indexed], func(b *testing.B) {
			if indexed {
				if err := s.Index(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for b.Loop() {
				got, err := s.Search(ctx, in.ID, store.Query{Text: []string{"needl"}})
				if err != nil || len(got) != 100 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
