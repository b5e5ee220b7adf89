// Package observe shows what the functions of a router do: in numbers that other systems
// read ([Recorder]), as log lines ([Log]), and as the last of those lines ([Tail]).
//
//	rec := observe.NewRecorder(observe.WithBooks(lambda))
//	calls := observe.Log(logger, observe.WithSampling(100))
//	r := faas.New(
//		faas.WithMeter(rec), faas.WithRefusals(rec.Refused),
//		faas.WithMeter(calls), faas.WithRefusals(calls.Refused),
//	)
//
// A Recorder keeps sums and histograms, and its readers do the rest when they read: nothing
// of a vendor's library runs when a call is recorded. Module observe/faasprom is the reader
// for Prometheus, and observe/faasotel that for OpenTelemetry. What a reader needs is
//
//   - [Recorder.Snapshot], by function and version: outcomes, refusals, and histograms of
//     the wait, the initialization and the run;
//   - [Recorder.Usage] and [Recorder.Spend], by tenant too: integers, and what they cost;
//   - [Recorder.Live]: what happened when, for a page that is looked at.
//
// [Profiler] tells which functions use the processor, for as long as it is asked to.
//
// What a call does at present is in faas.Stats and faas.Info: calls in flight, queues,
// limits, instances, jobs.
package observe
