package house

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is where the repository begins, seen from this folder.
const root = "../.."

// generated are folders that are not ours to read.
var generated = []string{".git", "bin", "data", "out", "node_modules"}

// source is a file of the repository.
type source struct {
	name string // from the root, with slashes
	text []byte
}

// files returns the files whose names have one of the endings, or all.
func files(t *testing.T, endings ...string) (found []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(generated, d.Name()) {
			return filepath.SkipDir
		}
		wanted := len(endings) == 0 || slices.Contains(endings, filepath.Ext(path))
		if !d.Type().IsRegular() || !wanted || d.Name() == ".git" { // a file in a linked worktree
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		found = append(found, source{filepath.ToSlash(name), text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("there are no files %v", endings)
	}
	return found
}

// folder is the package a file belongs to.
func (s source) folder() string {
	i := strings.LastIndexByte(s.name, '/')
	return s.name[:max(0, i)]
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// parse reads a Go file.
func (s source) parse(t *testing.T, mode parser.Mode) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, s.name, s.text, mode)
	if err != nil {
		t.Fatal(err)
	}
	return set, file
}

func TestFilesAreFormatted(t *testing.T) {
	for _, f := range files(t, ".go") {
		formatted, err := format.Source(f.text)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
		} else if !bytes.Equal(formatted, f.text) {
			t.Errorf("%s is not formatted: run gofmt -w on it", f.name)
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	docs := make(map[string]string)
	for _, f := range files(t, ".go") {
		if strings.Contains(f.name, "testdata/") {
			continue
		}
		_, file := f.parse(t, parser.PackageClauseOnly|parser.ParseComments)
		docs[f.folder()] += file.Doc.Text()
	}
	for folder, doc := range docs {
		if len(strings.Split(strings.TrimSpace(doc), "\n")) < 2 {
			t.Errorf("%s needs a package comment: what it is, what it is not, where to start reading", folder)
		}
	}
}

var (
	rfc       = regexp.MustCompile(`\bRFC (\d{3,5})\b`)
	rfcSpelt  = regexp.MustCompile(`(?:^|[^.\w])(?:RFC-?\d{4,5}|rfc ?\d{4,5}|Rfc ?\d{4,5})\b`)
	rfcLink   = regexp.MustCompile(`https?://\S+`)
	rfcNumber = regexp.MustCompile(`\b\d{3,5}\b`)
)

func TestCitedRFCsAreListed(t *testing.T) {
	cited := make(map[string]string) // by number: the first file that does
	for _, f := range files(t, ".go") {
		for _, m := range rfc.FindAllSubmatch(f.text, -1) {
			if number := string(m[1]); cited[number] == "" {
				cited[number] = f.name
			}
		}
		// This file has the wrong spellings in its patterns.
		text := rfcLink.ReplaceAll(f.text, nil)
		if m := rfcSpelt.Find(text); m != nil && f.folder() != "internal/house" {
			t.Errorf("%s writes %s; we write RFC 9051 §6.4.8", f.name, bytes.TrimSpace(m))
		}
	}
	list, err := os.ReadFile(filepath.Join(root, "docs", "protocols.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, number := range rfcNumber.FindAllString(string(list), -1) {
		listed[number] = true
	}
	var missing []string
	for number, by := range cited {
		if !listed[number] {
			missing = append(missing, "RFC "+number+", cited in "+by)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("docs/protocols.md lacks\n\t%s", strings.Join(missing, "\n\t"))
	}
}

// machinePath finds paths that exist on one machine only. The names are cut
// in two so that this file does not have them.
var machinePath = regexp.MustCompile(`(?:^|[^\w.$~/-])/(?:wo` + `rk|ro` + `ot)/[\w.-]`)

func TestNoMachinePaths(t *testing.T) {
	for _, f := range files(t) {
		if bytes.IndexByte(f.text, 0) >= 0 {
			continue // not text
		}
		if m := machinePath.FindIndex(f.text); m != nil {
			line := 1 + bytes.Count(f.text[:m[0]+1], []byte("\n"))
			t.Errorf("%s:%d has a path of one machine: %s", f.name, line, bytes.TrimSpace(f.text[m[0]:m[1]]))
		}
	}
}
