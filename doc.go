/*
Package faas hosts functions inside your process, with what a serverless
platform gives them: typed handlers, calls that return on their deadline,
limits, queues and fairness, and an exact record of every call.

	r := faas.New(faas.WithMeter(meter))
	resize := faas.Register(r, "resize", func(ctx context.Context, in Job) (Image, error) {
		...
	}, faas.WithTimeout(2*time.Second), faas.WithConcurrency(8))

	img, err := resize.Invoke(ctx, job)            // typed
	data, err := r.Invoke(ctx, "resize", payload)  // by name, JSON in and out

	err = r.Shutdown(ctx) // drain, flush, end

# One invocation

A call passes these stations, and each may end it:

	look-up → decode → depth → gates → room with the meters → slot of the function and of the router
	→ worker → middlewares → handler → encode → settle → record → answer

Before it has a slot, a call can only be refused: no handler runs and no record
is written; [Info] and [Stats] count it by its [Reason]. From then on it is
admitted, and ends exactly once, with one [Outcome] and one [Execution], which
caller and meter agree on: a single compare-and-swap decides between the
handler's return, the deadline, the caller's leaving and [Router.Close].

The deadline is enforced. When a function's timeout passes, its caller is
answered [ErrTimeout] there and then, whether the handler heeds its context or
not. A handler that doesn't is a runaway: a goroutine can't be ended from
outside, so it goes on, keeps its slot until it returns (see [WithRunaways]), is
counted, reported ([WithStuck]), and what it used beyond its record is recorded
as an [Overrun].

A call that leaves early because its caller's context ended is Canceled and
answers that context's error, which wraps the cause if it has one. For
[context.Cause] the handler's context has the caller's cause, ErrTimeout,
[ErrClosed], or [context.Canceled] once the handler has returned. A function's
timeout bounds the handler alone; the wait for a slot is bounded by
[WithQueueTimeout].

A caller's context may have any manners, and harms its own call alone. One whose
Done is closed while it has no error has ended with [context.Canceled]. A deadline
may be zero, far, or without a monotonic reading, as of [time.Unix]: it is measured
when the call begins. One whose methods panic, or end the goroutine, ends its call:
before admission the call is refused as Canceled, and after it is settled so, with
its record. A context that lets its deadline pass without ending is ended for it,
some milliseconds later.

# Stateless

A handler's context is new for each call. It carries the deadline, cancellation
and the [Invocation], and no value of the caller's, unless [WithContext] lets it
through. The input of a bytes call is decoded into a fresh value. Typed inputs
and outputs are handed over as they are; with [WithCopy] they cross by value.
What a handler keeps in variables of its own is its own affair: package faastest
has a test that finds it.

# Instances and scale

A function of [RegisterInit] runs on instances: each is built by an init func,
serves up to [WithInstanceConcurrency] calls at once, and is closed once when it
is no longer wanted. How many there should be is for a [Scaler] to decide. A call
that finds no free slot has the policy asked at once; every two seconds it is
asked whether fewer would do. The default, [ConcurrencyScaler], has nearly Knative's rules;
[LambdaScaler] and [FixedScaler] are others, and a policy of one's own is one
pure method. Each change is a [Decision] that says what was seen and which rule
decided. A function that is not called has no instance, no goroutine and no timer.

# Streams

A handler that is registered with [RegisterStream] answers piece by piece, to a
writer. Its writes never wait: a caller who reads slowly holds neither the
handler nor its slot. Deadline, limits and metering hold as for other calls, and
the caller's writer is not touched once its call is over.

# Nested calls

A handler may invoke functions. Its call lends its slot while it lasts: the
router's half to one nested call at a time, the function's to one call below it of
the same function, the nearest such call above lending first. So a chain of calls
never waits for itself, however it recurses (a → b → a with limits of 1); it is one
call to the limit of [WithTenantConcurrency] as well, and runs on one instance of
each function. Further calls wait like any other. Nested calls of siblings, or of
different chains, that would wait for each other are refused with [ErrCycle], one
that is too deep with [ErrDepth]. Only calls made with the handler's context, or
one derived from it, count as nested, and only until the handler has returned: those
made later with a context that was kept need slots of their own, and are not let in
by a router that drains.

# Errors

The platform answers [*Error], which wraps one of the sentinels and says which
function, which invocation, and why. A handler's own error comes back
untouched, and a panic as a [*PanicError]. A nil error means that the handler
returned it.

How the call ended is one of two closed sets: the [Kind] of its refusal, or the
[Outcome] of an admitted call. [EndOf] reads them from the error, and knows the
refusal of a nested call, which its handler returned, for the handler's own
failure. Refusals have no record; [WithRefusals] tells of them.

# Concurrency and life cycle

A [Router] and its [Function] handles may be used by any number of goroutines,
before, during and after Shutdown. A router starts no goroutine until it is
called, keeps idle workers for some seconds, and is back at none after that.
There is no state outside of it: routers don't know of each other, and one that
is made inside a testing/synctest bubble lives in virtual time.

What a call held (its input and output, its caller's context, its instance) is let go
when it is over, also where a handler keeps its context; a function that is removed
and a router that is closed are garbage once their last handler has returned.

Goroutines come from a pool of github.com/panjf2000/ants/v2, whose import starts
two goroutines of its own; faastest names them for leak detectors.

# What it can't do

The functions share your process. A panic in a goroutine that a handler started
itself, os.Exit, a fatal error of the runtime, or running out of memory end it,
as they would without this package. Memory is declared for billing and not
enforced, nor is processor time.
*/
package faas
