package observe

import (
	"cmp"
	"slices"
	"strings"

	"github.com/inproc/faas/cost"
)

// Usage returns what the calls have used since the recorder was made, in integers. There is one
// Usage for each function, version, tenant and declared memory, and a second one if these have
// overruns. They are sorted by these fields. Their keys have no labels and no jobs, and their
// field Outcome has no meaning. If the prices of a book of [WithBooks] have changed, the usage
// before and after the change is in separate elements.
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

// addUsage adds the usage that the stripe has counted. While it holds s.mu, calls are recorded
// in other stripes.
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

// Spend prices [Recorder.Usage] by one of the books of [WithBooks]. An amount is a list price:
// each integer of the usage times its price, as a [cost.Rater] computes it from a ledger's
// usage. Free amounts per month, tiers of prices and base fees are not included, since they
// apply to a whole statement. If some usage has no price in the book, it is left out, and the
// error, which Is [cost.ErrUnrated], says why.
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
