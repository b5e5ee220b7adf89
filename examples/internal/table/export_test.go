package table

import "io"

// PrintAt prints at a width.
func (t *Table) PrintAt(w io.Writer, width int) { t.print(w, width) }
