package faas

import (
	"context"
	"maps"
	"slices"
	"time"
)

// RouterOption is an option of [New].
type RouterOption interface{ applyRouter(*routerSettings) }

// FunctionOption is an option of [Register].
type FunctionOption interface{ applyFunction(*settings) }

// Option is an option of both [New] and [Register]: given to New it is the default of
// every function, given to Register it overrides the default. Options that take several
// values ([WithMiddleware], [WithMeter], [WithGate], [WithContext], [WithRefusals]) add
// up instead, the router's outermost, so that a function can't drop the router's.
//
// Values are checked by New and Register, not by the option itself. Nil options are
// ignored. An option may be used any number of times, by any number of goroutines.
type Option interface {
	RouterOption
	FunctionOption
}

// WithOptions combines several options into one; they are applied in their order, and nil
// ones are ignored. For example, a variable can hold the options that all functions of a
// kind share.
func WithOptions(opts ...Option) Option {
	return option(func(s *settings) {
		for _, o := range opts {
			if o != nil {
				o.applyFunction(s)
			}
		}
	})
}

type option func(*settings)

func (o option) applyRouter(r *routerSettings) { o(&r.defaults) }
func (o option) applyFunction(s *settings)     { o(s) }

// groupOption makes an option that changes a copy of one group of settings, since the
// router and other functions may share the group.
func groupOption[G any](group func(*settings) **G, change func(*G)) Option {
	return option(func(s *settings) {
		at := group(s)
		own := **at
		change(&own)
		*at = &own
	})
}

func nameOption(field func(*nameSettings) *int, n int) Option {
	return groupOption(func(s *settings) **nameSettings { return &s.nameSettings }, func(s *nameSettings) { s.ask(field(s), n) })
}

func instanceOption(change func(*instanceSettings)) Option {
	return groupOption(func(s *settings) **instanceSettings { return &s.instanceSettings }, change)
}

func hookOption(change func(*hookSettings)) Option {
	return groupOption(func(s *settings) **hookSettings { return &s.hookSettings }, change)
}

func dataOption(change func(*dataSettings)) Option {
	return groupOption(func(s *settings) **dataSettings { return &s.dataSettings }, change)
}

type routerOption func(*routerSettings)

func (o routerOption) applyRouter(r *routerSettings) { o(r) }

// with returns the settings of a function: s, the router's defaults, with opts applied.
func (s *settings) with(function string, opts []FunctionOption) (*settings, error) {
	own := *s
	for _, o := range opts {
		if o != nil {
			o.applyFunction(&own)
		}
	}
	if err := own.check("register", function); err != nil {
		return nil, err
	}
	own.resolve()
	return &own, nil
}

// ------ How many calls run at once ------

// WithCapacity sets how many calls run at once in the whole router, n ≥ 1.
// Default 1,000. [Router.SetCapacity] changes it while calls run.
func WithCapacity(n int) RouterOption {
	return routerOption(func(r *routerSettings) { r.capacity = n })
}

// WithCapacityScaler lets a policy set the router's capacity, between 1 and the maximum,
// which [WithCapacity] or [Router.SetCapacity] sets: see [SaturationScaler]. The policy
// runs every two seconds while the router has calls or its capacity is below the maximum.
// In its [Load] an instance means one call; both windows have the values of the present
// moment, and CPU and Latency are set. Each change is a [Decision] whose Function is
// empty. With the default, nil, the capacity is fixed.
func WithCapacityScaler(p Scaler) RouterOption {
	return routerOption(func(r *routerSettings) { r.ceiling = p })
}

// WithConcurrency sets how many calls of a function run at once, n ≥ 0 (Lambda's
// reserved concurrency, as an upper limit; the lower one is [WithReserved]). Without
// it only the router's capacity bounds them. 0 switches the function off, as on
// Lambda: calls are refused with [ReasonOff]. [Router.SetConcurrency] changes it
// while calls run.
func WithConcurrency(n int) Option {
	return nameOption(func(s *nameSettings) *int { return &s.concurrency }, n)
}

