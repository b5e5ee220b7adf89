package cost

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"text/tabwriter"
)

// Comparison is the same usage priced by several books. The entries are in the order in which
// the books were given.
type Comparison struct {
	Period  Period
	Entries []Entry

	rates *Rates // nil if each entry is in its own currency
}

// Entry is one book of a comparison.
type Entry struct {
	// Statement prices the usage by the book. If Err is not nil, it has only the usage that
	// the book can price.
	Statement Statement
	// Err is nil, or Is ErrUnrated if the book can't price all of the usage.
	Err error
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

// In returns the comparison in one currency, by the user's exchange rates. It returns
// [ErrCurrency] if one of the currencies has no rate. The statements in it are not converted.
func (c Comparison) In(r Rates) (Comparison, error) {
	for _, e := range c.Entries {
		if _, err := r.Convert(NewMoney(big.NewRat(1, 1), e.Statement.Book.Currency)); err != nil {
			return Comparison{}, err
		}
	}
	c.rates = &r
	return c, nil
}

// WriteText writes a table with a line for each book: compute, requests, the list price, and
// what is billed after the free tier, rounded to six decimals. Amounts of different
// currencies are never in the same column: without [Comparison.In] there is a table for each
// currency.
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

// currency returns the currency in which an entry is written.
func (c Comparison) currency(e Entry) string {
	if c.rates != nil {
		return c.rates.To
	}
	return e.Statement.Book.Currency
}

// table writes the entries in one currency.
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

// line returns an entry as text. An entry without amounts has "unrated" in the last column of
// amounts.
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
			m, _ = c.rates.Convert(m) // In has checked that there is a rate
		}
		line = append(line, fixed(m.rat()))
	}
	return append(line, c.currency(e)+e.note())
}

// parts returns five amounts: the list prices of compute, of requests, of all other meters
// and of everything, and the billed amount.
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

// unrated reports whether there is no amount to show. An entry that has only a base fee
// counts as such.
func (e Entry) unrated() bool { return e.Err != nil && e.Statement.Total.Calls == 0 }

// note returns a remark on the amounts, or "".
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

// writeReasons writes, below the table, why books can't price all of the usage.
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
