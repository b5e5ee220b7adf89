package cost

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
)

// at returns the price p as it is in the tier t.
func (p price) at(t tier) price {
	p.each, p.above, p.tiers = t.each, t.above, nil
	return p
}

// usedBefore has, for each name of a ladder or of a grant, how much was used earlier in the
// month. A ladder is the set of prices whose usage is counted together for tiers, a grant the
// set whose usage is counted together for free quantities.
type usedBefore map[string]*big.Int

// of returns the amount for a name. The caller may add to it in place.
func (p usedBefore) of(name string) *big.Int {
	if p[name] == nil {
		p[name] = new(big.Int)
	}
	return p[name]
}

// settle divides the usage of each price among its tiers, and shares out the free quantity.
// Both belong to the account and not to a line, so each line gets a part in proportion to its
// usage, in whole units. The earlier usage of a month uses up the lower tiers and the free
// quantity first: first the usage in the parameter past, and then that in now, by the books in
// the order in which they came into force.
func settle(month bool, now, past []*tally) error {
	if err := unify(now, past); err != nil {
		return err
	}
	ladders, grants := usedBefore{}, usedBefore{}
	for _, g := range groups(past, (*column).ladder) {
		g.addTo(ladders.of(g.name))
	}
	for _, g := range groups(past, (*column).grant) {
		g.addTo(grants.of(g.name))
	}
	for _, g := range groups(now, (*column).ladder) {
		used := ladders.of(g.name)
		splitTiers(month, g.columns, used)
		g.addTo(used)
	}
	for _, g := range groups(now, (*column).grant) {
		used := grants.of(g.name)
		giveFree(month, g.columns, used)
		g.addTo(used)
	}
	return nil
}

// ladder returns the name under which usage is counted together for tiers. Prices with the
// same text under "ladder" share a name. Any other price shares its name only with the same
// meter in the other books of its series.
func (c *column) ladder(part int) string {
	if c.price.ladder != "" {
		return "ladder " + c.price.ladder
	}
	return strconv.Itoa(part) + " " + c.price.meter
}

// grant returns the name under which usage is counted together for free quantities.
func (c *column) grant(part int) string {
	if name := cmp.Or(c.price.grant, c.price.ladder); name != "" {
		return "shared " + name
	}
	return c.ladder(part)
}

// group has the columns with the same name (of a ladder or of a grant) whose books were in
// force at the same time.
type group struct {
	name    string
	order   int
	columns []*column
}

// addTo adds to used what the columns have used.
func (g *group) addTo(used *big.Int) {
	for _, c := range g.columns {
		used.Add(used, total(c.units))
	}
}

// groups returns the columns grouped by name, in the order in which their books came into
// force.
func groups(tallies []*tally, name func(c *column, part int) string) []*group {
	var all []*group
	for part, s := range tallies {
		for _, c := range s.columns {
			n := name(c, part)
			at := slices.IndexFunc(all, func(g *group) bool { return g.name == n && g.order == c.order })
			if at < 0 {
				at = len(all)
				all = append(all, &group{name: n, order: c.order})
			}
			all[at].columns = append(all[at].columns, c)
		}
	}
	slices.SortStableFunc(all, func(x, y *group) int { return x.order - y.order })
	return all
}

// splitTiers divides the usage of the columns of one ladder, whose usage is counted together for
// tiers, into parts: one for each tier that is reached. The parameter from is the usage of that
// ladder from earlier in the month. If month is false, all usage has the first price.
func splitTiers(month bool, columns []*column, from *big.Int) {
	var rest []*big.Int
	prices := make([]price, len(columns))
	for i, c := range columns {
		rest = append(rest, c.units...)
		prices[i] = c.price
	}
	tiers := columns[0].price.tiers // all of a ladder have the same bounds
	if !month {
		tiers = nil
	}
	for k, t := range tiers {
		over := total(rest)
		if below := new(big.Int).Sub(t.above, from); below.Sign() > 0 {
			over.Sub(over, below)
			from = t.above
		}
		if over.Sign() <= 0 {
			break
		}
		above := shareOut(over, rest)
		split(columns, prices, subtract(rest, above))
		for i, c := range columns {
			prices[i] = c.price.at(c.price.tiers[k])
		}
		rest = above
	}
	split(columns, prices, rest)
}

// split gives each column its part of units, as usage of one tier.
func split(columns []*column, prices []price, units []*big.Int) {
	for i, c := range columns {
		n := len(c.units)
		c.parts = append(c.parts, tierPart{price: prices[i], units: units[:n:n]})
		units = units[n:]
	}
}

// subtract returns a - b, element by element.
func subtract(a, b []*big.Int) []*big.Int {
	all := make([]*big.Int, len(a))
	for i := range a {
		all[i] = new(big.Int).Sub(a[i], b[i])
	}
	return all
}

