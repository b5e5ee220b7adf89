package cost

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/inproc/faas"
)

// Rater turns usage into money by one book, at list prices: without free quantities, and with
// the price of the first tier. Tiers and free quantities apply to the usage of a month and
// not to a call; see [NewStatement]. It may be used concurrently.
type Rater struct{ book *Book }

// NewRater returns a rater by the book.
func NewRater(b *Book) *Rater { return &Rater{b} }

// Charge is what one meter of a book bills. Quantities are finite decimals, counted in Unit,
// and List - Billed is what the free quantity took off:
//
//	List = Quantity × UnitPrice
//	Billed = (Quantity - Free) × UnitPrice
//
// The numbers behind its pointers must not be changed.
type Charge struct {
	// Meter is "memory", "cpu", "requests", "processor", "bytes" or "base".
	Meter string
	// Unit is what Quantity counts: for example "GB-s" or "request".
	Unit string
	// Since is the day from which the price is in force, if it changes within the statement's
	// period; otherwise it is empty.
	Since string
	// Above is the bound of the price tier: the price is for the month's usage above this
	// quantity. It is nil in the first tier, and if there are no tiers.
	Above *big.Rat
	// Quantity is what was used.
	Quantity *big.Rat
	// Free is the part of Quantity that is free.
	Free      *big.Rat
	UnitPrice Money
	List      Money
	Billed    Money
	// AtMost is set if Quantity is an upper bound: the processor time of some calls was not
	// measured, and their duration was used instead ([Ledger.RecordProcessor]).
	AtMost bool

	price *price
}

// Rate returns a charge for each price of the book. If the book is a series, Rate uses the
// book that was in force in the usage's period, or the last one if the period is not known.
// Rate is exact: the usage is counted in whole billed units, and each number is multiplied by
// its price once. For usage that the book can't price it returns [ErrUnrated].
func (r *Rater) Rate(u Usage) ([]Charge, error) {
	b, err := r.bookOf(u)
	if err != nil {
		return nil, err
	}
	units, err := b.units(u)
	if err != nil {
		return nil, fmt.Errorf("cost: book %q: %w", b.about.Name, err)
	}
	charges := make([]Charge, len(units))
	for i := range units {
		charges[i] = b.charge(&b.prices[i], units[i], new(big.Int))
		charges[i].AtMost = charges[i].Meter == meterProcessor && u.measured < u.Calls
	}
	return charges, nil
}

// List returns the sum of the list prices that Rate returns, and takes less time.
func (r *Rater) List(u Usage) (Money, error) {
	b, err := r.bookOf(u)
	if err != nil {
		return Money{}, err
	}
	return b.list(u)
}

// bookOf returns the book that was in force when the usage happened.
func (r *Rater) bookOf(u Usage) (*Book, error) {
	if u.Period.Start.IsZero() {
		return r.book, nil
	}
	b, err := r.book.inForceDuring(u.Period)
	if err != nil {
		return nil, fmt.Errorf("cost: book %q: %w", r.book.about.Name, err)
	}
	return b, nil
}

// Call returns what one call costs at the book's last prices, or [ErrUnrated]. The
// processor time is taken to be the duration.
func (r *Rater) Call(e faas.Execution) (Money, error) {
	u := Usage{Key: Key{Function: e.Function}, Memory: e.Memory, Calls: 1}
	u.billed = r.book.sums(r.book.rounding.Quanta(e.Duration, e.Init), nonNegative(e.Duration), e.BytesOut)
	return r.book.list(u)
}

// Overrun returns what a runaway cost after its call had ended, at the book's last prices, or
// [ErrUnrated].
func (r *Rater) Overrun(o faas.Overrun) (Money, error) {
	u := Usage{Key: Key{Function: o.Function, Overrun: true}, Memory: o.Memory, Calls: 1}
	u.billed = r.book.sums(r.book.rounding.overrunQuanta(o.Duration), nonNegative(o.Duration), 0)
	return r.book.list(u)
}

// priceOf returns the index of the price for a meter, or -1 if there is none.
func (b *Book) priceOf(meter string) int {
	return slices.IndexFunc(b.prices, func(p price) bool { return p.meter == meter })
}

