package faas

import "time"

// CheckScaler is what registration asks of a policy.
func CheckScaler(s Scaler) error { return checkScaler(s) }

// Vitals is what the process says of itself.
type Vitals struct{ v vitals }

// Read is one reading.
func (v *Vitals) Read() (cpu float64, latency time.Duration) { return v.v.read() }

// Percentile is how a reading of the histogram is condensed.
func Percentile(bounds []float64, counts, before []uint64, share float64) time.Duration {
	return percentile(bounds, counts, before, share)
}
