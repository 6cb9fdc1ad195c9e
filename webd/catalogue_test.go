package webd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

// How texts are asked for: by templates and Go code with T, by modules with
// word. A key that is put together, or stands in a table, is looked for by
// the quoted text itself.
var (
	asked     = regexp.MustCompile(`\bT "([^"]+)"|\bT\("([^"]+)"`)
	askedByJS = regexp.MustCompile("\\bword\\([\"`']([\\w.-]+)[\"`']")
	verb      = regexp.MustCompile(`%(?:\[\d\])?[sdv]`)
)

// madeKeys are keys that are put together from a prefix and a word.
var madeKeys = []string{"tab.", "theme.", "view.", "js.", "grade.", "pop3.", "scope.", "client.", "how.", "security.", "session.", "deed.", "auth.", "origin."}

func TestEveryTextIsThereAndUsed(t *testing.T) {
	used := map[string]bool{}
	var all strings.Builder
	read := func(name string, pattern *regexp.Regexp, prefix string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		for _, m := range pattern.FindAllStringSubmatch(string(b), -1) {
			key := prefix + strings.Join(m[1:], "")
			used[key] = true
			if _, ok := catalogue[key]; !ok && !strings.HasSuffix(key, ".") {
				t.Errorf("%s uses %q, which the catalogue lacks", name, key)
			}
		}
	}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "words"):
		case strings.HasSuffix(name, ".go"), strings.HasSuffix(name, ".html"):
			read(name, asked, "")
		case strings.HasSuffix(name, ".js"):
			read(name, askedByJS, "js.")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []store.POP3Kind{store.POP3Delete, store.POP3Keep, store.POP3KeepDays, store.POP3Trash} {
		all.WriteString(string(kind) + "\n") // Policy has them from the store
	}
	text := all.String()
	for key := range catalogue {
		made := slices.ContainsFunc(madeKeys, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if !used[key] && !made && !strings.Contains(text, `"`+key+`"`) {
			t.Errorf("nobody uses %q", key)
		}
		if made && !used[key] {
			_, rest, _ := strings.Cut(key, ".")
			if !strings.Contains(text, `"`+rest+`"`) && !strings.Contains(text, rest) {
				t.Errorf("nobody uses %q", key)
			}
		}
	}
}

func TestTextsAgreeInBothLanguages(t *testing.T) {
	for key, p := range catalogue {
		if p.en == "" || p.ja == "" {
			t.Errorf("%q lacks a language", key)
		}
		ja := verb.FindAllString(p.ja, -1)
		for form := range strings.SplitSeq(p.en, "|") {
			en := verb.FindAllString(form, -1)
			slices.Sort(en)
			slices.Sort(ja)
			if !slices.Equal(en, ja) && !(strings.Contains(p.en, "|") && len(en) < len(ja)) {
				t.Errorf("%q has other values in Japanese: %q, %q", key, form, p.ja)
			}
		}
	}
}

func TestPluralsAndNumbers(t *testing.T) {
	for _, c := range []struct {
		l    language
		n    int
		want string
	}{{english, 1, "1 message"}, {english, 0, "0 messages"}, {english, 100000, "100,000 messages"}, {japanese, 1, "1 通"}} {
		if got := c.l.text("list.total", c.n, number(c.n)); got != c.want {
			t.Errorf("%d: %q, want %q", c.n, got, c.want)
		}
	}
}
