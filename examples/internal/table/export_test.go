package table

import "io"

// PrintAt prints the table for a width of that many characters.
func (t *Table) PrintAt(w io.Writer, width int) { t.print(w, width) }
