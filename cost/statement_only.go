package cost

import (
	"math/big"
	"slices"
)

// Only is the part of a statement that has one value in a dimension, such as one
// tenant's: its rows, and their total. They keep their shares of what is free and of
// the price tiers, which belong to the whole account: so the parts by all values add
// up to the whole. To price one tenant's usage alone would give each tenant all of
// what is free.
//
//	bill := statement.Only(cost.Tenant, "acme")
//
// A label that a row does not have is the empty value, as is the tenant of calls
// that had none. In a statement that was grouped (By) only what it was grouped by
// can be asked for; rows have lost the rest, and no row has the value.
//
// Shares are whole billed units. Those of a month are in proportion to the month's
// usage, and those of a day to the day's, so that a tenant's month may differ from
// the sum of the tenant's days; the sum over all tenants does not.
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

// sumOf adds rows up, and apart from that the overruns among them; r is a sum of
// other rows of the same statement, and says which charges there are.
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
