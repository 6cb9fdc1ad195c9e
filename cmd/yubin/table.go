package main

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/width"
)

// A table is rows of cells. text/tabwriter would do, if it knew that a
// Japanese letter is two columns wide.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// head adds the titles of the columns, given in one sentence with tabs.
func (t *table) head(titles string) { *t = append(*t, strings.Split(titles, "\t")) }

func (t table) print(w io.Writer) error {
	var columns []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(columns) {
				columns = append(columns, 0)
			}
			columns[i] = max(columns[i], columnsOf(cell))
		}
	}
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", columns[i]-columnsOf(cell)+2))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf is how wide a terminal shows text (Unicode Annex 11).
func columnsOf(text string) (n int) {
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
