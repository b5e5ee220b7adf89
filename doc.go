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
"module" is a module of its own, so that a program gets its dependencies only
if it imports it.

	faas                 routers, functions, limits, streams, jobs, records (this package)
	faastest             tests of handlers, of jobs and of your own meters, codecs, gates and scalers
	trigger/source       what arrives elsewhere starts functions: sources, batches, filters
	trigger/pattern      conditions on JSON, in the language of Amazon EventBridge
	trigger/faascron     functions by the clock (module)
	trigger/faashttp     calls over HTTP: JSON, the AWS Lambda API, Lambda function URLs
	trigger/faasevents   calls by CloudEvents over HTTP (module)
	trigger/faasmcp      functions as tools of the Model Context Protocol (module)
	access               authentication by token and authorization by rule
	access/faasjwt       authentication by JSON web token (module)
	access/faascedar     authorization by Cedar policies (module)
	access/webhook       verification of signed webhooks
	admin                one HTTP API for what a person does to a running host
	cost                 prices of records, budgets, forecasts
	cost/ledgersqlite    records kept in a SQLite file (module)
	sim                  what a scaling policy would do with your traffic (module)
	examples             complete programs (module)

# One invocation

A call passes these stations in this order, and each may end it:

	look-up → decode → depth → gates → room with the meters → slot of the function and of the router
	→ worker → middlewares → handler → encode → settle → record → answer

A slot is the permission to run one call. Before a call has its slot it can only
be refused: then no handler runs and no record is written, and [Info] and [Stats]
count it by its [Reason]. Once it has its slot the call is admitted. An admitted
call ends exactly once, with one [Outcome] and one [Execution], and its caller and
its meters get the same: a single compare-and-swap decides whether the handler's
return, the deadline, the end of the caller's context or [Router.Close] came first.

The deadline is enforced. When a function's timeout passes, its caller gets
[ErrTimeout] at once, even if the handler ignores its context. Such a handler is
a runaway: Go can't end a goroutine from outside, so the handler keeps running. It
keeps its slot until it returns (see [WithRunaways]). It is counted and reported
([WithStuck]), and the time it used after its record was made is recorded as an
[Overrun].

A call that ends early because its caller's context ended has the outcome
Canceled. Its error is that context's error and wraps the context's cause, if
there is one. For [context.Cause], the handler's context has the caller's cause,
ErrTimeout, [ErrClosed], or [context.Canceled] once the handler has returned. A
function's timeout bounds the handler only; the wait for a slot is bounded by
[WithQueueTimeout].

A caller's context may be any implementation. A faulty one harms only its own call:

  - If its Done is closed and its Err is nil, it counts as ended with [context.Canceled].
  - Its deadline may be the zero time, far away, or without a monotonic reading, as
    a time of [time.Unix] is. It is measured when the call begins.
  - If one of its methods panics or ends the goroutine, the call ends. Before
    admission the call is refused as canceled; after admission it settles as
    Canceled and has its record.
  - If it does not end at its own deadline, the call ends some milliseconds later.

What a front door knows of the request behind a call it says by [WithOrigin]. A
platform's deadline goes there and not on the context: by it the call times out, and
is not canceled.

# No state between calls

A handler's context is new for each call. It carries the deadline, cancellation
and the [Invocation]. It has none of the caller's values, unless [WithContext]
lets them through, or a [Trace] knows them. The input of a bytes call is decoded
into a new value. Typed inputs and outputs are passed as they are; with [WithCopy]
they are copied. What a handler keeps in its own variables is not controlled:
package faastest has a test that finds it.

# Instances and scale

A function of [RegisterInit] runs on instances. An init func builds each of them,
it serves up to [WithInstanceConcurrency] calls at once, and it is closed once,
when it is not needed any more. A [Scaler] decides how many instances there should
be. It is asked as soon as a call finds no free slot, and every two seconds to see
if fewer would do. The default, [ConcurrencyScaler], follows Knative's rules with two
exceptions; [LambdaScaler] and [FixedScaler] are others, and your own policy is one
pure method. Each change is a [Decision], which says what the policy saw and which
rule decided. A function that is not called has no instance (unless
[WithMinInstances] keeps some), no goroutine and no timer.

# Streams

A handler that is registered with [RegisterStream] writes its answer in pieces. Its
writes never wait: a caller that reads slowly holds neither the handler nor its slot.
Deadline, limits and metering are as for other calls. The caller's writer is not
used after its call is over.

# Nested calls

A handler may invoke functions. While a handler waits for such a nested call, it
lends its slot to it. A slot has two parts: one place in the router and one in the
function. The router's part is lent to one nested call at a time. The function's
part is lent to one call of the same function below it; if several calls above
could lend theirs, the nearest does. So a chain of calls never waits for itself,
however it recurses: for example a → b → a works with limits of 1. Such a chain also
counts as one call against [WithTenantConcurrency], and runs on one instance of each
function.

Nested calls beyond these wait like any other. Nested calls of siblings, or of
different chains, that would wait for each other (a deadlock) are refused with
[ErrCycle]; one that is too deep is refused with [ErrDepth]. Only calls made with
the handler's context, or one derived from it, count as nested, and only until the
handler has returned. A later call with a context that the handler kept needs its
own slot, and a router that is shutting down refuses it.

# Jobs

[Function.Send] accepts a call that is made later, and returns a [Job] at once. The input
is encoded when it is accepted, and decoded for each delivery. A delivery is a call
like any other: it asks the gates, takes its tenant's turn for a slot, and has a record,
with the job's ID and its own number. One that fails is an attempt, and is repeated as
AWS Lambda repeats it (WithRetry). One that could not run is none, and comes again until
the job is too old (WithMaxAge). In the end a job has succeeded, is dead, for example
because its last attempt failed, or was canceled: one of these, once. What is dead is told
to WithOnFailure and can be replayed.

A [JobQueue] keeps the jobs. The one in memory loses them with the process; Shutdown runs
those that are due and names those that are left ([JobsLeft]). A handler may send jobs,
but not wait for them: its slot would wait for a queue.

# Errors

The platform answers an [*Error]. It wraps one of the sentinels and says which
function, which invocation, and why. A handler's own error is returned unchanged,
and a panic as a [*PanicError]. A nil error means that the handler returned nil.

How a call ended is described by two closed sets: the [Kind] of a refusal, or the
[Outcome] of an admitted call. [EndOf] reads them from the error. It also tells a
refusal of the call itself from the refusal of a nested call that the handler
returned as its own error. Refusals have no record; [WithRefusals] reports them.

# Concurrency and life cycle

A [Router] and its [Function] handles may be used by any number of goroutines,
before, during and after Shutdown. A router starts no goroutine before its first
call. It keeps idle workers for some seconds, and has no goroutine after that. All
state is inside the router: routers don't share anything, and one that is made
inside a testing/synctest bubble uses the bubble's clock.

What a call held (its input and output, its caller's context, its instance) can be
garbage-collected when the call is over, even if the handler keeps its context. (A
context with which calls come again and again may be kept up to a second longer.) A
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
