package cost

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas"
)

// resource is the kind of thing that a budget limits.
type resource uint8

const (
	noResource resource = iota
	ofCalls
	ofTime
	ofMoney
)

// Limit is how much a [Budget] allows in a window: [Spend], [SlotTime] or [Calls]. A
// limit of zero, such as Calls(0), refuses all calls. The zero value of Limit does not say
// what is limited: [NewBudgets] returns an error for it.
type Limit struct {
	of    resource
	calls uint64
	time  time.Duration
	money Money
	book  *Book
}

// Spend limits what calls cost by the book: the list price of each call, rounded as the
// provider rounds it, with its request and without the free tier. It is exactly the amount
// that [Rater.Call] returns. For a limit in GB-seconds use a book in which a GB-second costs
// 1.
func Spend(m Money, by *Book) Limit { return Limit{of: ofMoney, money: m, book: by} }

// SlotTime limits the time that calls take, each from the start of its handler to its answer:
// faas.Execution.Duration as measured, not rounded, and whatever the memory.
func SlotTime(d time.Duration) Limit { return Limit{of: ofTime, time: d} }

// Calls limits how many calls are admitted, whatever their outcome.
func Calls(n uint64) Limit { return Limit{of: ofCalls, calls: n} }

// Amount is an amount of money, of time or of calls: of what a budget limits. It is a value.
type Amount struct { //nolint:recvcheck // what is unmarshaled must be a pointer, and values are copied
	in *measure // nil: the amount is nothing, and of no kind
	n  atoms
}

// Money returns the exact amount of money, or zero Money if the Amount is of another kind.
func (a Amount) Money() Money {
	if a.in == nil || a.in.of != ofMoney {
		return Money{}
	}
	return Money{new(big.Rat).SetFrac(a.n.big(), a.in.scale), a.in.book.about.Currency}
}

// Duration returns the amount of time, at most the largest time.Duration. It is 0 if the
// Amount is of another kind.
func (a Amount) Duration() time.Duration {
	switch {
	case a.in == nil || a.in.of != ofTime:
		return 0
	case a.n.hi > 0 || a.n.lo > math.MaxInt64:
		return math.MaxInt64
	}
	return time.Duration(a.n.lo) // fits, because of the case above
}

// Calls returns the number of calls, or 0 if the Amount is of another kind.
func (a Amount) Calls() uint64 {
	switch {
	case a.in == nil || a.in.of != ofCalls:
		return 0
	case a.n.hi > 0:
		return math.MaxUint64
	}
	return a.n.lo
}

// measure counts what calls use, in the atoms of one budget: the smallest parts that it
// counts. It is read-only, so calls use it without a lock.
type measure struct {
	of      resource
	book    *Book
	scale   *big.Int // atoms in one unit of the currency
	weights []atoms  // atoms in one billed unit, for each price of the book
}

// newMeasure finds the atoms in which a limit is counted. For money, an atom is the largest
// fraction of the currency that divides all prices, the limit and a billionth without rest.
// So the price of every call is a whole number of atoms, and nothing is rounded.
func newMeasure(l Limit) (*measure, error) {
	m := &measure{of: l.of, book: l.book}
	switch {
	case l.of == noResource:
		return nil, errors.New("it has no limit; say Limit: cost.Spend(…), cost.SlotTime(…) or cost.Calls(…)")
	case l.of != ofMoney:
		return m, nil
	case l.book == nil:
		return nil, errors.New("Spend needs a book to price calls by, and has none; see Preset, LoadBook and Machine")
	}
	m.scale = lcm(big.NewInt(1e9), l.money.rat().Denom())
	each := make([]*big.Rat, len(l.book.prices))
	for i := range each {
		p := &l.book.prices[i]
		each[i] = new(big.Rat).Mul(p.base, p.each)
		m.scale = lcm(m.scale, each[i].Denom())
	}
	for _, price := range each {
		w, ok := m.scaled(price)
		if !ok {
			return nil, fmt.Errorf("amounts by book %q need more than 128 bits; give its prices, and the limit, fewer digits", l.book.about.Name)
		}
		m.weights = append(m.weights, w)
	}
	return m, nil
}

// lcm returns the least common multiple of two positive numbers.
func lcm(a, b *big.Int) *big.Int {
	g := new(big.Int).GCD(nil, nil, a, b)
	return g.Mul(a, new(big.Int).Quo(b, g))
}

// scaled returns money in atoms, rounded down, and false if it needs more than 128 bits.
func (m *measure) scaled(r *big.Rat) (atoms, bool) {
	n := new(big.Int).Mul(r.Num(), m.scale)
	return atomsOf(n.Quo(n, r.Denom()))
}

// limit returns a limit in atoms.
func (m *measure) limit(l Limit) (atoms, error) {
	if l.of != m.of {
		return atoms{}, errors.New("the limit is of another kind than the budget's; use the same one of Spend, SlotTime and Calls")
	}
	switch l.of {
	case ofCalls:
		return atoms{lo: l.calls}, nil
	case ofTime:
		if l.time < 0 {
			return atoms{}, fmt.Errorf("SlotTime(%v) is negative; 0 refuses all calls", l.time)
		}
		return atoms{lo: nonNegative(l.time)}, nil
	default:
		return m.moneyLimit(l)
	}
}

