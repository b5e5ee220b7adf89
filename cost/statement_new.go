package cost

import (
	"errors"
	"fmt"
)

// Part is usage, and the book by which [NewStatements] prices it.
type Part struct {
	Book  *Book
	Usage []Usage
}

// NewStatement prices usage. It makes a row for each key, in the order of the keys.
//
// If the period is a calendar month (in its own zone), the book's free quantities are
// taken off, and what is above the bound of a price tier has that tier's price. Both
// are shared by the rows in proportion to what they used, in whole billed units. They
// belong to a provider's account, so this is right only if nothing else runs on it;
// [NewStatements] shares them with other books. A base fee is a row of its own. For any
// other period nothing is free, everything has the first price, and there is no base
// fee; see [NewDayStatement] for days that make a month.
//
// Of a series, the book that was in force prices the usage. If the book can't price
// some of the usage, the error is [ErrUnrated] and names each such function and the
// reason. Then the statement is of the rest, and has the others in Unrated. A period
// that ends before the book holds is ErrUnrated too.
func NewStatement(p Period, b *Book, usage []Usage) (Statement, error) {
	all, err := NewStatements(p, Part{b, usage})
	if len(all) == 0 { // the names of ladders and grants in the book don't fit together
		return Statement{Period: p, Book: b.about}, err
	}
	return all[0], err
}

// NewStatements prices the usage of one account that is billed by several books, for
// example of functions on x86 and on Arm. It makes a statement for each part as
// [NewStatement] does, except that prices of one ladder or grant are counted together,
// in whichever book they are. The error is [ErrUnrated], as NewStatement's, or it says
// which prices of one name don't fit together ([ErrFormat]); then there are no
// statements.
func NewStatements(p Period, parts ...Part) ([]Statement, error) {
	return priced(p, p.calendarMonth(), parts, nil)
}

// NewDayStatement prices the usage of a day as a part of its calendar month: it is the
// month to date minus the month to the day before. So the statements of all days add up
// to the month's, exactly. The first days use up what is free, a price tier begins on
// the day that reaches it, and a base fee is the first day's. before is the usage of
// the month's earlier days, in one or several Usages for each key.
//
// The rows share the day's part in proportion to what they used that day. So the sum of
// one tenant's part of each day ([Statement.Only]) may differ from its part of the
// month. If several meters of a book share a grant or a ladder, it is divided among
// them day by day, and in a month's statement for the month as a whole.
//
// The day may be another period within one calendar month of its zone, for example an
// hour, if before has all of the month that lies before it. A period that is not within
// a month is [ErrPeriod]. Otherwise the error is as NewStatement's.
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

// priced makes the statements of a period. If it is a month or a part of one, before is
// what the month has used up earlier, by the same books in the same order; nil:
// nothing.
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

// statement turns a settled tally into money.
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
