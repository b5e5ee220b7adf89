package cost

import (
	"errors"
	"fmt"
)

// Part is usage together with the book by which [NewStatements] prices it.
type Part struct {
	Book  *Book
	Usage []Usage
}

// NewStatement prices usage. It makes a row for each key, in the order of the keys.
//
// If the period is a calendar month (in its own zone), the book's free quantities are taken
// off, and usage above the bound of a price tier has that tier's price. Free quantities and
// tiers are divided among the rows in proportion to what they used, in whole billed units. A
// provider gives them to an account, so the statement is right only if nothing else runs on
// that account; [NewStatements] shares them among several books. A base fee is a row of its
// own. For any other period nothing is free, everything has the first price, and there is no
// base fee; see [NewDayStatement] for the days of a month.
//
// If b is a series, usage is priced by the book that was in force. If some of the usage can't
// be priced, the error is [ErrUnrated] and names each such function and the reason. The
// statement then has the rest, and lists what it could not price in Unrated. The error is
// also ErrUnrated if the period ends before the book comes into force.
func NewStatement(p Period, b *Book, usage []Usage) (Statement, error) {
	all, err := NewStatements(p, Part{b, usage})
	if len(all) == 0 { // prices of the book that share a ladder or a grant don't fit together
		return Statement{Period: p, Book: b.about}, err
	}
	return all[0], err
}

// NewStatements prices the usage of one account that is billed by several books, for example
// of functions on x86 and on Arm. It makes a statement for each part as [NewStatement] does,
// except that prices with the same ladder or grant are counted together across the books (see
// [Book]). The error is [ErrUnrated] as for NewStatement. If prices with the same ladder or
// grant don't fit together, it returns [ErrFormat] and no statements.
func NewStatements(p Period, parts ...Part) ([]Statement, error) {
	return priced(p, p.calendarMonth(), parts, nil)
}

// NewDayStatement prices the usage of a day as a part of its calendar month: it is the price
// of the month up to and with the day, minus the price of the month before the day. So the
// statements of all days add up exactly to the month's statement. The first days use up the
// free quantities, a price tier begins on the day that reaches it, and the base fee belongs
// to the first day. The parameter before is the usage of the month's earlier days, in one or
// several Usages for each key.
//
// The free quantities and tiers of the day are divided among the rows in proportion to what
// they used that day. So one tenant's parts of all days ([Statement.Only]) may not add up to
// its part of the month. If several meters of a book share a grant or a ladder, day
// statements divide it among them day by day, and a month's statement for the whole month.
//
// The parameter day may also be another period within one calendar month of its zone, for example
// an hour, if the parameter before has all usage of the month before that period. For a period
// that is not within a month the error is [ErrPeriod]. The other errors are those of
// NewStatement.
func NewDayStatement(day Period, b *Book, before, usage []Usage) (Statement, error) {
	if month := day.month(); !day.Start.Before(day.End) || day.End.After(month.End) {
		return Statement{Period: day, Book: b.about}, fmt.Errorf("cost: %s is not within a calendar month: %w", day, ErrPeriod)
	}
	all, err := priced(day, true, []Part{{b, usage}}, []Part{{b, before}})
	if len(all) == 0 {
		return Statement{Period: day, Book: b.about}, err
	}
	return all[0], err
}

// priced makes the statements of a period. The parameter month is true if the period is a month
// or a part of one. For a part of a month, the parameter before has the usage from earlier in
// the month, for the same books in the same order; it may be nil.
func priced(p Period, month bool, parts, before []Part) ([]Statement, error) {
	var now, past []*tally
	for _, part := range parts {
		now = append(now, newTally(p, month, part.Book, part.Usage))
	}
	for _, part := range before {
		past = append(past, newTally(p, false, part.Book, part.Usage))
	}
	if err := settle(month, now, past); err != nil {
		return nil, err
	}
	var all []Statement
	var errs []error
	for _, s := range now {
		all = append(all, s.statement(p))
		errs = append(errs, s.errs...)
	}
	if len(errs) == 1 {
		return all, errs[0]
	}
	return all, errors.Join(errs...)
}

// statement makes a statement of a tally, after settle.
func (s *tally) statement(p Period) Statement {
	st := Statement{Period: p, Book: s.book.about, Unrated: s.unrated}
	var prices []price
	for _, c := range s.columns {
		for _, r := range c.parts {
			prices = append(prices, r.price)
		}
	}
	for i, l := range s.lines {
		row := Row{Key: l.key, Calls: l.calls}
		next := 0
		for _, c := range s.columns {
			for _, r := range c.parts {
				charge := s.book.charge(&prices[next], r.units[i], r.free[i])
				charge.AtMost = l.atMost && charge.Meter == meterProcessor && charge.Quantity.Sign() != 0
				row.Charges = append(row.Charges, charge)
				next++
			}
		}
		row.sum(s.book.about.Currency)
		st.Rows = append(st.Rows, row)
	}
	st.by = dimensions(st.Rows)
	st.Total, st.Overruns = s.book.total(prices, st.Rows)
	return st
}
