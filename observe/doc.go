// Package observe shows what the functions of a router do: as numbers for other systems
// ([Recorder]), as log lines ([Log]), and as the last log lines in memory ([Tail]).
//
//	rec := observe.NewRecorder(observe.WithBooks(lambda))
//	calls := observe.Log(logger, observe.WithSampling(100))
//	r := faas.New(
//		faas.WithMeter(rec), faas.WithRefusals(rec.Refused),
//		faas.WithMeter(calls), faas.WithRefusals(calls.Refused),
//	)
//
// A Recorder keeps sums and histograms. Everything else is computed when they are read, so that
// no code of a monitoring vendor runs when a call is recorded. Module observe/faasprom reads a
// Recorder for Prometheus, and observe/faasotel for OpenTelemetry. A reader uses these:
//
//   - [Recorder.Snapshot]: outcomes, refusals, and histograms of the wait, the initialization
//     and the run, by function and version.
//   - [Recorder.Usage] and [Recorder.Spend]: the use in integers, and its cost, by tenant too.
//   - [Recorder.Live]: the same numbers over time, for a page that is watched.
//
// [Profiler] measures, on request, which functions use the processor.
//
// The present state of a router is not here but in faas.Stats and faas.Info: calls in flight,
// queues, limits, instances, jobs.
package observe
