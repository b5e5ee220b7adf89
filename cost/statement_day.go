package cost

import "fmt"

// NewDayStatement prices the usage of a day as a part of its calendar month: it is
// the month to date minus the month to the day before, so that the statements of all
// days add up to the month's, exactly. What is free is used up by the first days, a
// price tier begins on the day that reaches it, and a base fee is the first day's.
// before is the usage of the month's earlier days, together or apart.
//
// The day's part is shared by its rows in proportion to what they used that day: so
// the sum of what one tenant has in each day ([Statement.Only]) may differ from what
// it has in the month. What several meters of a book share by one grant or ladder is
// divided between them day by day, too, which the month does as a whole.
//
// The day may be any other period within one calendar month of its zone, such as an
// hour, if before is all of the month that lies before it; a period that is not is
// [ErrPeriod]. Otherwise the error is as NewStatement's.
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
