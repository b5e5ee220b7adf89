package cost

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"text/tabwriter"
)

// Comparison is the same usage under several books, in the order they were
// given.
type Comparison struct {
	Period  Period
	Entries []Entry

	rates *Rates // nil: each in its own currency
}

// Entry is one book of a comparison.
type Entry struct {
	Statement Statement // if Err is not nil: of what the book can price
	Err       error     // an ErrUnrated: this book can't price all of the usage
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

// In has the comparison written in one currency, by the user's exchange rates.
// [ErrCurrency]: there is none for one of its currencies. The statements stay as
// they are.
func (c Comparison) In(r Rates) (Comparison, error) {
	for _, e := range c.Entries {
		if _, err := r.Convert(NewMoney(big.NewRat(1, 1), e.Statement.Book.Currency)); err != nil {
			return Comparison{}, err
		}
	}
	c.rates = &r
	return c, nil
}

// WriteText writes a table, a line for each book, with amounts rounded to six
// decimals: before and after the free tier. Amounts of different currencies never
// stand in one column: there is a table for each, unless [Comparison.In] has brought
// them into one.
func (c Comparison) WriteText(w io.Writer) error {
	var currencies []string
	for _, e := range c.Entries {
		if code := c.currency(e); !slices.Contains(currencies, code) {
			currencies = append(currencies, code)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, c.Period)
	if len(currencies) == 0 {
		c.table(t, "")
	}
	for i, code := range currencies {
		if i > 0 {
			fmt.Fprintln(t)
		}
		c.table(t, code)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return errors.Join(t.Flush(), c.writeReasons(w))
}

// currency is what an entry is written in.
func (c Comparison) currency(e Entry) string {
	if c.rates != nil {
		return c.rates.To
	}
	return e.Statement.Book.Currency
}

// table writes the entries that are in a currency.
func (c Comparison) table(w io.Writer, currency string) {
	other := slices.ContainsFunc(c.Entries, func(e Entry) bool { return c.currency(e) == currency && e.parts()[2].Sign() != 0 })
	head := []string{"book", "region", "compute", "requests", "list", "billed", ""}
	if other {
		head = slices.Insert(head, 4, "other")
	}
	cells(w, head)
	for _, e := range c.Entries {
		if c.currency(e) == currency {
			cells(w, c.line(e, other))
		}
	}
}

func (c Comparison) line(e Entry, other bool) []string {
	b := e.Statement.Book
	amounts := e.parts()
	if !other {
		amounts = slices.Delete(amounts, 2, 3)
	}
	line := []string{b.Title, b.Region}
	if e.unrated() {
		line = append(line, make([]string, len(amounts))...)
		line[len(line)-1] = "unrated"
		return append(line, "")
	}
	for _, m := range amounts {
		if c.rates != nil {
			m, _ = c.rates.Convert(m) // In has seen that there is a rate
		}
		line = append(line, fixed(m.rat()))
	}
	return append(line, c.currency(e)+e.note())
}

// parts are the list prices of compute, requests and all else, and what all of it
// lists and is billed at.
func (e Entry) parts() []Money {
	parts := make([]Money, 3, 5)
	for i := range parts {
		parts[i].currency = e.Statement.Book.Currency
	}
	for _, charge := range e.Statement.Total.Charges {
		i := 0
		switch charge.Meter {
		case meterRequests:
			i = 1
		case meterBytes, meterBase:
			i = 2
		}
		parts[i] = parts[i].plus(charge.List)
	}
	return append(parts, e.Statement.Total.List, e.Statement.Total.Billed)
}

// unrated tells that there is no amount to show: a base fee alone is none.
func (e Entry) unrated() bool { return e.Err != nil && e.Statement.Total.Calls == 0 }

// note says how the amounts are to be taken.
func (e Entry) note() string {
	atMost := slices.ContainsFunc(e.Statement.Total.Charges, func(c Charge) bool { return c.AtMost })
	switch {
	case e.Err != nil:
		return ", not of all"
	case atMost:
		return ", at most"
	}
	return ""
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
