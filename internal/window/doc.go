// Package window remembers the last while: what an autoscaler looks at instead
// of the present moment.
//
//   - [Concurrency] is the time-weighted average of a level, such as the number
//     of calls in progress: not of samples of it, which miss what happens between
//     two of them.
//   - [Buckets] sums what is recorded by the bucket of time it falls into, and
//     averages the buckets, all alike or the later ones with more weight.
//   - [Max] is the highest of the values of the last slots.
//
// The rules of Buckets and Max are Knative's (package aggregation of
// knative/serving), whose test vectors they pass.
//
// Times are nanoseconds of a clock that the caller chooses. Nothing here locks:
// the caller sees to it that one goroutine at a time is in. Nothing allocates
// but the constructors and [Max.With].
package window
