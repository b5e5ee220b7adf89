package cost

import "math/big"

// tier is a price that holds for what a calendar month has above a quantity.
type tier struct {
	above *big.Int // billed units; more than of the tier before, and than 0
	each  *big.Rat // money for one of the unit; a finite decimal
}

// at returns the price as a tier has it. What is free is free in the first.
func (p price) at(t tier) price {
	p.each, p.above, p.free, p.tiers = t.each, t.above, new(big.Int), nil
	return p
}

// tiered divides what the lines of a month have used of each price among its
// tiers, in proportion to what each line has used, in whole units: like what is
// free, a tier belongs to the account and not to a line. It returns a price and a
// unit of each line for every tier that was reached, and for the first.
func tiered(prices []price, lines []line) []price {
	var all []price
	units := make([][]*big.Int, len(lines))
	for i, p := range prices {
		used := make([]*big.Int, len(lines))
		for j, l := range lines {
			used[j] = l.units[i]
		}
		from := new(big.Int)
		for _, t := range p.tiers {
			over := new(big.Int).Sub(t.above, from)
			if over.Sub(total(used), over).Sign() <= 0 {
				break
			}
			above := shareOut(over, used)
			for j := range lines {
				units[j] = append(units[j], used[j].Sub(used[j], above[j]))
			}
			all = append(all, p)
			p, used, from = p.at(t), above, t.above
		}
		for j := range lines {
			units[j] = append(units[j], used[j])
		}
		all = append(all, p)
	}
	for j := range lines {
		lines[j].units = units[j]
	}
	return all
}

func total(of []*big.Int) *big.Int {
	sum := new(big.Int)
	for _, n := range of {
		sum.Add(sum, n)
	}
	return sum
}
