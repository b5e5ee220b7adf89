package cost

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// tally is what usage comes to by a book, before it is money: a line for each key,
// and a column for each price, of each book of the series that was in force.
type tally struct {
	book    *Book // the last that was in force
	lines   []line
	columns []*column
	unrated []Usage
	errs    []error // why it is
}

// line is a row before it is priced.
type line struct {
	key   Key
	calls uint64
	units map[*price]*big.Int // of prices of the books in force
	rough bool                // some processor time was not measured
}

// column is a price, and what each line has used of it.
type column struct {
	price price
	book  *Book // whose price it is
	era   int   // which of the books that were in force, in the order of time
	units []*big.Int
	rungs []rung // what is used of the price, by tiers
}

// newTally counts usage in billed units, and leaves out what can't be priced.
func newTally(p Period, month bool, b *Book, usage []Usage) *tally {
	s := new(tally)
	var inForce []*Book
	for _, u := range usage {
		e, err := b.during(u.during(p))
		if err == nil {
			err = s.count(e, u)
		}
		if err != nil {
			s.unrated = append(s.unrated, u)
			s.refuse(fmt.Errorf("cost: book %q: %w", b.about.Name, err))
			continue
		}
		if !slices.Contains(inForce, e) {
			inForce = append(inForce, e)
		}
	}
	if first := b.at(p.Start); len(inForce) == 0 || month && first.holds(p.Start) && !slices.Contains(inForce, first) {
		inForce = append(inForce, first)
	}
	if since, dated := b.at(p.Start).since(p.Start.Location()); dated && len(usage) == 0 && !p.End.After(since) {
		s.refuse(fmt.Errorf("cost: book %q: %w: it has no prices before %s", b.about.Name, ErrUnrated, b.at(p.Start).about.Effective))
	}
	slices.SortFunc(inForce, func(x, y *Book) int { return x.from.Compare(y.from) })
	s.book = inForce[len(inForce)-1]
	s.merge()
	s.fee(p, month, inForce[0])
	for i, e := range inForce {
		s.fill(e, i, len(inForce) > 1)
	}
	return s
}

// refuse adds a reason, once.
func (s *tally) refuse(err error) {
	if !slices.ContainsFunc(s.errs, func(e error) bool { return e.Error() == err.Error() }) {
		s.errs = append(s.errs, err)
	}
}

func (s *tally) count(e *Book, u Usage) error {
	units, err := e.units(u)
	if err != nil {
		return err
	}
	l := line{key: u.Key, calls: u.Calls, units: map[*price]*big.Int{}, rough: u.measured < u.Calls}
	for i := range e.prices {
		l.units[&e.prices[i]] = units[i]
	}
	s.lines = append(s.lines, l)
	return nil
}

// merge adds lines up that differ in memory or in the book in force alone.
func (s *tally) merge() {
	slices.SortStableFunc(s.lines, func(x, y line) int { return x.key.compare(y.key) })
	merged := s.lines[:0]
	for _, l := range s.lines {
		if n := len(merged); n > 0 && merged[n-1].key.compare(l.key) == 0 {
			merged[n-1].add(l)
			continue
		}
		merged = append(merged, l)
	}
	s.lines = merged
}

func (l *line) add(m line) {
	l.calls += m.calls
	l.rough = l.rough || m.rough
	for p, n := range m.units {
		if sum := l.units[p]; sum != nil {
			n = new(big.Int).Add(sum, n)
		}
		l.units[p] = n
	}
}

// fee is a line for the base fee of a month: of the book that holds when it begins.
func (s *tally) fee(p Period, month bool, first *Book) {
	begins := p.Start.Equal(Calendar{Month, p.Start.Location()}.Period(p.Start).Start)
	if i := first.priceOf(meterBase); month && begins && i >= 0 {
		s.lines = append(s.lines, line{key: Key{Base: true}, units: map[*price]*big.Int{&first.prices[i]: big.NewInt(1)}})
	}
}

// fill makes the columns of a book.
func (s *tally) fill(e *Book, era int, several bool) {
	for i := range e.prices {
		c := &column{price: e.prices[i], book: e, era: era}
		if several {
			c.price.since = e.about.Effective
		}
		for _, l := range s.lines {
			n := new(big.Int)
			if used := l.units[&e.prices[i]]; used != nil {
				n.Set(used)
			}
			c.units = append(c.units, n)
		}
		s.columns = append(s.columns, c)
	}
}

// statement turns a tally that is settled into money.
func (s *tally) statement(p Period) Statement {
	st := Statement{Period: p, Book: s.book.about, Unrated: s.unrated}
	var prices []price
	for _, c := range s.columns {
		for _, r := range c.rungs {
			prices = append(prices, r.price)
		}
	}
	for i, l := range s.lines {
		row := Row{Key: l.key, Calls: l.calls}
		next := 0
		for _, c := range s.columns {
			for _, r := range c.rungs {
				charge := s.book.charge(&prices[next], r.units[i], r.free[i])
				charge.AtMost = l.rough && charge.Meter == meterProcessor && charge.Quantity.Sign() != 0
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

// Part is usage, and the book that it is priced by: see [NewStatements].
type Part struct {
	Book  *Book
	Usage []Usage
}

// NewStatements prices the usage of one account that is billed by several books,
// such as functions on x86 and on Arm: a statement for each part, as [NewStatement]
// makes it, but that prices of one ladder or grant are counted together, whichever
// book they are in. The error is [ErrUnrated], as NewStatement's, or one that says
// which prices of one name don't fit together; then there are no statements.
func NewStatements(p Period, parts ...Part) ([]Statement, error) {
	return priced(p, p.calendarMonth(), parts, nil)
}

// priced makes the statements of a period. If it is of a month, before is what the
// month has used up before it, by the same books in the same order; nil: nothing.
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
