package cost

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of this package, for [errors.Is].
var (
	// ErrUnrated means that the book can't price the usage. The usage was not counted by the
	// book's rounding rule, has more memory than the book sells, or is from before the book
	// was in force. A price is never guessed.
	ErrUnrated = errors.New("unrated")
	// ErrCurrency means that amounts of different currencies were to be added or compared.
	ErrCurrency = errors.New("different currencies")
	// ErrPeriod means that the calendar has no period that contains the instant, or that the
	// period was dropped. Records for it are refused.
	ErrPeriod = errors.New("no such period")
	// ErrFormat means that a text or a file can't be read, or that values don't fit together.
	ErrFormat = errors.New("malformed")
)

// BookError is one mistake in a book, with its position. The errors of [ParseBook] and
// [LoadBook] are BookErrors, joined; [errors.As] finds the first.
type BookError struct {
	// File is the path of the book, or empty if the book was not read from a file.
	File string
	Line int // counted from 1
	// Column is in characters, counted from 1.
	Column int
	// Field is, for example, "prices[1].unit"; it is empty if the mistake is in the book as a
	// whole.
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
