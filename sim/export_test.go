package sim

import (
	"math/rand/v2"
	"time"
)

// Sorted and Differ are what Run begins with.
var (
	Sorted = Workload.sorted
	Differ = differ
)

// Calls are those of a function of Azure's that is called so often on average, so
// irregularly, for a second each.
func Calls(src rand.Source, gap, cv float64, length time.Duration) []Call {
	return habit{gap: gap, cv: cv, mean: 1}.calls(src, "f", length)
}
