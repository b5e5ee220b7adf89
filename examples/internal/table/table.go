// Package table prints the examples' tables as wide as a terminal is, and no wider.
package table

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// usual is the width of what is no terminal, such as a pipe.
const usual = 80

// Table is lines of cells. The first column stands on the left, the others on the right.
type Table struct {
	lines  [][]string
	spared []int // columns that are left out for want of room, in this order
}

// New returns a table with these titles.
func New(titles ...string) *Table { return &Table{lines: [][]string{titles}} }

// Spare names columns that are left out where there is no room for all, by their titles: the first of them first.
func (t *Table) Spare(titles ...string) *Table {
	for _, title := range titles {
		if i := slices.Index(t.lines[0], title); i >= 0 {
			t.spared = append(t.spared, i)
		}
	}
	return t
}

// Line adds a line, with a cell for each title.
func (t *Table) Line(cells ...any) {
	line := make([]string, len(cells))
	for i, cell := range cells {
		line[i] = fmt.Sprint(cell)
	}
	t.lines = append(t.lines, line)
}

// Print writes the table to w, as wide as w is.
func (t *Table) Print(w io.Writer) { t.print(w, Width(w)) }

// print leaves three spaces between columns, or two (with one, a title of two words would be two titles), and columns out,
// until it fits.
func (t *Table) print(w io.Writer, width int) {
	widths := t.widths()
	gap := 3
	for spared := t.spared; total(widths, gap) > width; {
		switch {
		case gap > 2:
			gap--
		case len(spared) > 0:
			widths[spared[0]] = 0
			spared = spared[1:]
		default:
			width = total(widths, gap)
		}
	}
	for _, line := range t.lines {
		fmt.Fprintln(w, format(line, widths, strings.Repeat(" ", gap)))
	}
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.lines[0]))
	for _, line := range t.lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func total(widths []int, gap int) int {
	n := -gap
	for _, width := range widths {
		if width > 0 {
			n += width + gap
		}
	}
	return n
}

func format(line []string, widths []int, gap string) string {
	var cells []string
	for i, cell := range line {
		padding := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0))
		switch {
		case widths[i] == 0:
		case i == 0:
			cells = append(cells, cell+padding)
		default:
			cells = append(cells, padding+cell)
		}
	}
	return strings.Join(cells, gap)
}

// Width is that of w, if it is a terminal, or else what most have.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usual
}
