package sim

import (
	"math/rand/v2"
	"time"
)

// Sorted and Differ check the arguments of Run.
var (
	Sorted = Workload.sorted
	Differ = differ
)

// Calls returns the calls of a function of Azure, with the mean gap between calls in
// seconds, its coefficient of variation, and a mean duration of a second.
func Calls(src rand.Source, gap, cv float64, length time.Duration) []Call {
	return habit{gap: gap, cv: cv, mean: 1}.calls(src, "f", length)
}
