package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Workload is traffic to simulate. The zero value has no calls.
type Workload struct {
	Calls []Call
	// Length is the time that is simulated and counted. Calls that arrive later are not
	// made. 0: until the last call would end if none had to wait.
	Length time.Duration
	// ColdStart is how long an instance takes to be ready; 0: no time.
	ColdStart time.Duration
}

// Call is one call of a workload.
type Call struct {
	At       time.Duration // its arrival, since the beginning
	Function string        // a valid name for [faas.Register]
	Duration time.Duration // of its handler
}

// sorted returns w with its calls in the order of their arrival and with its length
// set, or an error if a time is out of range.
func (w Workload) sorted() (Workload, error) {
	w.Calls = slices.Clone(w.Calls)
	slices.SortStableFunc(w.Calls, func(a, b Call) int { return cmp.Compare(a.At, b.At) })
	last := time.Duration(0)
	for i, c := range w.Calls {
		if c.At < 0 || c.Duration < 0 || c.At > longest || c.Duration > longest {
			return w, fmt.Errorf("sim: call %d of %q at %v for %v: neither may be negative or over %v", i, c.Function, c.At, c.Duration, longest)
		}
		last = max(last, c.At+c.Duration)
	}
	if w.Length < 0 || w.ColdStart < 0 || w.Length > longest || w.ColdStart > longest {
		return w, fmt.Errorf("sim: a length of %v and a cold start of %v: neither may be negative or over %v", w.Length, w.ColdStart, longest)
	}
	if w.Length == 0 {
		w.Length = last
	}
	later := func(c Call) bool { return c.At > w.Length }
	if i := slices.IndexFunc(w.Calls, later); i >= 0 {
		w.Calls = w.Calls[:i]
	}
	return w, nil
}

// longest bounds all times of a workload. It is more than a simulation needs, and far
// from an overflow.
const longest = 366 * 24 * time.Hour

// functions returns the names of the functions that are called, sorted.
func (w Workload) functions() []string {
	var names []string
	for _, c := range w.Calls {
		names = append(names, c.Function)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// peaks returns the highest number of concurrent calls of each function, if none has to
// wait.
func (w Workload) peaks() map[string]int {
	type step struct {
		at       time.Duration
		by       int
		function string
	}
	var steps []step
	for _, c := range w.Calls {
		steps = append(steps, step{c.At, 1, c.Function}, step{c.At + c.Duration, -1, c.Function})
	}
	slices.SortFunc(steps, func(a, b step) int {
		// A call that arrives at the time at which another ends needs a slot of its own:
		// arrivals come first.
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.by, a.by))
	})
	now, peak := map[string]int{}, map[string]int{}
	for _, s := range steps {
		now[s.function] += s.by
		peak[s.function] = max(peak[s.function], now[s.function])
	}
	return peak
}
