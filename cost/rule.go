package cost

import (
	"math/bits"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// rule describes a sum that a ledger keeps, from which usage is priced by a book. If several
// books have equal rules, the ledger keeps one sum for them.
type rule struct {
	of counted
	Rounding
	allowance uint64 // bytes of each call that are not counted
}

// counted is what a rule adds up for each call.
type counted uint8

const (
	countTime      counted = iota // the duration, rounded
	countProcessor                // the processor time, rounded; the duration if the processor time was not measured
	countBytes                    // bytes of output
)

// quanta returns what a call adds to the rule's sum.
func (r *rule) quanta(processor, bytes uint64) uint64 {
	if r.of == countBytes {
		return bytes - min(bytes, r.allowance)
	}
	return roundUp(processor, r.Granularity)
}

// rules are the rules by which a ledger adds up each call. Rules for durations are in a slice
// of their own, so that Record loops over them without a switch: every book has one, and few
// books have others.
type rules struct {
	time  []Rounding
	other []rule
}

// rulesOf returns the distinct rules of the books that are in force at an instant.
func rulesOf(books []*Book, at time.Time) *rules {
	all := new(rules)
	for _, b := range books {
		for _, r := range b.inForceAt(at).rules() {
			switch {
			case r.of == countTime && !slices.Contains(all.time, r.Rounding):
				all.time = append(all.time, r.Rounding)
			case r.of != countTime && !slices.Contains(all.other, r):
				all.other = append(all.other, r)
			}
		}
	}
	return all
}

func (r *rules) len() int { return len(r.time) + len(r.other) }

// add adds a call to the sums of the rules that are not for durations. For processor time it
// adds the difference, processor time minus duration, of calls with measured processor time
// (modulo 2¹²⁸, since the difference is mostly negative). The method sums adds the durations
// later. So for a call without measured processor time there is nothing to add here. add is
// not called for overruns: they are not measured, and have no output.
func (r *rules) add(sums []count, e *faas.Execution, measured bool, processor uint64) {
	for i := range r.other {
		switch o := &r.other[i]; {
		case o.of == countBytes:
			sums[i].add(o.quanta(0, uint64(max(e.BytesOut, 0))))
		case measured:
			less, borrow := bits.Sub64(o.quanta(processor, 0), o.quanta(nonNegative(e.Duration), 0), 0)
			sums[i].plus(count{hi: -borrow, lo: less})
		}
	}
}

// sums returns the sums of a cell, each with its rule.
func (r *rules) sums(quanta []count) []sum {
	all := make([]sum, 0, len(quanta))
	for i, t := range r.time {
		all = append(all, sum{rule{Rounding: t}, quanta[i]})
	}
	for i, o := range r.other {
		n := quanta[len(r.time)+i]
		if o.of == countProcessor {
			n.plus(quanta[slices.Index(r.time, o.Rounding)])
		}
		all = append(all, sum{o, n})
	}
	return all
}

// sums returns the sums of one call, by the book's rules.
func (b *Book) sums(quanta, processor uint64, bytes int) []sum {
	var all []sum
	for _, r := range b.rules() {
		n := quanta
		if r.of != countTime || r.Rounding != b.rounding {
			n = r.quanta(processor, uint64(max(bytes, 0)))
		}
		all = append(all, sum{r, count{lo: n}})
	}
	return all
}

// rules returns what a ledger must add up for the book.
func (b *Book) rules() []rule {
	all := []rule{{Rounding: b.rounding}}
	for i := range b.prices {
		r, ok := b.ruleOf(&b.prices[i])
		if ok && r.of == countProcessor {
			all = append(all, rule{Rounding: r.Rounding}) // the sum of durations, which rules.sums adds to that of processor time
		}
		if ok {
			all = append(all, r)
		}
	}
	return all
}

// ruleOf returns the rule of a price that does not depend on duration, and false for one that
// does.
func (b *Book) ruleOf(p *price) (rule, bool) {
	switch p.meter {
	case meterProcessor:
		return rule{of: countProcessor, Rounding: Rounding{Granularity: b.rounding.Granularity}}, true
	case meterBytes:
		return rule{of: countBytes, allowance: uint64(p.allowance)}, true // not negative
	}
	return rule{}, false
}

// sum is what a rule has added up: granularities of time, or bytes.
type sum struct {
	by     rule
	quanta count
}