// WithReserved guarantees n of the router's slots to a function, n ≥ 0: while it has
// fewer than n of them and one of its calls waits, that call gets the next slot that
// becomes free, before the calls of all other functions. No slot is kept free for that:
// slots that the function does not use are lent to others, and come back as the others'
// calls end.
//
// The sum over all functions of a router, also those switched off, may not exceed its
// capacity: the registration that would exceed it returns an error that Is [ErrInput].
// [Router.SetCapacity] may go below the sum; then each function gets its proportion. n
// may not exceed [WithConcurrency]. Default 0.
func WithReserved(n int) Option {
	return nameOption(func(s *nameSettings) *int { return &s.reserved }, n)
}

// WithWeight sets a function's share of the router's capacity when there are not
// enough slots for all, between 1 and 1,000. A function that asks for less than its
// share gets all that it asks for; the rest goes to the others in proportion to
// their weights (weighted max-min fairness). The shares are reached slot by slot as
// calls end. A function with no running call comes before all that have what they
// reserved, so that no weight starves it. A slot counts for the function that got it: a
// nested call that runs on its parent's slot counts for the parent. Default 1.
func WithWeight(w int) Option { return nameOption(func(s *nameSettings) *int { return &s.weight }, w) }

// WithTenantConcurrency sets how many calls of one tenant (see [WithTenant]) run at once
// in a function, n ≥ 1. Calls beyond that wait as for a slot, and calls of other tenants
// pass them. The empty tenant counts as a tenant. Default: no limit.
//
// A call and its recursive nested calls for the same tenant, also those through other
// functions, count as one call, as long as they are made one at a time. Any other nested
// call may wait for the limit too, but not while a call that the limit counts waits for a
// nested call of its own, since the two might wait for each other: the one of the two that
// begins to wait second is refused with [ErrCycle].
//
// Every call of such a function locks a mutex of the router, which other calls lock only
// when they wait.
func WithTenantConcurrency(n int) Option {
	if n == 0 {
		n = -1 // check refuses -1; 0 stands for no limit
	}
	return nameOption(func(s *nameSettings) *int { return &s.tenants }, n)
}

// WithTenantKey sets a function that names the tenant of a call, instead of
// [WithTenant] alone. f gets the caller's context and the [Invocation], whose Tenant
// is the one of WithTenant or of the parent call. It returns the tenant that gates,
// queue, meters and nested calls see. It runs on the caller's goroutine, before
// everything that may refuse the call except the check of its depth, so it must not
// block. Many goroutines call it at once. If it panics, the call is refused with
// [ReasonDenied] and Stats.HookPanics counts it. Nil, the default: WithTenant alone.
func WithTenantKey(f func(ctx context.Context, inv Invocation) string) Option {
	return hookOption(func(s *hookSettings) { s.tenantKey = f })
}

// WithRunaways lets up to n runaways of a function give their slot to a new call, n ≥ 0.
// A runaway is a handler that still runs although its call has ended. With n > 0, up to n
// runaways give their slots back as soon as their calls have ended. Default 0: a runaway
// keeps its slot until it returns, so that no more handlers run than the limits allow.
// Calls wait for that slot as for any other, until it is stuck (see [WithStuck]).
func WithRunaways(n int) Option {
	return nameOption(func(s *nameSettings) *int { return &s.runaways }, n)
}

// WithMaxDepth sets how deep calls may nest, n ≥ 1. The call from outside is the
// first; the one that would be number n+1 is refused with [ErrDepth]. Default 16.
func WithMaxDepth(n int) RouterOption {
	return routerOption(func(r *routerSettings) { r.maxDepth = n })
}

// ------ How many calls wait ------

