package cost

import (
	"errors"
	"fmt"
	"strings"
)

// What this package answers, to be asked for with [errors.Is].
var (
	// ErrUnrated: the usage can't be priced with the book, because it was not
	// metered by the book's rounding rule, has more memory than the book sells, or
	// is of a time before the book holds. It is never guessed.
	ErrUnrated = errors.New("unrated")
	// ErrCurrency: amounts of different currencies don't add up or compare.
	ErrCurrency = errors.New("different currencies")
	// ErrPeriod: the calendar has no period that contains the instant, or the
	// period is no longer kept. What would be filed there is refused.
	ErrPeriod = errors.New("no such period")
	// ErrFormat: not a text that the value can be read from.
	ErrFormat = errors.New("malformed")
)

// BookError is one mistake in a book, and where it stands. The errors of
// [ParseBook] and [LoadBook] are these, joined; [errors.As] finds the first.
type BookError struct {
	File   string // its path; empty: not read from a file
	Line   int    // from 1
	Column int    // in characters, from 1
	Field  string // such as "prices[1].unit"; empty: the book as a whole
	Text   string // what is wrong, and what would be right
}

// Error is "file:line:column: field: text".
func (e *BookError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Text)
	return b.String()
}
