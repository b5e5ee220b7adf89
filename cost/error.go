package cost

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of this package, for [errors.Is].
var (
	// ErrUnrated: the book can't price the usage. It was not metered by the book's
	// rounding rule, has more memory than the book sells, or is of a time before the
	// book holds. A price is never guessed.
	ErrUnrated = errors.New("unrated")
	// ErrCurrency: amounts of different currencies don't add up or compare.
	ErrCurrency = errors.New("different currencies")
	// ErrPeriod: the calendar has no period that contains the instant, or the period
	// was dropped. Records for it are refused.
	ErrPeriod = errors.New("no such period")
	// ErrFormat: a text or a file that the value can't be read from, or values that
	// don't fit together.
	ErrFormat = errors.New("malformed")
)

// BookError is one mistake in a book, and where it is. The errors of [ParseBook] and
// [LoadBook] are BookErrors, joined; [errors.As] finds the first.
type BookError struct {
	// File is the path of the book; empty: it was not read from a file.
	File string
	Line int // from 1
	// Column is counted in characters, from 1.
	Column int
	// Field is, for example, "prices[1].unit"; empty: the book as a whole.
	Field string
	// Text says what is wrong, and what would be right.
	Text string
}

// Error returns "file:line:column: field: text".
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
