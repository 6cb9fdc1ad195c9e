package house

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	parameter = regexp.MustCompile(`\$(\d+)`)
	statement = regexp.MustCompile(`(?is)^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\b`)
)

// misordered returns what is wrong with the parameters of a piece of SQL, or
// "". mattn/go-sqlite3 binds $n by order of first appearance, whatever n is,
// so a statement whose numbers first appear in another order silently uses
// the wrong values.
func misordered(sql string) string {
	highest := 0
	seen := make(map[int]bool)
	for _, m := range parameter.FindAllStringSubmatch(sql, -1) {
		n, err := strconv.Atoi(m[1])
		switch {
		case err != nil || n == 0:
			return m[0] + " is no parameter"
		case seen[n]:
			continue
		case n < highest:
			return m[0] + " first appears after $" + strconv.Itoa(highest)
		case n > highest+1 && statement.MatchString(sql):
			// A fragment may begin with any number, a statement may not.
			return m[0] + " appears before $" + strconv.Itoa(highest+1)
		}
		seen[n], highest = true, n
	}
	return ""
}

// written returns the literal parts of a string expression, put together.
func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return written(e.X) + " " + written(e.Y)
		}
	case *ast.ParenExpr:
		return written(e.X)
	}
	return ""
}

func TestParametersAppearInOrder(t *testing.T) {
	checked := 0
	for _, f := range files(t, ".go") {
		if f.folder() != "store" {
			continue
		}
		set, file := f.parse(t, 0)
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			sql := written(e)
			if !strings.Contains(sql, "$") {
				return true
			}
			checked++
			if wrong := misordered(sql); wrong != "" {
				t.Errorf("%s: %s", set.Position(e.Pos()), wrong)
			}
			return false // its parts are parts
		})
	}
	if checked == 0 {
		t.Error("no SQL with parameters was found in store")
	}
}

func TestMisordered(t *testing.T) {
	for sql, ok := range map[string]bool{
		"SELECT a FROM b WHERE c = $1 AND d = $2 OR e = $1": true,
		"SELECT a FROM b WHERE c = $2 AND d = $1":           false,
		"UPDATE a SET b = $2":                               false,
		"UPDATE a SET b = $1, c = $3, d = $2":               false,
		" AND uid > $3 AND uid < $4":                        true,
		" AND uid > $4 AND uid < $3":                        false,
		"select $0":                                         false,
		"no parameters":                                     true,
	} {
		if wrong := misordered(sql); (wrong == "") != ok {
			t.Errorf("%q: %q", sql, wrong)
		}
	}
}