// WithQueue sets how many calls of a function may wait for a slot, n ≥ 0; a call beyond
// that is refused at once with [ReasonOverloaded]. Default 1,000.
//
// Tenants take turns in the queue. The more slot time a tenant's calls use, the fewer
// turns it gets. A tenant that had no call waiting is served before those that have, at
// least every second turn. The calls of one tenant are ordered by [WithPriority], then by
// age.
//
// The places in the queue are shared too. Suppose the queue is full and a call comes for
// a tenant that has at least two fewer calls waiting than the tenant with the most. Then
// one waiting call of the tenant with the most is displaced, that is, refused with
// ReasonOverloaded. It is the call of the lowest priority; among equals, a call from outside
// before a nested one; among those, the newest. In all other cases a call may displace one
// of its own tenant with a lower priority. So a tenant that fills the queue doesn't keep
// others out of it.
//
// Jobs take no place in the queue, and no call is refused because of them. While jobs hold
// slots, more than n calls may wait: as many more as could run if the jobs held no slots.
func WithQueue(n int) Option { return nameOption(func(s *nameSettings) *int { return &s.queue }, n) }

// WithQueueTimeout sets how long a call may wait for a slot before it is refused
// with [ReasonQueueTimeout]; it must be positive. The caller's context bounds the wait
// as well. Default: the function's timeout.
func WithQueueTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.queueTimeout = d })
}

// ------ How long a handler runs, and where ------

// WithTimeout sets how long a handler may run, counted from its start; the wait for
// a slot is bounded by [WithQueueTimeout]. It must be positive; for no timeout use a
// very large one. Default 30 s.
func WithTimeout(d time.Duration) Option { return option(func(s *settings) { s.timeout = d }) }

// WithStuck sets what happens to a call that has ended while its handler still runs,
// after grace (grace ≥ 0, default 1 s). A warning is logged, and f, if it is not nil,
// is called once for the call, on its own goroutine, with how long ago the call
// ended. ctx has the call's Invocation and never ends. A panic in f is caught and
// counted.
//
// From then on the call's slot is stuck. When all slots of a function, or of the
// router, are stuck, the calls that wait for one are refused with [ReasonRunaways], and
// so are later calls, at once, until a handler returns. Before the grace is over they
// wait as for any slot: a handler that returns a millisecond after its caller has
// gone is no reason to refuse the next call. A grace of 0 means no such wait.
func WithStuck(grace time.Duration, f func(ctx context.Context, inv Invocation, over time.Duration)) RouterOption {
	return routerOption(func(r *routerSettings) { r.grace, r.stuck = grace, f })
}

// WithInline runs the handler on the caller's goroutine, for about half of the cost
// (faas/inline in the table of bench). All promises hold except two. The caller does
// not get its answer at the deadline, but when the handler returns; a late return
// settles as TimedOut. And a Goexit ends the caller's goroutine, after it is recorded
// as Exited. It is for short handlers that return when their context ends.
func WithInline() Option { return option(func(s *settings) { s.inline = true }) }

// ------ Instances ------

// WithScaler sets the policy that decides how many instances a function has, and so
// how many of its calls run at once: instances times [WithInstanceConcurrency], but
// never more than [WithConcurrency]. Functions of [RegisterInit] have a zero
// [ConcurrencyScaler] by default. Functions of [Register] are not scaled, unless this
// option, [WithInstanceConcurrency], [WithMinInstances] or [WithMaxInstances] is
// given. Their instances then cost nothing, but the policy limits their calls.
func WithScaler(p Scaler) Option { return instanceOption(func(s *instanceSettings) { s.scaler = p }) }

// WithInstanceConcurrency sets how many calls one instance serves at once, n ≥ 1.
// Default 1, as on AWS Lambda.
func WithInstanceConcurrency(n int) Option {
	return instanceOption(func(s *instanceSettings) { s.perInstance = n })
}

// WithMinInstances keeps at least n instances ready (Lambda's provisioned
// concurrency), n ≥ 0. Registration builds them, and returns when they are ready or
// one could not be built. Default 0: a function that is not called has none.
func WithMinInstances(n int) Option {
	return instanceOption(func(s *instanceSettings) { s.minInstances = n })
}

