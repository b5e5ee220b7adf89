/*
Package faas hosts functions inside your process and gives them what a serverless
platform gives: typed handlers, calls that return at their deadline, limits,
queues and fairness, and an exact record of every call.

	r := faas.New(faas.WithMeter(meter))
	resize := faas.Register(r, "resize", func(ctx context.Context, in Photo) (Image, error) {
		...
	}, faas.WithTimeout(2*time.Second), faas.WithConcurrency(8))

	img, err := resize.Invoke(ctx, photo)          // typed
	data, err := r.Invoke(ctx, "resize", payload)  // by name, JSON in and out
	later, err := resize.Send(ctx, photo)          // accepted; tried until it is done, or dead

	err = r.Shutdown(ctx) // wait for running calls, flush the meters, close

# Packages

A path below is relative to github.com/inproc/faas. A package that is marked
"module" is a module of its own: a program gets the dependencies of that module
only if it imports the package.

	faas                 routers, functions, limits, streams, jobs, records (this package)
	faastest             tests of handlers, of jobs and of your own meters, codecs, gates and scalers
	trigger/source       functions started by what arrives elsewhere: sources, batches, filters
	trigger/pattern      conditions on JSON, in the language of Amazon EventBridge
	trigger/faascron     functions started by the clock (module)
	trigger/faashttp     calls over HTTP: JSON, the AWS Lambda API, Lambda function URLs
	trigger/faasevents   calls by CloudEvents over HTTP (module)
	trigger/faasmcp      functions as tools of the Model Context Protocol (module)
	access               authentication by token and authorization by rule
	access/faasjwt       authentication by JSON web token (module)
	access/faascedar     authorization by Cedar policies (module)
	access/webhook       verification of signed webhooks
	admin                an HTTP API to operate a running host
	cost                 prices of records, budgets, forecasts
	cost/ledgersqlite    records kept in a SQLite file (module)
	sim                  what a scaling policy would do with your traffic (module)
	examples             complete programs (module)

# One invocation

A call passes these stations in this order, and each of them may end the call:

	look-up → decode → depth → gates → room with the meters → slot of the function and of the router
	→ worker → middlewares → handler → encode → settle → record → answer

A slot is the permission to run one call. Before a call has its slot it can only
be refused: then no handler runs and no record is written, and [Info] and [Stats]
count the call by its [Reason]. Once it has its slot the call is admitted. An admitted
call ends exactly once, with one [Outcome] and one [Execution], and its caller and
its meters get the same result: a single compare-and-swap decides whether the handler's
return, the deadline, the end of the caller's context or [Router.Close] came first.

The deadline is enforced. When a function's timeout passes, its caller gets
[ErrTimeout] at once, even if the handler ignores its context. Such a handler is
a runaway: Go can't end a goroutine from outside, so the handler keeps running. It
keeps its slot until it returns (see [WithRunaways]). Runaways are counted and reported
([WithStuck]), and the time that a runaway uses after the end of its call is recorded as an
[Overrun].

A call that ends early because its caller's context ended has the outcome
Canceled. Its error is that context's error and wraps the context's cause, if
there is one. [context.Cause] of the handler's context is the caller's cause,
ErrTimeout, [ErrClosed], or [context.Canceled] once the handler has returned. A
function's timeout limits only the time of the handler; [WithQueueTimeout] limits the
wait for a slot.

A caller's context may be of any implementation. A faulty one harms only its own call:

  - If its Done is closed and its Err is nil, it counts as ended with [context.Canceled].
  - Its deadline may be the zero time, far away, or without a monotonic reading, as
    a time of [time.Unix] is. It is measured when the call begins.
  - If one of its methods panics or ends the goroutine, the call ends. Before
    admission the call is refused as canceled; after admission it settles as
    Canceled and has its record.
  - If it does not end at its own deadline, the call ends some milliseconds later.

A front door is code that receives requests and makes calls for them. It passes what it
knows of a request by [WithOrigin]. A platform's deadline is also set there, and not on the
context: a call that ends by such a deadline is TimedOut, and not Canceled.

# No state between calls

A handler's context is new for each call. It carries the deadline, cancellation
and the [Invocation]. It has none of the caller's values, except those that [WithContext]
or a [Trace] adds. The input of a bytes call is decoded
into a new value. Typed inputs and outputs are passed as they are; with [WithCopy]
they are copied. The router does not control what a handler keeps in its own variables:
package faastest has a test that finds such state.

# Instances and scale

A function of [RegisterInit] runs on instances. An init func builds each instance. An
instance serves up to [WithInstanceConcurrency] calls at once, and is closed once,
when it is no longer needed. A [Scaler] decides how many instances there should
be. The router asks it as soon as a call finds no free slot, and every two seconds, to see
whether fewer are enough. The default, [ConcurrencyScaler], follows Knative's rules with two
exceptions. [LambdaScaler] and [FixedScaler] are others, and a policy of your own is one
pure method. Each change is a [Decision], which has what the policy saw and which
rule decided. A function that is not called has no instance (unless
[WithMinInstances] keeps some), no goroutine and no timer.

# Streams

A handler that is registered with [RegisterStream] writes its answer in pieces. Its
writes never wait: a caller that reads slowly delays neither the handler nor the release of
its slot. Deadline, limits and metering are as for other calls. The caller's writer is not
used after its call is over.

# Nested calls

A handler may invoke functions. While it waits for such a nested call, it lends its slot
to that call. A slot has two parts: one place in the router and one in the
function. The router's part is lent to one nested call at a time. The function's
part is lent to one nested call of the same function, which may also be deeper in the
chain; if several calls above could lend their parts, the nearest does. So a chain of calls
never waits for itself, however it recurses: for example a → b → a works with limits of 1.
Such a chain also counts as one call against [WithTenantConcurrency], and runs on one
instance of each function.

Nested calls to which no slot is lent wait like any other call. If nested calls of siblings,
or of different chains, would wait for each other (a deadlock), one is refused with
[ErrCycle]. A nested call that is too deep is refused with [ErrDepth]. Only calls made with
the handler's context, or one derived from it, count as nested, and only until the
handler has returned. A later call with a context that the handler kept needs its
own slot, and a router that is shutting down refuses it.

# Jobs

[Function.Send] accepts a call that is made later, and returns a [Job] at once. The input
is encoded when the job is accepted, and decoded for each delivery. A delivery is one run of
the job, and is a call like any other: it passes the gates, waits for its tenant's turn for a
slot, and has a record, with the job's ID and the number of the delivery. A delivery whose
handler ran and failed counts as an attempt, and is retried as AWS Lambda retries it
(WithRetry). A delivery that could not run does not count as an attempt, and is retried until
the job is too old (WithMaxAge). Each job ends once, in one of three ways: it has succeeded, it
is dead (for example because its last attempt failed), or it was canceled. Dead jobs
go to WithOnFailure and can be replayed.

A [JobQueue] keeps the jobs. The queue in memory loses them when the process ends. Shutdown
runs the jobs that are due and returns an error that names those that are left ([JobsLeft]). A
handler may send jobs but must not wait for them: it would hold its slot while it waits
for a queue.

# Errors

An error of the platform is an [*Error]. It wraps one of the sentinels and has the
function, the invocation and the reason. A handler's own error is returned unchanged,
and a panic as a [*PanicError]. A nil error means that the handler returned nil.

How a call ended is described by two closed sets: the [Kind] of a refusal, or the
[Outcome] of an admitted call. [EndOf] reads them from the error. It also distinguishes a
refusal of the call itself from the refusal of a nested call that the handler
returned as its own error. Refusals have no record; [WithRefusals] reports them.

# Concurrency and life cycle

A [Router] and its [Function] handles may be used by any number of goroutines,
before, during and after Shutdown. A router starts no goroutine before its first
call. It keeps idle workers for some seconds, and has no goroutine after that. All
state is inside the router: routers don't share anything, and a router that is made
inside a testing/synctest bubble uses the bubble's clock.

What a call held (its input and output, its caller's context, its instance) can be
garbage-collected when the call is over, even if the handler keeps its context. (A
caller's context that many calls in a row are made with may be kept up to a second longer.) A
removed function and a closed router can be collected once their last handler has
returned.

Goroutines come from a pool of github.com/panjf2000/ants/v2. Importing that package
starts two goroutines of its own; faastest names them for leak detectors.

# Limits of hosting in one process

The functions share your process. A panic in a goroutine that a handler started
itself, os.Exit, a fatal error of the runtime, or running out of memory ends the
process, as it would without this package. The memory of a function is declared for
billing and not enforced. Processor time is not limited.
*/
package faas
