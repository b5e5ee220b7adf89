package procload

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

// Reader measures the load of the process. Each Read covers the time since the
// previous Read. The zero value is ready to use. It has no lock: calls of Read
// must not overlap. A Reader starts no goroutine and needs no Close.
type Reader struct {
	sample [1]metrics.Sample
	counts []uint64      // the counts of the latency histogram at the last Read
	cpu    time.Duration // the processor time of the process at the last Read
	at     time.Time     // when the last Read was; zero: there was none
}

// Read returns cpu and latency. cpu is the share of the processors (GOMAXPROCS of them) that
// the process used, from 0 to 1. latency is the time within which 99 of 100 goroutines that
// became runnable got a processor. The first Read has no previous Read to compare with, and
// returns zeros.
//
// cpu comes from the operating system (getrusage, GetProcessTimes). The runtime
// has the metric /cpu/classes, but updates it only during garbage collection: a
// process that allocates little would see figures that are minutes old. On systems for which
// the standard library has no such system call, for example Plan 9, cpu is 0, and only
// latency shows the load.
//
// latency comes from the runtime's histogram /sched/latencies:seconds. It is the
// upper bound of a bucket, and 0 if the runtime has no such histogram.
func (r *Reader) Read() (cpu float64, latency time.Duration) {
	return r.readCPU(), r.readLatency()
}

func (r *Reader) readCPU() float64 {
	now, used := time.Now(), processTime()
	passed, spent, first := now.Sub(r.at), used-r.cpu, r.at.IsZero()
	r.at, r.cpu = now, used
	if first || passed <= 0 {
		return 0
	}
	share := float64(spent) / float64(passed) / float64(runtime.GOMAXPROCS(0))
	// The wall clock and the processor time are not read at the same moment, so
	// the quotient can be slightly outside the range.
	return min(max(0, share), 1)
}

func (r *Reader) readLatency() time.Duration {
	r.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(r.sample[:])
	if r.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // a later runtime may drop the metric
	}
	h := r.sample[0].Value.Float64Histogram()
	var latency time.Duration
	if len(r.counts) == len(h.Counts) {
		latency = percentile(h.Buckets, h.Counts, r.counts, 0.99)
	}
	// Copy the counts, because the next metrics.Read overwrites h.Counts.
	r.counts = append(r.counts[:0], h.Counts...)
	return latency
}

// percentile returns a percentile of what a histogram counted between two readings: before is the
// earlier reading, and counts the later. The result is the upper bound of the bucket in which the
// running sum of counts-before reaches the given share of its total. bounds has one more entry than counts, as
// in [metrics.Float64Histogram]. The last bucket has no finite upper bound; for it the result is
// its lower bound.
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
	return 0 // not reached: after the last bucket, below equals total
}
