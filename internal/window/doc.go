// Package window computes averages and maxima over a sliding window of time, for
// autoscalers.
//
//   - [Concurrency] is the time-weighted average of a level, such as the number
//     of calls in progress. It is exact; an average of samples would miss
//     what happens between two samples.
//   - [Buckets] sums values in buckets of time and averages the buckets, with equal
//     weights or with more weight on later ones.
//   - [Max] is the highest value of the last slots (periods) of time.
//
// The rules of Buckets and Max are those of Knative (package aggregation of
// knative/serving), and they pass Knative's test vectors.
//
// Times are nanoseconds of a clock that the caller chooses. The package has no locks: the
// caller must guard a Concurrency or Buckets with a lock of its own. Only the
// constructors and [Max.With] allocate.
package window