// WithMaxInstances sets how many instances there may be, n ≥ 1. A runaway that has
// given its slot to a new call ([WithRunaways]) may add one more. Default: as many as
// the router's capacity can use.
func WithMaxInstances(n int) Option {
	return instanceOption(func(s *instanceSettings) { s.maxInstances = n })
}

// WithKeepAlive keeps an instance for at least d after its last call, d ≥ 0, even if
// the policy wants fewer. Default 0: only the policy decides.
func WithKeepAlive(d time.Duration) Option {
	return instanceOption(func(s *instanceSettings) { s.keepAlive = d })
}

// WithInitTimeout bounds the init func of [RegisterInit], and also the close func
// that it returns; d must be positive. Default 10 s, as the init phase on AWS Lambda
// (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func WithInitTimeout(d time.Duration) Option {
	return instanceOption(func(s *instanceSettings) { s.initTimeout = d })
}

// ------ Data: size, encoding, what is copied ------

// WithLimits bounds the payload and the encoded output of bytes calls, in bytes, each
// at least 1. A larger payload is refused with [ErrTooLarge]; a larger output settles
// as OutputInvalid. Default 6 MiB each.
func WithLimits(in, out int) Option {
	return dataOption(func(s *dataSettings) { s.limitIn, s.limitOut = in, out })
}

// WithCodec sets the codec of bytes calls and [WithCopy]. Default: JSON, see [Codec].
func WithCodec(c Codec) Option {
	return dataOption(func(s *dataSettings) { s.codec, s.contentType = c, "" })
}

// WithCopy copies the input and the output of typed calls through the codec, so that
// caller and handler share nothing. []byte payloads are cloned. It costs about as much as
// a bytes call.
//
// The copy has only what the codec keeps. JSON, the default, drops unexported fields, and
// gives a value in an any its own types: an int64 arrives as float64, a []byte as its
// base64 text, a struct as map[string]any. An error in an any arrives as an empty map. A
// field of type error that is not nil refuses the call with [ErrInput], or in an output
// settles it as OutputInvalid: use the error's text instead. The error that the handler
// returns is not copied: it reaches the caller unchanged.
func WithCopy() Option { return option(func(s *settings) { s.copy = true }) }

// WithContext lets values of the caller's context through to the handler. f gets the
// caller's context and the fresh one, and returns the fresh one or one derived from
// it. Without this option no value of the caller's reaches a handler. To pass the
// values of some keys, f is [CarryKeys]. f runs on the caller's goroutine before
// admission, when the call has no deadline yet. If it panics, or returns a context
// that is not derived from fresh, the call is refused with [ReasonDenied].
func WithContext(f func(caller, fresh context.Context) context.Context) Option {
	return hookOption(func(s *hookSettings) { s.contexts = append(slices.Clip(s.contexts), f) })
}

// ------ Records and descriptions ------

// WithMeter adds a meter; nil is ignored.
func WithMeter(m Meter) Option {
	return option(func(s *settings) {
		if m != nil {
			s.meters = append(slices.Clip(s.meters), m)
		}
	})
}

// WithTracing sets the function that decides whether a call is traced, so that spans need
// no middleware. f is called once for each call, on the caller's goroutine, before
// everything that may refuse the call. It returns the call's Trace, or nil if the call is
// not traced. ctx is the caller's context with its values; for a nested call it is the
// handler's context, which has the values of the parent's Trace. inv is that of a [Gate],
// except that its Tenant is that of ctx, since [WithTenantKey] runs later.
//
// If a call is made by name, and its function is removed before the call has a slot or
// waits for one, its Trace ends with nil, and f is called again for the function that has
// the name then.
//
// f is not called for calls that never ask for admission: those of a name that is not
// registered, with a nil context, with a payload that does not decode, and those of
// [Router.DryRun]. If f panics, that is caught and counted, and the call has no Trace.
// Many goroutines may call f at once, and it must not block. An f given to [Register]
// replaces that of the router. Nil, the default: no call is traced.
func WithTracing(f func(ctx context.Context, inv Invocation) Trace) Option {
	return option(func(s *settings) { s.tracing = f })
}

