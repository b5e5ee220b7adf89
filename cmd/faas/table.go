package main

import (
	"cmp"
	"encoding/csv"
	"maps"
	"math"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// column is a column of a table of items.
type column[T any] struct {
	title string // the heading, for a person
	field string // the name of the column in CSV; empty: the column is not in CSV
	right bool   // aligned to the right, as numbers are
	drop  int    // if the table is too wide, columns are left out in the order of this number, the highest first; 0: never
	flex  bool   // the column may be cut if the table is still too wide
	text  func(T) string
	raw   func(T) string // the value for programs; nil: as text
	tone  func(T) tone   // the color of a cell; nil: plain
}

// tone is the meaning of a cell's color. A color adds nothing that the text does not say.
type tone int

const (
	plain tone = iota
	good
	warn
	bad
	dim
	head
)

// paint returns text in the color of its tone. The colors are among the terminal's 16, and so
// fit its theme.
func paint(text string, t tone) string {
	style := lipgloss.NewStyle()
	switch t {
	case good:
		style = style.Foreground(lipgloss.Green)
	case warn:
		style = style.Foreground(lipgloss.Yellow)
	case bad:
		style = style.Foreground(lipgloss.Red).Bold(true)
	case dim:
		style = style.Faint(true)
	case head:
		style = style.Bold(true)
	case plain:
		return text
	}
	return style.Render(text)
}

const (
	gap      = 2  // spaces between two columns
	minFlex  = 8  // a column is never cut to less than this width
	softFlex = 28 // columns are left out rather than cut to less than this width
)

// grid is a table with the widths of its columns.
type grid[T any] struct {
	columns []column[T]
	cells   [][]string // by row; the first row has the titles
	widths  []int
}

// layOut makes a table of the items that fits into width; 0 means no limit. It first leaves out
// columns (column.drop), and then cuts columns (column.flex).
func layOut[T any](columns []column[T], items []T, width int) *grid[T] {
	g := &grid[T]{columns: slices.Clone(columns)}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = printable(c.title) // a currency's name comes from the host
	}
	g.cells = [][]string{titles}
	for _, item := range items {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = printable(c.text(item))
		}
		g.cells = append(g.cells, row)
	}
	g.measure()
	if width > 0 {
		g.fit(width)
	}
	return g
}

// fit makes the table fit. It leaves out columns until the others fit when cut to softFlex.
// Then it cuts columns, and no more than necessary.
func (g *grid[T]) fit(width int) {
	for g.total(softFlex) > width && g.leaveOut() {
		g.measure()
	}
	for g.total(math.MaxInt) > width && g.cut() {
	}
}

func (g *grid[T]) measure() {
	g.widths = make([]int, len(g.columns))
	for _, row := range g.cells {
		for i, cell := range row {
			g.widths[i] = max(g.widths[i], ansi.StringWidth(cell))
		}
	}
}

// total returns the width of the table if columns that may be cut are cut to at most most.
func (g *grid[T]) total(most int) int {
	sum := gap * (len(g.widths) - 1)
	for i, w := range g.widths {
		if g.columns[i].flex {
			w = min(w, most)
		}
		sum += w
	}
	return sum
}

// leaveOut removes the column with the highest drop. It returns false if there is none.
func (g *grid[T]) leaveOut() bool {
	worst := -1
	for i, c := range g.columns {
		if c.drop > 0 && (worst < 0 || c.drop > g.columns[worst].drop) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	g.columns = slices.Delete(g.columns, worst, worst+1)
	for i, row := range g.cells {
		g.cells[i] = slices.Delete(row, worst, worst+1)
	}
	return true
}

// cut makes the widest column that may be cut narrower by one. It returns false if there is
// none.
func (g *grid[T]) cut() bool {
	widest := -1
	for i, c := range g.columns {
		if c.flex && g.widths[i] > minFlex && (widest < 0 || g.widths[i] > g.widths[widest]) {
			widest = i
		}
	}
	if widest < 0 {
		return false
	}
	g.widths[widest]--
	return true
}

// lines returns the lines of the table.
func (g *grid[T]) lines(items []T, colors bool) []string {
	out := make([]string, len(g.cells))
	for i, row := range g.cells {
		var b strings.Builder
		for j, cell := range row {
			t := head
			if i > 0 && g.columns[j].tone != nil {
				t = g.columns[j].tone(items[i-1])
			} else if i > 0 {
				t = plain
			}
			b.WriteString(g.cell(j, cell, t, colors))
		}
		out[i] = strings.TrimRight(b.String(), " ")
	}
	return out
}

// cell returns a cell, filled with spaces to its column's width. The caller removes the spaces
// at the end of a line.
func (g *grid[T]) cell(j int, text string, t tone, colors bool) string {
	text = ansi.Truncate(text, g.widths[j], "…")
	blanks := strings.Repeat(" ", g.widths[j]-ansi.StringWidth(text))
	if colors {
		text = paint(text, t)
	}
	if g.columns[j].right {
		text = blanks + text
	} else {
		text += blanks
	}
	if j < len(g.columns)-1 {
		text += strings.Repeat(" ", gap)
	}
	return text
}

// writeCSV writes the columns that have a name for CSV. If the output is a terminal, it escapes
// control characters.
func writeCSV[T any](a *app, columns []column[T], items []T, header bool) error {
	out := csv.NewWriter(a.out)
	_, _, terminal := a.size()
	var names []string
	for _, c := range columns {
		if c.field != "" {
			names = append(names, c.field)
		}
	}
	if header {
		_ = out.Write(names) // Flush returns the error
	}
	for _, item := range items {
		row := make([]string, 0, len(names))
		for _, c := range columns {
			if c.field != "" {
				row = append(row, c.value(item, terminal))
			}
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}

func (c *column[T]) value(item T, terminal bool) string {
	of := c.raw
	if of == nil {
		of = c.text
	}
	if terminal {
		return printable(of(item))
	}
	return of(item)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
