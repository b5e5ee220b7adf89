package faas

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

// vitals reads what the process says about its own load, each time for the while
// since the time before. The zero value is ready; the first reading has no while
// and answers zeros. One goroutine at a time may read.
type vitals struct {
	sample [1]metrics.Sample
	counts []uint64 // of the histogram, last time
	cpu    time.Duration
	at     time.Time
}

// read answers the share of the processors that was used, 0 to 1, and how long 99
// of 100 goroutines at most waited for one.
//
// The runtime counts processor time in /cpu/classes as well, but brings it up to
// date only when it collects garbage: a process that allocates little would see
// minutes-old figures. So that comes from the system, where there is a call for
// it in the standard library; elsewhere the share is 0, and latency has to do.
func (v *vitals) read() (cpu float64, latency time.Duration) {
	return v.share(), v.waited()
}

func (v *vitals) share() float64 {
	now, used := time.Now(), processTime()
	passed, spent, first := now.Sub(v.at), used-v.cpu, v.at.IsZero()
	v.at, v.cpu = now, used
	if first || passed <= 0 {
		return 0
	}
	share := float64(spent) / float64(passed) / float64(runtime.GOMAXPROCS(0))
	return min(max(0, share), 1) // the two clocks are not read at the same moment
}

func (v *vitals) waited() time.Duration {
	v.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(v.sample[:])
	if v.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // a runtime that has no such metric any more
	}
	h := v.sample[0].Value.Float64Histogram()
	var latency time.Duration
	if len(v.counts) == len(h.Counts) {
		latency = percentile(h.Buckets, h.Counts, v.counts, 0.99)
	}
	v.counts = append(v.counts[:0], h.Counts...) // metrics.Read writes to its own slice again
	return latency
}

// percentile is the upper bound of the bucket in which that share of what was
// added since before is reached.
func percentile(bounds []float64, counts, before []uint64, share float64) time.Duration {
	var total, below uint64
	for i := range counts {
		total += counts[i] - before[i]
	}
	if total == 0 {
		return 0
	}
	for i := range counts {
		below += counts[i] - before[i]
		if float64(below) < share*float64(total) {
			continue
		}
		bound := bounds[i+1]
		if math.IsInf(bound, 1) {
			bound = bounds[i]
		}
		return time.Duration(bound * float64(time.Second))
	}
	return 0 // not reached: below is total in the end
}
