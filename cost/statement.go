package cost

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Statement is what the usage of a period costs by a book. Its amounts are
// exact, and its rows add up to Total. It is a value, with slices and numbers
// that are not to be changed.
type Statement struct {
	Period   Period
	Book     About
	Rows     []Row
	Total    Row   // with an empty key
	Overruns Money // of Total.Billed: what runaways used after their callers were freed

	by []Dimension
}

// Row is one line of a statement.
type Row struct {
	Key              // of a statement that was grouped (By): what it was grouped by, and Overrun
	Calls   uint64   // or overruns; in Total: calls
	Charges []Charge // one for each price of the book, and for each of its tiers that the period has reached
	List    Money    // before the free tier
	Billed  Money    // after it
}

// Dimension is what a statement's rows can be told apart by: one of these
// constants or a [Label].
type Dimension string

// The dimensions.
const (
	Function Dimension = "function"
	Version  Dimension = "version"
	Tenant   Dimension = "tenant"
	Outcome  Dimension = "outcome"
)

const labelPrefix = "label:"

// Label is the dimension of the label of that name.
func Label(name string) Dimension { return Dimension(labelPrefix + name) }

// NewStatement prices usage, one row a key, in the order of the keys. If the
// period is a calendar month (in its own zone), the book's free tier is taken
// off, and what is above the bound of a price tier has that tier's price: both
// shared by the rows in proportion to what they used, in whole billed units. They
// belong to a provider's account, so this is right if there is nothing else on it.
// For any other period nothing is free and all has the first price.
//
// The error is [ErrUnrated] if the book can't price some of the usage; there is
// no statement of the rest.
func NewStatement(p Period, b *Book, usage []Usage) (Statement, error) {
	s := Statement{Period: p, Book: b.about}
	lines, err := b.lines(usage)
	if err != nil {
		return s, err
	}
	prices := b.prices
	if p.calendarMonth() {
		prices = tiered(prices, lines)
	}
	free := freeUnits(prices, lines, p.calendarMonth())
	for i, l := range lines {
		row := Row{Key: l.key, Calls: l.calls}
		for j := range prices {
			row.Charges = append(row.Charges, b.charge(&prices[j], l.units[j], free[j][i]))
		}
		row.sum(b.about.Currency)
		s.Rows = append(s.Rows, row)
	}
	s.by = dimensions(s.Rows)
	s.Total, s.Overruns = b.total(prices, s.Rows)
	return s, nil
}

// line is a row before it is priced.
type line struct {
	key   Key
	calls uint64
	units []*big.Int // of each price
}

// lines adds usage up that differs in memory alone.
func (b *Book) lines(usage []Usage) ([]line, error) {
	var all []line
	for _, u := range usage {
		units, err := b.units(u)
		if err != nil {
			return nil, err
		}
		all = append(all, line{u.Key, u.Calls, units})
	}
	slices.SortStableFunc(all, func(x, y line) int { return x.key.compare(y.key) })
	merged := all[:0]
	for _, l := range all {
		if n := len(merged); n > 0 && merged[n-1].key.compare(l.key) == 0 {
			merged[n-1].add(l)
			continue
		}
		merged = append(merged, l)
	}
	return merged, nil
}

func (l *line) add(m line) {
	l.calls += m.calls
	for i := range l.units {
		l.units[i].Add(l.units[i], m.units[i])
	}
}

// freeUnits returns, for each price and line, how many of its units are free.
func freeUnits(prices []price, lines []line, month bool) [][]*big.Int {
	all := make([][]*big.Int, len(prices))
	for i, p := range prices {
		used := make([]*big.Int, len(lines))
		for j, l := range lines {
			used[j] = l.units[i]
		}
		free := new(big.Int)
		if month {
			free = p.free
		}
		all[i] = shareOut(free, used)
	}
	return all
}

// shareOut divides what is free among those who used something, in proportion
// and in whole units: rounded down, and then one more for those who lost most by
// that, the first of equals first. Nobody gets more than was used.
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
	for _, i := range order[:left.Int64()] { // fewer than there are of them
		shares[i].Add(shares[i], big.NewInt(1))
	}
	return shares
}

