package cost

import (
	"math/big"
	"slices"
)

// Only is the part of a statement that has one value in a dimension, for example one
// tenant's: its rows and their total. The rows keep their shares of what is free and of
// the price tiers, which belong to the whole account. So the parts by all values add up
// to the whole. To price one tenant's usage alone would give each tenant all of what is
// free.
//
//	bill := statement.Only(cost.Tenant, "acme")
//
// Calls without a tenant have the empty value, and so have rows without a label. In a
// statement that was grouped (By), ask only for what it was grouped by: the rows have
// lost the rest, and no row has the value.
//
// Shares are whole billed units. A month's are in proportion to the month's usage, and
// a day's to the day's. So a tenant's month may differ from the sum of the tenant's
// days; the sum over all tenants does not.
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

// sumOf returns the total of rows, and apart from it what the overruns among them are
// billed, which is a part of the total. r is a sum of other rows of the same statement:
// it says which charges there are.
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
