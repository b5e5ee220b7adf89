package cost

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
)

// atoms is an amount in the smallest parts that a budget counts: calls, nanoseconds, or a
// fraction of money that divides every price. It is an unsigned number of 128 bits.
type atoms struct{ hi, lo uint64 }

// mostAtoms stands for an amount that can't be counted. No limit is larger.
var mostAtoms = atoms{math.MaxUint64, math.MaxUint64} //nolint:gochecknoglobals // a constant, which Go has no structs of

// atomsOf returns a number as atoms. If the number does not fit it returns mostAtoms and
// false.
func atomsOf(n *big.Int) (atoms, bool) {
	if n.Sign() < 0 || n.BitLen() > 128 {
		return mostAtoms, false
	}
	high := new(big.Int).Rsh(n, 64).Uint64()
	return atoms{high, new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}, true
}

func (a atoms) big() *big.Int {
	n := new(big.Int).SetUint64(a.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(a.lo))
}

func (a atoms) cmp(b atoms) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// plus returns the sum. If the sum does not fit it returns mostAtoms and false.
func (a atoms) plus(b atoms) (atoms, bool) {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, carry := bits.Add64(a.hi, b.hi, carry)
	if carry > 0 {
		return mostAtoms, false
	}
	return atoms{hi, lo}, true
}

// minus returns the difference, or zero if b is more than a.
func (a atoms) minus(b atoms) atoms {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, borrow := bits.Sub64(a.hi, b.hi, borrow)
	if borrow > 0 {
		return atoms{}
	}
	return atoms{hi, lo}
}

// times returns the product. If the product does not fit it returns mostAtoms and false.
func (a atoms) times(b atoms) (atoms, bool) {
	if a.hi > 0 && b.hi > 0 {
		return mostAtoms, false
	}
	over1, cross1 := bits.Mul64(a.hi, b.lo)
	over2, cross2 := bits.Mul64(a.lo, b.hi)
	hi, lo := bits.Mul64(a.lo, b.lo)
	hi, carry := bits.Add64(hi, cross1|cross2, 0) // one of them is 0
	if over1|over2|carry > 0 {
		return mostAtoms, false
	}
	return atoms{hi, lo}, true
}

// percent returns p hundredths of a, rounded up.
func (a atoms) percent(p int) atoms {
	n := new(big.Int).Mul(a.big(), big.NewInt(int64(p)))
	n.Add(n, big.NewInt(99))
	part, _ := atomsOf(n.Quo(n, big.NewInt(100)))
	return part
}
