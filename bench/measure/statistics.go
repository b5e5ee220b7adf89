// Package measure measures calls: their cost, how long they take, how late after the deadline
// they return, and what memory they hold.
package measure

import (
	"cmp"
	"math"
	"slices"
)

// Median returns the middle value of xs, or the mean of the two in the middle. It returns NaN
// if xs is empty, and does not change xs.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(xs))
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return s[mid-1]/2 + s[mid]/2 // halves first: the sum could overflow
}

// Quantile returns the smallest element of sorted such that at least the fraction q of all
// elements are not larger (the nearest rank). It is always an observed value: the smallest
// for q = 0, and the largest for q = 1. If sorted is empty it is the zero value.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	var zero T
	if len(sorted) == 0 {
		return zero
	}
	rank := int(math.Ceil(q*float64(len(sorted)) - rankSlack))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// rankSlack keeps a product such as 0.999*1000, which floating point puts a
// hair above 999, from being rounded up by a whole rank.
const rankSlack = 1e-6