// moneyLimit returns a limit of money in atoms. The limit must be by the same book, because
// another book's prices need not be whole numbers of these atoms.
func (m *measure) moneyLimit(l Limit) (atoms, error) {
	switch currency := m.book.about.Currency; {
	case l.book != m.book:
		return atoms{}, fmt.Errorf("its calls are priced by book %q; a limit by another needs a budget of its own", m.book.about.Name)
	case l.money.Sign() < 0:
		return atoms{}, fmt.Errorf("Spend(%s) is negative; zero Money refuses all calls", l.money)
	case l.money.currency != currency && (l.money.currency != "" || l.money.Sign() > 0):
		return atoms{}, fmt.Errorf("Spend(%s) by book %q, whose prices are in %s: %w; give the limit in that currency",
			l.money, m.book.about.Name, currency, ErrCurrency)
	}
	n, ok := m.scaled(l.money.rat())
	if !ok {
		return atoms{}, fmt.Errorf("Spend(%s) needs more than 128 bits to be counted in the fractions that book %q has; lower it", l.money, m.book.about.Name)
	}
	return n, nil
}

// call returns what a call uses. If the call has no price it returns the largest amount and
// false.
func (m *measure) call(memory int64, duration, init time.Duration) (atoms, bool) {
	switch m.of {
	case ofCalls:
		return atoms{lo: 1}, true
	case ofTime:
		return atoms{lo: nonNegative(duration)}, true
	default:
		return m.price(memory, m.book.rounding.Quanta(duration, init), 1)
	}
}

// used returns what a call has used. The call had a price when it was admitted. If it has
// none at its end, used returns the largest amount, because an unknown amount must not count
// as nothing.
func (m *measure) used(e *faas.Execution) atoms {
	n, _ := m.call(e.Memory, e.Duration, e.Init)
	return n
}

// overrun returns what a runaway used after its call had ended.
func (m *measure) overrun(o *faas.Overrun) atoms {
	switch m.of {
	case ofCalls: // the call itself has been counted
		return atoms{}
	case ofTime:
		return atoms{lo: nonNegative(o.Duration)}
	default:
		n, _ := m.price(o.Memory, m.book.rounding.overrunQuanta(o.Duration), 0)
		return n
	}
}

// price computes the same amount as [Rater.Call] and [Rater.Overrun], but without big.Int and
// big.Rat: it runs for every call under the tracker's lock, and allocates nothing.
func (m *measure) price(memory int64, quanta, requests uint64) (sum atoms, ok bool) {
	for i := range m.book.prices {
		units := atoms{lo: requests}
		if meter := m.book.prices[i].meter; meter != meterRequests {
			each, sold := m.book.perQuantum(meter, memory)
			if !sold || each < 0 {
				return mostAtoms, false
			}
			units.hi, units.lo = bits.Mul64(quanta, uint64(each)) // not negative
		}
		part, fits := m.weights[i].times(units)
		if sum, ok = sum.plus(part); !ok || !fits {
			return mostAtoms, false
		}
	}
	return sum, true
}

// atoms converts an amount to the atoms of this budget, rounded up. The amount may be of
// another budget that limits the same kind of thing.
func (m *measure) atoms(a Amount) (atoms, error) {
	if a.in == nil {
		return atoms{}, nil
	}
	if a.in.of != m.of {
		return atoms{}, fmt.Errorf("%s is not of the kind that the budget limits", a)
	}
	if m.of != ofMoney {
		return a.n, nil
	}
	money := a.Money()
	if money.currency != m.book.about.Currency {
		return atoms{}, fmt.Errorf("%s, and the prices of book %q are in %s: %w", a, m.book.about.Name, m.book.about.Currency, ErrCurrency)
	}
	up := new(big.Int).Mul(money.rat().Num(), m.scale)
	up.Add(up, new(big.Int).Sub(money.rat().Denom(), big.NewInt(1)))
	n, ok := atomsOf(up.Quo(up, money.rat().Denom()))
	if !ok {
		return atoms{}, fmt.Errorf("%s needs more than 128 bits to be counted in the fractions that book %q has", a, m.book.about.Name)
	}
	return n, nil
}

// The texts of amounts: MarshalText writes them, and UnmarshalText reads them.
const (
	noAmount    = "nothing"
	callsSuffix = " calls"
)

// String returns, for example, "0.0833335 USD", "1m30s" or "17 calls".
func (a Amount) String() string {
	switch {
	case a.in == nil:
		return noAmount
	case a.in.of == ofMoney:
		return a.Money().String()
	case a.in.of == ofTime:
		return a.Duration().String()
	}
	return strconv.FormatUint(a.Calls(), 10) + callsSuffix
}

// MarshalText writes what String does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes. For any other text it returns [ErrFormat].
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, ok := parseAmount(string(text))
	if !ok {
		return fmt.Errorf("cost: amount %q: %w: want one such as \"0.20 USD\", \"1m30s\" or \"17 calls\"", text, ErrFormat)
	}
	*a = parsed
	return nil
}

// parseAmount reads an amount that has no budget. An amount of money gets the denominator of
// its own text as scale; measure.atoms converts it to the scale of a budget.
func parseAmount(s string) (Amount, bool) {
	if s == noAmount {
		return Amount{}, true
	}
	if number, ok := strings.CutSuffix(s, callsSuffix); ok {
		n, err := strconv.ParseUint(number, 10, 64)
		return Amount{&measure{of: ofCalls}, atoms{lo: n}}, err == nil
	}
	if strings.Contains(s, " ") {
		money, err := ParseMoney(s)
		if err != nil {
			return Amount{}, false
		}
		n, ok := atomsOf(money.rat().Num())
		in := &measure{of: ofMoney, scale: money.rat().Denom(), book: &Book{about: About{Currency: money.currency}}}
		return Amount{in, n}, ok
	}
	d, err := time.ParseDuration(s)
	return Amount{&measure{of: ofTime}, atoms{lo: nonNegative(d)}}, err == nil && d >= 0
}
