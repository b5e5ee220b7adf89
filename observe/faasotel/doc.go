// Package faasotel exports what the functions of a router do to OpenTelemetry: metrics and
// spans that follow its semantic conventions for functions, version 1.43.
//
//	rec := observe.NewRecorder(observe.WithExemplar(faasotel.Exemplar))
//	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(
//		sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithProducer(faasotel.Producer(nil, rec)))))
//	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithIDGenerator(faasotel.IDGenerator()))
//	tracing := faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))
//	r := faas.New(tracing, faas.WithCarrier(tracing.Carrier()), faas.WithMeter(rec), faas.WithRefusals(rec.Refused),
//		faasotel.FlushAtShutdown(tp, mp))
//
// The variables metrics and spans are exporters of the SDK.
//
// # Metrics
//
// [Producer] reads an observe.Recorder when a reader of the SDK collects metrics: no code of
// OpenTelemetry runs when a function is called. All metrics have the attribute faas.trigger, as
// the convention says, and also faas.name and faas.version. The convention has these two in the
// resource, which describes the process, but here one process has many functions.
//
//	name                  instrument  unit          what
//	faas.invoke_duration  histogram   s             from the start of the handler to the end of the call
//	faas.init_duration    histogram   s             how long cold calls waited for an instance
//	faas.coldstarts       counter     {coldstart}   calls that waited for a new instance
//	faas.errors           counter     {error}       calls that ended neither OK, nor by their timeout, nor canceled
//	faas.invocations      counter     {invocation}  calls that ended OK
//	faas.timeouts         counter     {timeout}     calls that ended by their timeout
//
// A call counts in one of faas.invocations, faas.errors and faas.timeouts, or in none of them
// if it was canceled. A refused call is not an invocation. The convention's faas.cpu_usage,
// faas.mem_usage and faas.net_io are absent, because within one process they can't be measured
// for each call.
//
// # Spans
//
// [Tracing] makes a span for each sampled call, without a middleware. Its kind is SERVER for a
// call from outside and for each delivery of a job, and INTERNAL for a nested call. The sampler
// decides before anything is made. A call that is not sampled has no span. The context of its
// handler is marked as not sampled, and a ParentBased sampler then samples no call below it.
package faasotel
