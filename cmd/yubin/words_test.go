package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// said collects every sentence that the program can say: the literals given
// to say and tell, and the help of every command.
func said(t *testing.T) map[string]string {
	t.Helper()
	sentences := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "say" && sel.Sel.Name != "tell" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				if name != "words.go" && name != "root.go" {
					t.Errorf("%s: a sentence that is not a literal cannot be checked", fset.Position(call.Pos()))
				}
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			sentences[text] = fset.Position(call.Pos()).String()
			return true
		})
	}
	p := &program{in: os.Stdin, out: io.Discard, err: io.Discard, getenv: os.LookupEnv, tongue: english}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		// cobra's own help for the shells stays as it is, and so does what
		// nobody is shown.
		if c.Name() == "no-help-command" || c.Hidden || c.HasParent() && c.Parent().Name() == "completion" {
			return
		}
		sentences[c.Short] = c.CommandPath()
		if c.Long != "" && c.Name() != "completion" {
			sentences[c.Long] = c.CommandPath()
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				sentences[f.Usage] = c.CommandPath() + " --" + f.Name
			}
		})
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(p.root())
	return sentences
}

func TestEverySentenceIsInEveryLanguage(t *testing.T) {
	sentences := said(t)
	for _, sentence := range slices.Sorted(maps.Keys(sentences)) {
		if catalogue[sentence] == "" {
			t.Errorf("%s: no Japanese for %q", sentences[sentence], sentence)
		}
	}
	for _, sentence := range slices.Sorted(maps.Keys(catalogue)) {
		if sentences[sentence] == "" {
			t.Errorf("the catalogue has %q, which nobody says", sentence)
		}
	}
}

var verb = regexp.MustCompile(`%(\[(\d+)\])?[a-z]`)

// verbs are the arguments that a sentence uses, with how it prints them.
func verbs(sentence string) []string {
	var used []string
	for i, m := range verb.FindAllStringSubmatch(sentence, -1) {
		n := i + 1
		if m[2] != "" {
			n, _ = strconv.Atoi(m[2])
		}
		used = append(used, fmt.Sprint(n, m[0][len(m[0])-1:]))
	}
	slices.Sort(used)
	return used
}

func TestTranslationsSayTheSameThings(t *testing.T) {
	for sentence, translated := range catalogue {
		if !slices.Equal(verbs(sentence), verbs(translated)) {
			t.Errorf("%q uses %v, its translation %q uses %v", sentence, verbs(sentence), translated, verbs(translated))
		}
		for _, word := range regexp.MustCompile("`[^`]+`").FindAllString(sentence, -1) {
			if !strings.Contains(translated, word) {
				t.Errorf("%q: the translation lacks %s", sentence, word)
			}
		}
	}
}

func TestTheLanguageIsFoundBeforeAnythingElse(t *testing.T) {
	cases := []struct {
		args string
		env  map[string]string
		want tongue
	}{
		{"", nil, english},
		{"", map[string]string{"LANG": "ja_JP.UTF-8"}, japanese},
		{"", map[string]string{"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, english},
		{"", map[string]string{"LANG": "en_US", "YUBIN_LANG": "ja"}, japanese},
		{"doctor --lang ja", nil, japanese},
		{"doctor --lang=ja", map[string]string{"LANG": "en_US"}, japanese},
		{"doctor --lang=en", map[string]string{"LANG": "ja_JP"}, english},
		{"send -- --lang ja", nil, english},
	}
	for _, c := range cases {
		getenv := func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }
		if got := tongueOf(strings.Fields(c.args), getenv); got != c.want {
			t.Errorf("%q %v: %s, want %s", c.args, c.env, got, c.want)
		}
	}
}

func TestTablesLineUpWideLetters(t *testing.T) {
	var rows table
	rows.head("アドレス\tx")
	rows.row("a@b.test", "y")
	rows.row("a", "")
	var out strings.Builder
	if err := rows.print(&out); err != nil {
		t.Fatal(err)
	}
	if want := "アドレス  x\na@b.test  y\na\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
