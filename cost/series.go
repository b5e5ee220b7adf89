package cost

import (
	"fmt"
	"slices"
	"time"
)

// NewSeries joins books of one provider, of one currency, into a book that prices
// usage by the one of them that held when it was used: each holds from its
// Effective date, at 00:00 on the clocks of the ledger's calendar, until the next
// one does. What the series says of itself (About, Rounding) is what the last one
// says. It prices nothing that was used before the first; that is [ErrUnrated].
//
// A [Ledger] that is made with the series keeps the usage before and after a change
// apart, so that a change within a month splits it: what is free and what is up to
// the bound of a price tier is used up by the earlier usage first. A meter must be
// sold in one unit by all books.
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

// unlike says why c can't follow b; empty: it can.
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

// Series are the books that b was made of by [NewSeries], the oldest first; of
// another book, itself.
func (b *Book) Series() []*Book {
	last := *b
	last.earlier = nil
	return append(slices.Clone(b.earlier), &last)
}

// AnyTime is the last book of a series, as one whose prices hold at any time: for
// what usage of other days would cost today. Its Effective date is empty.
func (b *Book) AnyTime() *Book {
	last := *b
	last.earlier, last.from, last.about.Effective = nil, time.Time{}, ""
	return &last
}

// since is when the book begins to hold, on the clocks of a zone; false: always.
func (b *Book) since(zone *time.Location) (time.Time, bool) {
	if b.from.IsZero() {
		return time.Time{}, false
	}
	y, m, d := b.from.Date()
	return firstInstant(y, m, d, zone), true
}

// holds tells whether the book, without those before it, held at t.
func (b *Book) holds(t time.Time) bool {
	since, dated := b.since(t.Location())
	return !dated || !t.Before(since)
}

// at is the book of the series that held at t, on the clocks of its zone; before
// the first of them, the first.
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

// changes are the instants at which a book of the series begins to hold.
func (b *Book) changes(zone *time.Location) []time.Time {
	var all []time.Time
	for _, e := range append(slices.Clone(b.earlier), b) {
		if since, dated := e.since(zone); dated {
			all = append(all, since)
		}
	}
	return all
}

// during is the book that held in all of a period; an error says why there is none.
func (b *Book) inForceDuring(p Period) (*Book, error) {
	e := b.inForceAt(p.Start)
	if !e.holds(p.Start) {
		return nil, fmt.Errorf("%w: it has no prices before %s, and %s begins before", ErrUnrated, e.about.Effective, p)
	}
	for _, change := range b.changes(p.Start.Location()) {
		if p.Start.Before(change) && change.Before(p.End) {
			return nil, fmt.Errorf("%w: its prices change at %s, and what was used in %s was not metered apart; give its records to a ledger that is made with the book",
				ErrUnrated, change.Format(time.RFC3339), p)
		}
	}
	return e, nil
}
