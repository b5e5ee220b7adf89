package observe

import (
	"cmp"
	"slices"
	"strings"

	"github.com/inproc/faas/cost"
)

// Usage returns what the calls have used since the recorder was made, in integers. There is one
// Usage for each function, version, tenant and declared memory, and another for the overruns of
// these; they are sorted in that order. Their keys have no labels and no jobs, and their outcome
// has no meaning. If the prices of a book of [WithBooks] have changed, the usage before and after
// the change is in two of them.
func (r *Recorder) Usage() []cost.Usage {
	merged := map[cellKey]*cost.Sums{}
	for i := range r.stripes {
		r.stripes[i].addUsage(merged)
	}
	var all []cost.Usage
	for k, used := range merged {
		key := cost.Key{Function: k.function, Version: k.version, Tenant: k.tenant, Overrun: k.overrun}
		all = append(all, r.counter.Usage(key, k.memory, used)...)
	}
	slices.SortFunc(all, func(a, b cost.Usage) int {
		return cmp.Or(strings.Compare(a.Function, b.Function), strings.Compare(a.Version, b.Version), strings.Compare(a.Tenant, b.Tenant),
			cmp.Compare(a.Memory, b.Memory), boolean(a.Overrun)-boolean(b.Overrun), a.Period.Start.Compare(b.Period.Start))
	})
	return all
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// addUsage adds what the stripe has counted. It holds s.mu; records then go to another
// stripe.
func (s *stripe) addUsage(to map[cellKey]*cost.Sums) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, c := range s.cells {
		sums := to[key]
		if sums == nil {
			sums = new(cost.Sums)
			to[key] = sums
		}
		s.recorder.counter.AddSums(sums, &c.used)
	}
}

// Spend is usage and what it costs at list prices.
type Spend struct {
	cost.Usage
	List cost.Money
}

// Spend prices [Recorder.Usage] by one of the books of [WithBooks]. An amount is the list
// price, from the integers of the usage, each multiplied once: what a ledger's usage comes
// to by a [cost.Rater]. What a month has free, tiers of prices and base fees are not in it,
// since they belong to a statement. If some usage has no price by the book, it is left out,
// and the error, which Is [cost.ErrUnrated], says why.
func (r *Recorder) Spend(by *cost.Book) ([]Spend, error) {
	rater := cost.NewRater(by)
	var unrated error
	var all []Spend
	for _, u := range r.Usage() {
		list, err := rater.List(u)
		if err != nil {
			unrated = err
			continue
		}
		all = append(all, Spend{u, list})
	}
	return all, unrated
}
