package cost

import (
	"fmt"
	"math/big"
	"slices"
)

// tally is usage, counted in billed units of a book and not yet in money: it has a line for
// each key, and a column for each price of each book that was in force.
type tally struct {
	book    *Book // the last one that was in force
	lines   []line
	columns []*column
	// unrated is the usage that has no price, and errs the reasons, each once.
	unrated []Usage
	errs    []error
}

// line is a row before it is priced.
type line struct {
	key    Key
	calls  uint64
	units  map[*price]*big.Int // units used, by each price of the books in force
	atMost bool                // some processor time was not measured
}

// column is a price, and what each line has used of it.
type column struct {
	price price
	book  *Book // the book that has the price
	order int   // the position of the book, by time, among those that were in force
	units []*big.Int
	// parts has the usage of each tier. It is empty until settle has divided the usage.
	parts []tierPart
}

// newTally counts usage in billed units, and leaves out usage that can't be priced. The
// parameter month is true if p is a calendar month, or a day that is priced as a part of one.
func newTally(p Period, month bool, b *Book, usage []Usage) *tally {
	s := new(tally)
	inForce := s.countAll(p, b, usage)
	first := b.inForceAt(p.Start)
	if len(inForce) == 0 || month && first.holds(p.Start) && !slices.Contains(inForce, first) {
		inForce = append(inForce, first)
	}
	if since, dated := first.since(p.Start.Location()); dated && len(usage) == 0 && !p.End.After(since) {
		s.refuse(fmt.Errorf("cost: book %q: %w: it has no prices before %s", b.about.Name, ErrUnrated, first.about.Effective))
	}
	slices.SortFunc(inForce, func(x, y *Book) int { return x.from.Compare(y.from) })
	s.book = inForce[len(inForce)-1]
	s.merge()
	s.addBaseFee(p, month, inForce[0])
	for i, e := range inForce {
		s.addColumns(e, i, len(inForce) > 1)
	}
	return s
}

// countAll counts each usage by the book of the series that was in force, and returns these
// books.
func (s *tally) countAll(p Period, b *Book, usage []Usage) (inForce []*Book) {
	for _, u := range usage {
		e, err := b.inForceDuring(u.during(p))
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
	return inForce
}

// refuse adds a reason to errs, unless errs has it.
func (s *tally) refuse(err error) {
	if !slices.ContainsFunc(s.errs, func(e error) bool { return e.Error() == err.Error() }) {
		s.errs = append(s.errs, err)
	}
}

// count adds a line for usage. It returns an error if the usage has no price.
func (s *tally) count(e *Book, u Usage) error {
	units, err := e.units(u)
	if err != nil {
		return err
	}
	l := line{key: u.Key, calls: u.Calls, units: map[*price]*big.Int{}, atMost: u.measured < u.Calls}
	for i := range e.prices {
		l.units[&e.prices[i]] = units[i]
	}
	s.lines = append(s.lines, l)
	return nil
}

// merge adds up lines with the same key, which differ only in memory or in the book in force.
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

// add adds another line of the same key.
func (l *line) add(m line) {
	l.calls += m.calls
	l.atMost = l.atMost || m.atMost
	for p, n := range m.units {
		if sum := l.units[p]; sum != nil {
			n = new(big.Int).Add(sum, n)
		}
		l.units[p] = n
	}
}

// addBaseFee adds a line for the base fee of a month, by the book that is in force when the
// month begins.
func (s *tally) addBaseFee(p Period, month bool, first *Book) {
	begins := p.Start.Equal(Calendar{Month, p.Start.Location()}.Period(p.Start).Start)
	if i := first.priceOf(meterBase); month && begins && i >= 0 {
		s.lines = append(s.lines, line{key: Key{Base: true}, units: map[*price]*big.Int{&first.prices[i]: big.NewInt(1)}})
	}
}

// addColumns makes the columns of a book.
func (s *tally) addColumns(e *Book, order int, several bool) {
	for i := range e.prices {
		c := &column{price: e.prices[i], book: e, order: order}
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

// tierPart is what each line has used of one tier of a price, and how much of that is free.
type tierPart struct {
	price       price
	units, free []*big.Int
}
