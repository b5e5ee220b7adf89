package cost

import (
	"fmt"
	"math/big"

	"github.com/inproc/faas"
)

// Rater turns usage into money by one book: list prices, the first where there
// are tiers, and without what is free, for these belong to a month and not to a
// call (see [NewStatement]). It may be used concurrently.
type Rater struct{ book *Book }

// NewRater returns a rater by the book.
func NewRater(b *Book) *Rater { return &Rater{b} }

// Charge is what one meter of a book bills. Quantities are finite decimals in
// the unit, and List - Billed is what the free tier took off:
//
//	List = Quantity × UnitPrice
//	Billed = (Quantity - Free) × UnitPrice
type Charge struct {
	Meter     string   // "memory", "cpu" or "requests"
	Unit      string   // of one: "GB-s", "request"
	Above     *big.Rat // of a price tier: what the month must have more than; nil: of the first, or there are none; not to be changed
	Quantity  *big.Rat // not to be changed
	Free      *big.Rat // of it, by the free tier; not to be changed
	UnitPrice Money
	List      Money
	Billed    Money

	price *price
}

// Rate returns a charge for each price of the book. It is exact: the usage is
// counted in whole billed units, and multiplied by the price once. Usage that
// the book can't price is [ErrUnrated].
func (r *Rater) Rate(u Usage) ([]Charge, error) {
	units, err := r.book.units(u)
	if err != nil {
		return nil, err
	}
	charges := make([]Charge, len(units))
	for i := range units {
		charges[i] = r.book.charge(&r.book.prices[i], units[i], new(big.Int))
	}
	return charges, nil
}

// Call returns what one call costs, or [ErrUnrated].
func (r *Rater) Call(e faas.Execution) (Money, error) {
	u := Usage{Key: Key{Function: e.Function}, Memory: e.Memory, Calls: 1}
	u.billed = []sum{{r.book.rounding, count{lo: r.book.rounding.Quanta(e.Duration, e.Init)}}}
	return r.total(u)
}

// Overrun returns what a runaway cost beyond its call, or [ErrUnrated].
func (r *Rater) Overrun(o faas.Overrun) (Money, error) {
	u := Usage{Key: Key{Function: o.Function, Overrun: true}, Memory: o.Memory, Calls: 1}
	u.billed = []sum{{r.book.rounding, count{lo: r.book.rounding.beyond(o.Duration)}}}
	return r.total(u)
}

func (r *Rater) total(u Usage) (Money, error) {
	charges, err := r.Rate(u)
	if err != nil {
		return Money{}, err
	}
	total := new(big.Rat)
	for _, c := range charges {
		total.Add(total, c.List.rat())
	}
	return Money{total, r.book.about.Currency}, nil
}

// units returns how many billed units the usage has of each price.
func (b *Book) units(u Usage) ([]*big.Int, error) {
	all := make([]*big.Int, len(b.prices))
	for i := range b.prices {
		n, err := b.unitsOf(u, b.prices[i].meter)
		if err != nil {
			return nil, fmt.Errorf("cost: book %q: %w", b.about.Name, err)
		}
		all[i] = n
	}
	return all, nil
}

func (b *Book) unitsOf(u Usage, meter string) (*big.Int, error) {
	if meter == meterRequests {
		if u.Overrun { // its call has been counted
			return new(big.Int), nil
		}
		return new(big.Int).SetUint64(u.Calls), nil
	}
	each, ok := b.perQuantum(meter, u.Memory)
	if !ok {
		return nil, fmt.Errorf("%w: function %q has %d MiB of memory, more than there is a price for", ErrUnrated, u.Function, u.Memory/mib)
	}
	quanta, err := u.Quanta(b.rounding)
	if err != nil {
		return nil, err
	}
	return quanta.Mul(quanta, big.NewInt(each)), nil
}

// perQuantum returns how many billed units a call of that memory has for each
// granularity of time; false: more memory than there is a price for.
func (b *Book) perQuantum(meter string, memory int64) (int64, bool) {
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

// charge prices units, of which some are free.
func (b *Book) charge(p *price, units, free *big.Int) Charge {
	c := Charge{
		Meter: p.meter, Unit: p.unit, UnitPrice: Money{p.each, b.about.Currency},
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

func quantity(p *price, units *big.Int) *big.Rat {
	n := new(big.Rat).SetInt(units)
	return n.Mul(n, p.base)
}
