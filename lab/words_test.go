package lab

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// everyWords finds all literals of type Words in this package, those whose
// type Go lets one leave out included.
func everyWords(t *testing.T) map[string]Words {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]Words)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			id, typed := lit.Type.(*ast.Ident)
			isWords := typed && id.Name == "Words"
			halves := texts(lit)
			if isWords || lit.Type == nil && len(halves) == 2 && len(lit.Elts) == 2 {
				at := set.Position(lit.Pos()).String()
				if len(halves) != 2 {
					t.Errorf("%s: words in %d languages", at, len(halves))
					return true
				}
				found[at] = Words{halves[0], halves[1]}
			}
			return true
		})
	}
	return found
}

func texts(lit *ast.CompositeLit) (all []string) {
	for _, e := range lit.Elts {
		if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
			s, _ := strconv.Unquote(b.Value)
			all = append(all, s)
		}
	}
	return all
}

var (
	verb     = regexp.MustCompile(`%(?:\[\d+\])?[.\d]*[a-z]`)
	japanese = func(r rune) bool { return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) }
	// sameInBoth need no translation.
	sameInBoth = []string{"IMAP", "%d / %d", ": "}
)

func TestEverythingIsSaidInBothLanguages(t *testing.T) {
	all := everyWords(t)
	if len(all) < 150 {
		t.Fatalf("found only %d words", len(all))
	}
	for at, w := range all {
		if strings.TrimSpace(w.EN) == "" || strings.TrimSpace(w.JA) == "" {
			t.Errorf("%s: %+v is missing in a language", at, w)
		}
		if strings.ContainsFunc(w.EN, japanese) {
			t.Errorf("%s: Japanese in the English %q", at, w.EN)
		}
		fixed := slices.Contains(sameInBoth, w.EN) || w.EN == "POP3 + IMAP" || w.EN == "%s / %d" || w.EN == "%d of %d"
		if !fixed && !strings.ContainsFunc(w.JA, japanese) {
			t.Errorf("%s: %q is not Japanese", at, w.JA)
		}
		en, ja := verb.FindAllString(w.EN, -1), verb.FindAllString(w.JA, -1)
		plain := func(verbs []string) []string {
			for i, v := range verbs {
				verbs[i] = v[len(v)-1:]
			}
			slices.Sort(verbs)
			return verbs
		}
		if !slices.Equal(plain(en), plain(ja)) {
			t.Errorf("%s: %q and %q are not filled in alike", at, w.EN, w.JA)
		}
	}
}

// TestWordsOfScenarios walks the values themselves, in case one is made in a
// way that the source does not show.
func TestWordsOfScenarios(t *testing.T) {
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if w, ok := v.Interface().(Words); ok {
			if w.EN == "" || w.JA == "" {
				t.Errorf("%s: %+v", path, w)
			}
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i), path+"."+v.Type().Field(i).Name)
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	}
	walk(reflect.ValueOf(Scenarios), "Scenarios")
	taught := make(map[Axis]bool)
	for _, s := range Scenarios {
		if len(s.Steps) > 9 {
			t.Errorf("%s has %d steps", s.ID, len(s.Steps))
		}
		for _, step := range s.Steps {
			for _, f := range step.Facts {
				taught[f.Axis] = true
				for _, lane := range s.Lanes {
					if len(f.lesson) > 0 && f.lesson[lane] == nil && (step.Only == nil || slices.Contains(step.Only, lane)) {
						t.Errorf("%s: %q teaches nothing about %s", s.ID, f.Text.EN, lane)
					}
				}
			}
		}
	}
	for _, a := range axes {
		if !taught[a.axis] {
			t.Errorf("no scenario measures %s", a.axis)
		}
	}
}

// TestShownCommandsAreExplained fails when a story would print a command that
// the dictionary does not know.
func TestShownCommandsAreExplained(t *testing.T) {
	for _, s := range Scenarios {
		for i, step := range s.Steps {
			for verb := range strings.FieldsSeq(step.Show) {
				known := false
				for _, proto := range commands {
					_, has := proto[verb]
					known = known || has
				}
				if !known {
					t.Errorf("%s, step %d shows %s, which nothing explains", s.ID, i+1, verb)
				}
			}
		}
	}
}

func TestColumnsOf(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "abc": 3, "会議": 4, "ｱ": 1, "（）": 4, "ばん": 4, "が": 2, "é": 1, "─✔": 2, "POP3(残す)": 10,
	} {
		if got := columnsOf(s); got != want {
			t.Errorf("%q takes %d columns, not %d", s, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"one two three", []string{"one two", "three"}},
		{"会議は水曜日の10時です。", []string{"会議は水", "曜日の10", "時です。"}},
		{"あいうえ。お", []string{"あいう", "え。お"}},
		{"あいう（えお）", []string{"あいう", "（えお）"}},
	} {
		if got := wrap(test.text, 8); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, not %q", test.text, got, test.want)
		}
	}
}

// TestTableIsStraight checks that the table is a rectangle that fits into 80
// columns, whatever the language and however long the results.
func TestTableIsStraight(t *testing.T) {
	for _, lang := range []Lang{English, Japanese} {
		for _, ascii := range []bool{false, true} {
			r := &Report{Lang: lang, server: Server{Web: "127.0.0.1:80"}}
			r.Scenarios = []Told{{Results: []Result{
				{Axis: AxisRead, Column: IMAP, Shown: Value{Kind: Answer, N: 1, After: 12e6}.In(lang)},
				{Axis: AxisTraffic, Column: Keep, Shown: Value{Kind: Traffic, N: 9999, Of: 19}.In(lang)},
			}}}
			r.close(&recorder{})
			s := newStory(os.Stderr, Options{Lang: lang, ASCII: ascii})
			lines := s.table(r)
			for _, line := range lines {
				if n := columnsOf(line); n != columnsOf(lines[0]) || n > 79 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			narrow := newStory(os.Stderr, Options{Lang: lang, ASCII: ascii, Width: 50})
			for _, line := range narrow.table(r) {
				if n := columnsOf(line); n > 49 {
					t.Errorf("%d columns of 50: %s", n, line)
				}
			}
		}
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		text, pattern string
		want          bool
	}{
		{"* 3 EXPUNGE", "* * EXPUNGE", true},
		{"* 3 EXISTS", "* * EXPUNGE", false},
		{"-ERR [IN-USE] no", "-ERR [IN-USE]", true},
		{`* 1 FETCH (UID 4 FLAGS (\Seen))`, `* * FETCH * * FLAGS (\Seen)`, true},
		{`* 1 FETCH (UID 4 FLAGS ())`, `* * FETCH * * FLAGS (\Seen)`, false},
		{"+OK 10 0", "+OK 0 0", false},
	} {
		if got := begins(test.text, test.pattern); got != test.want {
			t.Errorf("%q, %q: %v", test.text, test.pattern, got)
		}
	}
}

func TestLegible(t *testing.T) {
	for text, want := range map[string]string{
		`S: \tby mail.example.test`: "S: \tby mail.example.test",
		`C: a1 STORE 1 \Trash`:      `C: a1 STORE 1 \Trash`,
		`S: +\x20`:                  "S: + ",
		`S: C:\\temp`:               `S: C:\\temp`,
	} {
		if got := Legible(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