// WithTraceSampler sets the sampler that chooses the calls for which the func of
// [WithTracing] is called. Nil, the default: all calls. Without such a func only the
// sampler's Untraced is used.
func WithTraceSampler(s TraceSampler) Option {
	return option(func(to *settings) { to.sampler = s })
}

// WithCapture gives the inputs of failed calls to c. A call has failed if its [Outcome]
// is one of outcomes, or, without outcomes, any but OK. A refused call has no record, and
// its input is not captured. A function's WithCapture replaces the router's; nil switches
// it off, which is the default. Nothing is encoded for calls that succeed.
//
// The payload of a bytes call, and the copy that [WithCopy] makes, are captured as they
// came. Any other typed input is encoded with the function's codec after its handler has
// returned and before the caller has the answer. If the handler still runs, nothing is
// captured (see [InputState]). Therefore:
//
//   - The bytes that were given to a call must not be changed until Invoke has returned,
//     also with WithCopy.
//   - A goroutine that the handler leaves behind must not write to an input that is not
//     copied.
//   - If the codec panics or returns an error, the input is missing from the capture. A
//     codec that blocks keeps the caller from its answer.
//
// Inputs may contain secrets. A [Ring] can blank the values of some keys. A value that
// encodes as "[redacted]", such as an access.Secret, is captured as that text. For this,
// a payload of a function whose input type may contain such a value is decoded and
// encoded again before it is captured: fields of the payload that the type does not have
// are then missing.
func WithCapture(c Capture, outcomes ...Outcome) Option {
	set := newCapturing(c, outcomes)
	return hookOption(func(s *hookSettings) { s.capture = set })
}

// WithMemory declares the memory that a call is billed for, in bytes, at least 1.
// Nothing enforces it: Go can't limit the memory of a goroutine. Default 128 MiB.
func WithMemory(bytes int64) Option { return option(func(s *settings) { s.memory = bytes }) }

// WithLabels adds labels, which are shown in Info, Invocation and Execution. A
// function's labels are merged over the router's. The map is copied.
func WithLabels(labels map[string]string) Option {
	labels = maps.Clone(labels)
	return option(func(s *settings) {
		merged := maps.Clone(s.labels)
		if merged == nil {
			merged = make(map[string]string, len(labels))
		}
		maps.Copy(merged, labels)
		s.labels = merged
	})
}

// ------ Code of yours that runs with a call ------

// WithGate adds gates; they are called in their order.
func WithGate(g ...Gate) Option {
	return hookOption(func(s *hookSettings) { s.gates = append(slices.Clip(s.gates), g...) })
}

// WithMiddleware adds middlewares; the first is the outermost.
func WithMiddleware(m ...Middleware) Option {
	return hookOption(func(s *hookSettings) { s.middleware = append(slices.Clip(s.middleware), m...) })
}

// WithRefusals reports to f every call that is refused before its handler could run,
// with tenant, kind and reason. Such a call has no record, so no meter sees it. A
// router's f gets the refusals of all functions, and of names that are not
// registered; a function's f gets its own. f is called once for each refusal, on the
// caller's goroutine, after the call is counted and before its caller has the answer.
// It must not block, and many goroutines may call it at once. ctx is the caller's
// context, which may have ended. The [Refusal] may be kept. A panic in f is caught
// and counted. Calls of [Router.DryRun] are not reported.
func WithRefusals(f func(ctx context.Context, ref Refusal)) Option {
	return hookOption(func(s *hookSettings) { s.refusalHooks = append(slices.Clip(s.refusalHooks), f) })
}

// WithDecisions reports to f every change of scale as it is made. f is called on the
// goroutine that decided, which may be a caller's: it must not block. Many goroutines may
// call it at once, so two changes at the same moment may be reported in the wrong order;
// [Router.Decisions] keeps the right one. A panic in f is caught and counted.
func WithDecisions(f func(Decision)) RouterOption {
	return routerOption(func(r *routerSettings) { r.decided = f })
}
