// Package faasotel shows OpenTelemetry what the functions of a router do: metrics and spans
// by its conventions for functions, version 1.43.
//
//	rec := observe.NewRecorder(observe.WithExemplar(faasotel.Exemplar))
//	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(
//		sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithProducer(faasotel.Producer(nil, rec)))))
//	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithIDGenerator(faasotel.IDGenerator()))
//	tracing := faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))
//	r := faas.New(tracing, faas.WithCarrier(tracing.Carrier()), faas.WithMeter(rec), faas.WithRefusals(rec.Refused),
//		faasotel.FlushAtShutdown(tp, mp))
//
// metrics and spans are exporters of the SDK.
//
// # Metrics
//
// [Producer] reads an observe.Recorder when a reader of the SDK collects: no code of
// OpenTelemetry runs when a function is called. All have the attributes faas.trigger, as
// the convention says, and faas.name and faas.version beside it: the convention takes
// these two from the resource, which is the process, and one process has many functions.
//
//	name                  instrument  unit          what
//	faas.invoke_duration  histogram   s             from the start of the handler to the end of the call
//	faas.init_duration    histogram   s             of that what cold calls waited for an instance
//	faas.coldstarts       counter     {coldstart}   calls that waited for a new instance
//	faas.errors           counter     {error}       calls that ended in any other way than by success, time or their caller
//	faas.invocations      counter     {invocation}  calls that ended OK
//	faas.timeouts         counter     {timeout}     calls that ended by their timeout
//
// A call counts in one of faas.invocations, faas.errors and faas.timeouts, or in none if
// it was canceled. A refused call was no invocation. The convention's faas.cpu_usage,
// faas.mem_usage and faas.net_io are absent: within one process none of them can be
// measured for each call.
//
// # Spans
//
// [Tracing] makes a span for each sampled call, without a middleware: of kind SERVER for a
// call from outside and for each delivery of a job, INTERNAL for a nested one. The sampler
// is asked before anything is made. A call that is not sampled has no span, and its
// handler's context says so to what it calls.
package faasotel
