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

// usual is the width for a writer that is not a terminal, such as a pipe.
const usual = 80

// Table is a list of lines of cells. The first column is aligned left, the others right.
type Table struct {
	lines  [][]string
	spared []int // columns that are left out if the table is too wide, in this order
}

// New returns a table with these titles.
func New(titles ...string) *Table { return &Table{lines: [][]string{titles}} }

// Spare names columns, by their titles, that are left out if there is no room for all. The first title is left out first.
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

// Print writes the table to w, for the width of w.
func (t *Table) Print(w io.Writer) { t.print(w, Width(w)) }

// print puts three spaces between columns. If the table is too wide it puts two, and then leaves out spared columns. It
// never puts one space, because then a title of two words would look like two titles.
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

// Width returns the width of w if it is a terminal, and usual otherwise.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usual
}