// list returns what usage costs at list prices.
func (b *Book) list(u Usage) (Money, error) {
	units, err := b.units(u)
	if err != nil {
		return Money{}, fmt.Errorf("cost: book %q: %w", b.about.Name, err)
	}
	total := Money{currency: b.about.Currency}
	for i := range units {
		p := &b.prices[i]
		total = total.plus(Money{p.each, b.about.Currency}.Mul(quantity(p, units[i])))
	}
	return total, nil
}

// units returns how many billed units the usage has of each price.
func (b *Book) units(u Usage) ([]*big.Int, error) {
	all := make([]*big.Int, len(b.prices))
	for i := range b.prices {
		n, err := b.unitsOf(u, &b.prices[i])
		if err != nil {
			return nil, err
		}
		all[i] = n
	}
	return all, nil
}

// unitsOf returns how many billed units the usage has of one price. For a price that depends
// on duration, this is the sum of the calls' granularities, each call rounded by itself,
// times the units that the declared memory has for one granularity.
func (b *Book) unitsOf(u Usage, p *price) (*big.Int, error) {
	switch p.meter {
	case meterBase: // no call has a part of it
		return new(big.Int), nil
	case meterRequests:
		if u.Overrun { // the request was counted with the call
			return new(big.Int), nil
		}
		return new(big.Int).SetUint64(u.Calls), nil
	}
	if r, other := b.ruleOf(p); other {
		if n := u.sum(r); n != nil {
			return n, nil
		}
		return nil, fmt.Errorf("%w: function %q was not metered by its %s; give its records to a ledger that is made with the book", ErrUnrated, u.Function, p.meter)
	}
	each, ok := b.perQuantum(p.meter, u.Memory)
	if !ok {
		return nil, fmt.Errorf("%w: function %q has %d MiB of memory, more than there is a price for", ErrUnrated, u.Function, u.Memory/mib)
	}
	quanta, err := u.Quanta(b.rounding)
	if err != nil {
		return nil, err
	}
	return quanta.Mul(quanta, big.NewInt(each)), nil
}

// perQuantum returns how many billed units a call with that memory has for each granularity
// of time, and false if the book sells no such memory. The number is 0 for output and base
// fees, which don't depend on time. It is 1 for processor time, because a call counts as
// using one processor at most.
func (b *Book) perQuantum(meter string, memory int64) (int64, bool) {
	switch meter {
	case meterBase, meterBytes:
		return 0, true
	case meterProcessor:
		return 1, true
	}
	steps, ok := b.memory.steps(memory)
	if !ok || meter == meterMemory {
		return steps, ok
	}
	billed := int64(maxMemory)
	if steps < maxMemory/b.memory.step {
		billed = steps * b.memory.step
	}
	return shareOf(b.cpu, billed)
}

// charge returns the Charge for that many billed units. The parameter free is how many of them
// are free.
func (b *Book) charge(p *price, units, free *big.Int) Charge {
	c := Charge{
		Meter: p.meter, Unit: p.unit, Since: p.since, UnitPrice: Money{p.each, b.about.Currency},
		Quantity: quantity(p, units), Free: quantity(p, free),
		price: p,
	}
	if p.above != nil {
		c.Above = quantity(p, p.above)
	}
	c.List = c.UnitPrice.Mul(c.Quantity)
	c.Billed = c.UnitPrice.Mul(new(big.Rat).Sub(c.Quantity, c.Free))
	return c
}

// quantity converts billed units to the unit of the price.
func quantity(p *price, units *big.Int) *big.Rat {
	n := new(big.Rat).SetInt(units)
	return n.Mul(n, p.base)
}

// plus adds a charge of the same price.
func (c Charge) plus(d Charge) Charge {
	c.Quantity = new(big.Rat).Add(c.Quantity, d.Quantity)
	c.Free = new(big.Rat).Add(c.Free, d.Free)
	c.List, c.Billed = c.List.plus(d.List), c.Billed.plus(d.Billed)
	c.AtMost = c.AtMost || d.AtMost
	return c
}
