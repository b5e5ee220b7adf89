package cost

import (
	"math/big"
	"slices"
)

// Only is the part of a statement that has one value in a dimension, for example one
// tenant's: its rows and their total. The rows keep their shares of the free quantities and
// of the price tiers, which belong to the whole account. So the parts of all values add up to
// the whole. Pricing each tenant's usage by itself would instead give all of the free
// quantity to each tenant.
//
//	bill := statement.Only(cost.Tenant, "acme")
//
// Calls without a tenant have the empty value, and so have rows without the label. If the
// statement was grouped by By, d must be one of the dimensions that it was grouped by: for
// any other dimension the result has no rows.
//
// Shares are whole billed units. In a month's statement they are in proportion to the usage
// of the month, and in a day's statement to that of the day. So a tenant's part of the month
// may differ from the sum of its parts of the days; for all tenants together there is no
// difference.
func (s Statement) Only(d Dimension, value string) Statement {
	known := !s.grouped || slices.Contains(s.by, d)
	rows := s.Rows
	s.Rows = nil
	for _, row := range rows {
		if known && row.text(d) == value {
			s.Rows = append(s.Rows, row)
		}
	}
	s.Total, s.Overruns = s.Total.sumOf(s.Rows)
	s.Unrated = slices.DeleteFunc(slices.Clone(s.Unrated), func(u Usage) bool { return u.text(d) != value })
	return s
}

// sumOf returns the total of rows, and the part of it that the overruns among them are
// billed. r is a sum of other rows of the same statement, from which sumOf takes the list of
// charges.
func (r *Row) sumOf(rows []Row) (total Row, overruns Money) {
	none := Money{currency: r.Billed.currency}
	total, overruns = Row{List: none, Billed: none}, none
	for _, c := range r.Charges {
		c.Quantity, c.Free, c.List, c.Billed, c.AtMost = new(big.Rat), new(big.Rat), none, none, false
		total.Charges = append(total.Charges, c)
	}
	for _, row := range rows {
		total.add(row)
		if row.Overrun {
			total.Calls -= row.Calls
			overruns = overruns.plus(row.Billed)
		}
	}
	return total, overruns
}