// giveFree shares the rest of a month's free quantity among the columns of one grant. The
// parameter before is how much of that quantity was used earlier in the month. Within a
// column, the lowest tier gets its part first.
func giveFree(month bool, columns []*column, before *big.Int) {
	used := make([]*big.Int, len(columns))
	for i, c := range columns {
		used[i] = total(c.units)
	}
	left := new(big.Int)
	if month && columns[0].price.free.Cmp(before) > 0 {
		left.Sub(columns[0].price.free, before)
	}
	for i, share := range shareOut(left, used) {
		c := columns[i]
		for j := range c.parts {
			c.parts[j].free = shareOut(share, c.parts[j].units)
			share = new(big.Int).Sub(share, total(c.parts[j].free))
		}
	}
}

// unify gives all prices in the same unit one common billed unit, so that their usage can be
// added. It returns an error if prices that share a ladder or a grant don't fit together.
func unify(now, past []*tally) error {
	bases := map[string]*big.Rat{}
	var all []*column
	for _, s := range slices.Concat(now, past) {
		all = append(all, s.columns...)
	}
	for _, c := range all {
		base := c.price.base
		if other := bases[c.price.unit]; other != nil {
			base = gcdRat(base, other)
		}
		bases[c.price.unit] = base
	}
	for _, c := range all {
		c.rebase(bases[c.price.unit])
	}
	for _, g := range slices.Concat(groups(now, (*column).ladder), groups(now, (*column).grant)) {
		first := g.columns[0]
		for _, c := range g.columns[1:] {
			if !first.price.fits(c.price) {
				return fmt.Errorf("cost: books %q and %q have prices that share a ladder or a grant, with different units, bounds or free quantities: %w",
					first.book.about.Name, c.book.about.Name, ErrFormat)
			}
		}
	}
	return nil
}

// fits reports whether two prices can share the ladder or the grant that they have in common.
// If they have none in common, it returns true.
func (p price) fits(q price) bool {
	ladder := p.ladder != "" && p.ladder == q.ladder
	grant := cmp.Or(p.grant, p.ladder)
	if shared := grant != "" && grant == cmp.Or(q.grant, q.ladder); shared && quantity(&p, p.free).Cmp(quantity(&q, q.free)) != 0 {
		return false
	} else if !ladder && !shared {
		return true
	}
	return p.unit == q.unit && (!ladder || slices.EqualFunc(p.tiers, q.tiers, func(a, b tier) bool {
		return quantity(&p, a.above).Cmp(quantity(&q, b.above)) == 0
	}))
}

// rebase makes the column count in a smaller billed unit, base.
func (c *column) rebase(base *big.Rat) {
	times := new(big.Rat).Quo(c.price.base, base).Num()
	if times.Cmp(big.NewInt(1)) == 0 {
		return
	}
	by := func(n *big.Int) *big.Int { return new(big.Int).Mul(n, times) }
	c.price.base, c.price.free = base, by(c.price.free)
	c.price.tiers = slices.Clone(c.price.tiers)
	for i := range c.price.tiers {
		c.price.tiers[i].above = by(c.price.tiers[i].above)
	}
	for i := range c.units {
		c.units[i] = by(c.units[i])
	}
}

// gcdRat returns the largest number of which both a and b are whole multiples.
func gcdRat(a, b *big.Rat) *big.Rat {
	x, y := new(big.Int).Mul(a.Num(), b.Denom()), new(big.Int).Mul(b.Num(), a.Denom())
	return new(big.Rat).SetFrac(x.GCD(nil, nil, x, y), new(big.Int).Mul(a.Denom(), b.Denom()))
}

func total(of []*big.Int) *big.Int {
	sum := new(big.Int)
	for _, n := range of {
		sum.Add(sum, n)
	}
	return sum
}

// shareOut divides the number free in proportion to the numbers in used, in whole units. It is
// the method of the largest remainder: each share is rounded down, and the shares that lose most
// by this get one unit more, the first of equals first, until all units are given out. No share is
// larger than its number in used.
func shareOut(free *big.Int, used []*big.Int) []*big.Int {
	total := total(used)
	shares := make([]*big.Int, len(used))
	if total.Cmp(free) <= 0 {
		for i, n := range used {
			shares[i] = new(big.Int).Set(n)
		}
		return shares
	}
	left := new(big.Int).Set(free)
	rests := make([]*big.Int, len(used))
	order := make([]int, len(used))
	for i, n := range used {
		product := new(big.Int).Mul(free, n)
		shares[i], rests[i] = product.DivMod(product, total, new(big.Int))
		left.Sub(left, shares[i])
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return rests[j].Cmp(rests[i]) })
	for _, i := range order[:left.Int64()] { // left is less than len(order)
		shares[i].Add(shares[i], big.NewInt(1))
	}
	return shares
}
