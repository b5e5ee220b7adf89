package cost

import (
	"fmt"
	"slices"
	"time"
)

// NewSeries joins books of one provider and one currency into one book. It prices usage by the
// book that was in force when the usage happened. Each book is in force from its Effective date,
// at 00:00 on the clocks of the ledger's calendar, until that of the next book. About and Rounding
// of the series are those of the last book. Pricing usage from before the first book returns
// [ErrUnrated].
//
// A [Ledger] that is made with the series keeps the usage before and after a change apart, so
// that a change within a month splits it. The earlier usage comes first: it uses up the free
// quantity and the lower price tiers. Two books that price the same meter must price it in the
// same unit.
func NewSeries(books ...*Book) (*Book, error) {
	var all []*Book
	for _, b := range books {
		if b != nil {
			all = append(all, b.Series()...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("cost: a series of no books: %w", ErrFormat)
	}
	slices.SortStableFunc(all, func(x, y *Book) int { return x.from.Compare(y.from) })
	for i := 1; i < len(all); i++ {
		if why := all[i-1].unlike(all[i]); why != "" {
			return nil, fmt.Errorf("cost: books %q of %q and %q of %q are no series: %s: %w",
				all[i-1].about.Name, all[i-1].about.Effective, all[i].about.Name, all[i].about.Effective, why, ErrFormat)
		}
	}
	last := *all[len(all)-1]
	last.earlier = all[:len(all)-1]
	return &last, nil
}

// unlike returns the reason why c can't follow b in a series, or "" if it can.
func (b *Book) unlike(c *Book) string {
	switch {
	case b.about.Provider != c.about.Provider:
		return "they are of two providers"
	case b.about.Currency != c.about.Currency:
		return "they are in two currencies"
	case b.about.Effective == c.about.Effective:
		return "they hold from the same day"
	}
	for i := range b.prices {
		for j := range c.prices {
			if b.prices[i].meter == c.prices[j].meter && b.prices[i].unit != c.prices[j].unit {
				return "they sell " + b.prices[i].meter + " in two units"
			}
		}
	}
	return ""
}

// Series returns the books that [NewSeries] made b of, the oldest first. For any other
// book it returns the book itself.
func (b *Book) Series() []*Book {
	last := *b
	last.earlier = nil
	return append(slices.Clone(b.earlier), &last)
}

// AnyTime returns a copy of the last book of a series that is in force at any time. Use it to
// find out what the usage of other days would cost at today's prices. Its Effective date is
// empty.
func (b *Book) AnyTime() *Book {
	last := *b
	last.earlier, last.from, last.about.Effective = nil, time.Time{}, ""
	return &last
}

// since returns when the book comes into force: the first instant of its Effective date on
// the clocks of the zone. It returns false for a book without a date, which is always in
// force.
func (b *Book) since(zone *time.Location) (time.Time, bool) {
	if b.from.IsZero() {
		return time.Time{}, false
	}
	y, m, d := b.from.Date()
	return firstInstant(y, m, d, zone), true
}

// holds reports whether the book, without the earlier ones of its series, was in force at t.
func (b *Book) holds(t time.Time) bool {
	since, dated := b.since(t.Location())
	return !dated || !t.Before(since)
}

// inForceAt returns the book of the series that was in force at t, on the clocks of t's zone.
// If t is before all of them, it returns the first book.
func (b *Book) inForceAt(t time.Time) *Book {
	if b.holds(t) {
		return b
	}
	for _, e := range slices.Backward(b.earlier) {
		if e.holds(t) {
			return e
		}
	}
	if len(b.earlier) > 0 {
		return b.earlier[0]
	}
	return b
}

// changes returns the instants at which a book of the series comes into force.
func (b *Book) changes(zone *time.Location) []time.Time {
	var all []time.Time
	for _, e := range append(slices.Clone(b.earlier), b) {
		if since, dated := e.since(zone); dated {
			all = append(all, since)
		}
	}
	return all
}

// inForceDuring returns the book that was in force during all of a period, or an error with
// the reason why there is none.
func (b *Book) inForceDuring(p Period) (*Book, error) {
	e := b.inForceAt(p.Start)
	if !e.holds(p.Start) {
		return nil, fmt.Errorf("%w: it has no prices before %s, and the period %s begins earlier", ErrUnrated, e.about.Effective, p)
	}
	for _, change := range b.changes(p.Start.Location()) {
		if p.Start.Before(change) && change.Before(p.End) {
			return nil, fmt.Errorf("%w: its prices change at %s, and the usage of %s before and after was not metered apart; give its records to a ledger that is made with the book",
				ErrUnrated, change.Format(time.RFC3339), p)
		}
	}
	return e, nil
}