// By groups the rows: one for each combination of the dimensions, with the sums
// of the rows that have it. Overruns stay apart. Without dimensions there is one
// row, and one of the overruns.
func (s Statement) By(by ...Dimension) Statement {
	groups := map[string]int{}
	var rows []Row
	for _, row := range s.Rows {
		key := project(row.Key, by)
		name := groupName(key, by)
		i, ok := groups[name]
		if !ok {
			i = len(rows)
			groups[name] = i
			rows = append(rows, Row{Key: key})
		}
		rows[i].add(row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.compare(b.Key) })
	s.Rows, s.by = rows, slices.Clone(by)
	return s
}

// project keeps of a key what the dimensions ask for.
func project(k Key, by []Dimension) Key {
	p := Key{Overrun: k.Overrun}
	for _, d := range by {
		switch d {
		case Function:
			p.Function = k.Function
		case Version:
			p.Version = k.Version
		case Tenant:
			p.Tenant = k.Tenant
		case Outcome:
			p.Outcome = k.Outcome
		default:
			name := strings.TrimPrefix(string(d), labelPrefix)
			if value, ok := k.Labels[name]; ok {
				if p.Labels == nil {
					p.Labels = map[string]string{}
				}
				p.Labels[name] = value
			}
		}
	}
	return p
}

func groupName(k Key, by []Dimension) string {
	parts := []string{strconv.FormatBool(k.Overrun)}
	for _, d := range by {
		parts = append(parts, fmt.Sprintf("%q", k.text(d)))
	}
	return strings.Join(parts, ",")
}

// text is how a key's dimension is written.
func (k Key) text(d Dimension) string {
	switch d {
	case Function:
		return k.Function
	case Version:
		return k.Version
	case Tenant:
		return k.Tenant
	case Outcome:
		if k.Overrun {
			return overrun
		}
		return k.Outcome.String()
	}
	return k.Labels[strings.TrimPrefix(string(d), labelPrefix)]
}

// overrun stands where a call's row has its outcome.
const overrun = "Overrun"

// dimensions are those in which the rows differ from having nothing.
func dimensions(rows []Row) []Dimension {
	by := []Dimension{Function}
	for _, d := range []Dimension{Version, Tenant} {
		if slices.ContainsFunc(rows, func(r Row) bool { return r.text(d) != "" }) {
			by = append(by, d)
		}
	}
	var labels []Dimension
	for _, r := range rows {
		for name := range r.Labels {
			if d := Label(name); !slices.Contains(labels, d) {
				labels = append(labels, d)
			}
		}
	}
	slices.SortFunc(labels, func(a, b Dimension) int { return cmp.Compare(a, b) })
	return append(append(by, labels...), Outcome)
}

// total adds rows up, and apart from that the overruns among them.
func (b *Book) total(prices []price, rows []Row) (total Row, overruns Money) {
	overruns = Money{currency: b.about.Currency}
	total = Row{List: overruns, Billed: overruns}
	for i := range prices { // so that they are there without rows too
		total.Charges = append(total.Charges, b.charge(&prices[i], new(big.Int), new(big.Int)))
	}
	for _, row := range rows {
		total.add(row)
		if row.Overrun {
			total.Calls -= row.Calls
			overruns = overruns.plus(row.Billed)
		}
	}
	return total, overruns
}

func (r *Row) sum(currency string) {
	r.List, r.Billed = Money{currency: currency}, Money{currency: currency}
	for _, c := range r.Charges {
		r.List, r.Billed = r.List.plus(c.List), r.Billed.plus(c.Billed)
	}
}

// add adds a row of the same book.
func (r *Row) add(o Row) {
	r.Calls += o.Calls
	r.List, r.Billed = r.List.plus(o.List), r.Billed.plus(o.Billed)
	if r.Charges == nil {
		r.Charges = slices.Clone(o.Charges)
		return
	}
	for i := range r.Charges {
		r.Charges[i] = r.Charges[i].plus(o.Charges[i])
	}
}

// plus adds a charge of the same price.
func (c Charge) plus(d Charge) Charge {
	c.Quantity = new(big.Rat).Add(c.Quantity, d.Quantity)
	c.Free = new(big.Rat).Add(c.Free, d.Free)
	c.List, c.Billed = c.List.plus(d.List), c.Billed.plus(d.Billed)
	return c
}

// plus adds an amount that is known to be in the same currency.
func (m Money) plus(n Money) Money {
	return Money{new(big.Rat).Add(m.rat(), n.rat()), cmp.Or(m.currency, n.currency)}
}
