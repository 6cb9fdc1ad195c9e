package webd

import (
	"fmt"
	"strings"
	"testing"
)

// Elements nested without end lose their tags and keep their text; those
// beside each other, however many and whether closed or not, keep both.
func TestNestingIsBounded(t *testing.T) {
	clean := func(text string) string { return sanitised(text, false, func(string) string { return "" }) }

	const levels = 2000
	var deep strings.Builder
	for i := range levels {
		fmt.Fprintf(&deep, "<div><table><tr><td>[%d]", i)
	}
	deep.WriteString("<b>inmost</b>" + strings.Repeat("</td></tr></table></div>", levels) + "<i>after</i>")
	got := clean(deep.String())
	if n := strings.Count(got, "<table"); n != maxNesting/2 {
		t.Errorf("%d tables lie in each other", n)
	}
	if opened, closed := strings.Count(got, "<table")+strings.Count(got, "<div"), strings.Count(got, "</table")+strings.Count(got, "</div"); opened != closed {
		t.Errorf("%d start tags and %d end tags are left", opened, closed)
	}
	for _, text := range []string{"[0]", "[1999]", "inmost", "<i>after</i>"} {
		if !strings.Contains(got, text) {
			t.Errorf("%s is lost", text)
		}
	}

	for _, flat := range []string{
		strings.Repeat("<p>one", levels),
		strings.Repeat("<ul>"+strings.Repeat("<li>one", 50)+"</ul>", 40),
		"<table>" + strings.Repeat("<tr><td>one<td>two", levels) + "</table>",
		strings.Repeat("<div><b>one</b><br></div>", levels),
	} {
		if got := clean(flat); got != flat {
			t.Errorf("%.40s…: %d octets became %d", flat, len(flat), len(got))
		}
	}
}
