package procload

import "time"

// Percentile gives the tests access to percentile.
func Percentile(bounds []float64, counts, before []uint64, share float64) time.Duration {
	return percentile(bounds, counts, before, share)
}
