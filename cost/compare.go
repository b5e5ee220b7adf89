package cost

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// Comparison is the same usage under several books, in the order they were
// given.
type Comparison struct {
	Period  Period
	Entries []Entry
}

// Entry is one book of a comparison.
type Entry struct {
	Statement Statement // if Err is not nil: its Period and Book alone
	Err       error     // an ErrUnrated: this book can't price the usage
}

// Compare prices usage by each book, as [NewStatement] does.
func Compare(p Period, usage []Usage, books ...*Book) Comparison {
	c := Comparison{Period: p}
	for _, b := range books {
		s, err := NewStatement(p, b, usage)
		c.Entries = append(c.Entries, Entry{s, err})
	}
	return c
}

// WriteText writes a table, a line for each book, with amounts rounded to six
// decimals: before and after the free tier.
func (c Comparison) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, c.Period)
	cells(t, []string{"book", "region", "compute", "requests", "list", "billed", ""})
	for _, e := range c.Entries {
		cells(t, e.line())
	}
	return errors.Join(t.Flush(), c.writeReasons(w))
}

func (e Entry) line() []string {
	b := e.Statement.Book
	if e.Err != nil {
		return []string{b.Title, b.Region, "", "", "", "unrated", ""}
	}
	compute, requests := Money{currency: b.Currency}, Money{currency: b.Currency}
	for _, charge := range e.Statement.Total.Charges {
		if charge.Meter == meterRequests {
			requests = requests.plus(charge.List)
		} else {
			compute = compute.plus(charge.List)
		}
	}
	line := []string{b.Title, b.Region}
	for _, m := range []Money{compute, requests, e.Statement.Total.List, e.Statement.Total.Billed} {
		line = append(line, fixed(m.rat()))
	}
	return append(line, b.Currency)
}

// writeReasons tells below the table why a book has no amounts.
func (c Comparison) writeReasons(w io.Writer) error {
	for _, e := range c.Entries {
		if e.Err == nil {
			continue
		}
		if _, err := fmt.Fprintln(w, e.Err); err != nil {
			return err
		}
	}
	return nil
}
