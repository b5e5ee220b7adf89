package cost

import (
	"math/big"

	"github.com/inproc/faas"
)

// Times multiplies every sum of a usage by n. It stands for n equal calls, and takes no time.
func (u Usage) Times(n uint64) Usage {
	u.Calls *= n
	u.duration, u.init = u.duration.times(n), u.init.times(n)
	billed := make([]sum, len(u.billed))
	for i, s := range u.billed {
		billed[i] = sum{s.by, s.quanta.times(n)}
	}
	u.billed = billed
	return u
}

func (c count) times(n uint64) count {
	product := new(big.Int).Mul(c.big(), new(big.Int).SetUint64(n))
	low := new(big.Int).And(product, new(big.Int).SetUint64(^uint64(0)))
	return count{product.Rsh(product, 64).Uint64(), low.Uint64()}
}

// PlusCarries reports whether count.plus carries from the low half of a sum to the high half.
func PlusCarries() bool {
	c := count{1, ^uint64(0)}
	c.plus(count{2, 1})
	return c == count{4, 0}
}

// ShareOut is shareOut.
func ShareOut(free *big.Int, used []*big.Int) []*big.Int { return shareOut(free, used) }

// Decimal is decimal.
func Decimal(r *big.Rat) string { return decimal(r) }

var _ faas.OverrunMeter = (*Ledger)(nil)
