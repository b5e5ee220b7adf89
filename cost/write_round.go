package cost

import (
	"math/big"
	"slices"
)

// WriteOption changes how a [Statement] is written. The only one is [RoundTo].
type WriteOption interface{ apply(*writing) }

type writeOption func(*writing)

func (o writeOption) apply(w *writing) { o(w) }

// writing is how a statement is written.
type writing struct {
	round    bool
	decimals int
}

func newWriting(opts []WriteOption) (w writing) {
	for _, o := range opts {
		if o != nil {
			o.apply(&w)
		}
	}
	return w
}

// RoundTo writes amounts of money with that many decimals (negative: 0), for example 2 for
// cents, so that they add up. Totals are rounded half to even, and rows by the method of the
// largest remainder: each row is rounded down, and the rows that lose most by this get one
// unit of the last decimal more, the first of equals first, until the rows add up to the
// rounded total. So no row differs from its exact amount by a whole unit or more.
//
// The charges within a row stay exact. Parts made by [Statement.Only] are rounded each by
// itself, and may not add up to the rounded whole. For bills that add up to the provider's,
// write one statement grouped By([Tenant]).
func RoundTo(decimals int) WriteOption {
	return writeOption(func(w *writing) { w.round, w.decimals = true, max(decimals, 0) })
}

// places is how many decimals the amounts of a table for people have.
func (w writing) places() int {
	if w.round {
		return w.decimals
	}
	return decimals
}

// of returns the statement with its rows and its total rounded, if RoundTo asks for that.
func (w writing) of(s Statement) Statement {
	if !w.round {
		return s
	}
	lists, billed := make([]Money, len(s.Rows)), make([]Money, len(s.Rows))
	for i, row := range s.Rows {
		lists[i], billed[i] = row.List, row.Billed
	}
	s.Total.List, s.Total.Billed = s.Total.List.Round(w.decimals), s.Total.Billed.Round(w.decimals)
	roundToSum(lists, s.Total.List, w.decimals)
	roundToSum(billed, s.Total.Billed, w.decimals)
	s.Rows = slices.Clone(s.Rows)
	s.Overruns = Money{currency: s.Overruns.currency}
	for i := range s.Rows {
		s.Rows[i].List, s.Rows[i].Billed = lists[i], billed[i]
		if s.Rows[i].Overrun {
			s.Overruns = s.Overruns.plus(billed[i])
		}
	}
	return s
}

// roundToSum rounds amounts by the method of the largest remainder, so that they add up to
// sum, which is rounded already.
func roundToSum(amounts []Money, sum Money, decimals int) {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	scaled := func(m Money) *big.Rat { return new(big.Rat).Mul(m.rat(), new(big.Rat).SetInt(scale)) }
	left := new(big.Int).Set(scaled(sum).Num()) // a whole number, since sum is rounded
	down, rests, order := make([]*big.Int, len(amounts)), make([]*big.Rat, len(amounts)), make([]int, len(amounts))
	for i, m := range amounts {
		exact := scaled(m)
		down[i] = new(big.Int).Div(exact.Num(), exact.Denom())
		rests[i] = exact.Sub(exact, new(big.Rat).SetInt(down[i]))
		left.Sub(left, down[i])
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return rests[j].Cmp(rests[i]) })
	for _, i := range order[:left.Int64()] { // at most as many as there are amounts with a remainder
		down[i].Add(down[i], big.NewInt(1))
	}
	for i := range amounts {
		amounts[i] = Money{new(big.Rat).SetFrac(down[i], scale), sum.currency}
	}
}
