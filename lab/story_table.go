package lab

import (
	"slices"
	"strings"
)

// table draws the rows in which something was measured.
func (s *story) table(r *Report) (lines []string) {
	rows := [][]string{{storyTable.In(s.Lang)}}
	for _, c := range r.server.offers(Columns) {
		rows[0] = append(rows[0], c.In(s.Lang))
	}
	for _, row := range r.Table {
		if !slices.ContainsFunc(row.Cells, func(c Cell) bool { return c.Result != nil }) {
			continue
		}
		cells := []string{row.Name}
		for _, c := range row.Cells {
			text := c.Shown
			if c.Result != nil && c.Result.Lesson == Contradicted {
				text += " " + s.sign("✖", "XX")
			}
			cells = append(cells, text)
		}
		rows = append(rows, cells)
	}
	if len(rows) == 1 {
		return nil
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columnsOf(cell))
		}
	}
	// Where the table is too wide it goes without margins, and then the
	// questions take several lines.
	margin := " "
	if s.excess(widths, 2) > 0 {
		margin = ""
		widths[0] = max(12, widths[0]-max(0, s.excess(widths, 0)))
	}
	if s.excess(widths, len(margin)*2) > 0 {
		return s.list(rows)
	}
	rule := func(left, middle, right string) string {
		parts := make([]string, len(widths))
		for i, w := range widths {
			parts[i] = strings.Repeat(s.sign("─", "-"), w+2*len(margin))
		}
		return left + strings.Join(parts, middle) + right
	}
	bar := s.sign("│", "|")
	lines = append(lines, rule(s.sign("┌", "+"), s.sign("┬", "+"), s.sign("┐", "+")))
	for i, row := range rows {
		for n, name := range wrap(row[0], widths[0]) {
			cells := []string{margin + pad(name, widths[0]) + margin}
			for j, cell := range row[1:] {
				if n > 0 {
					cell = ""
				}
				cells = append(cells, margin+pad(cell, widths[j+1])+margin)
			}
			lines = append(lines, bar+strings.Join(cells, bar)+bar)
		}
		if i == 0 {
			lines = append(lines, rule(s.sign("├", "+"), s.sign("┼", "+"), s.sign("┤", "+")))
		}
	}
	return append(lines, rule(s.sign("└", "+"), s.sign("┴", "+"), s.sign("┘", "+")))
}

// list is a table for a terminal that is too narrow for one: cell by cell.
func (s *story) list(rows [][]string) []string {
	lines := []string{s.paint(bold, rows[0][0])}
	indent := 0
	for _, name := range rows[0][1:] {
		indent = max(indent, columnsOf(name)+2)
	}
	for _, row := range rows[1:] {
		lines = append(lines, row[0])
		for i, cell := range row[1:] {
			lines = append(lines, "  "+pad(rows[0][i+1], indent)+cell)
		}
	}
	return lines
}

// excess is by how many columns a table is too wide for the terminal.
func (s *story) excess(widths []int, margins int) int {
	sum := 3 // its own indentation, the first bar and one column to spare
	for _, w := range widths {
		sum += w + margins + 1
	}
	return sum - s.Width
}
