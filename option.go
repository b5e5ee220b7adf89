package faas

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/inproc/faas/internal/admission"
)

// RouterOption is an option of [New].
type RouterOption interface{ applyRouter(*routerSettings) }

// FunctionOption is an option of [Register].
type FunctionOption interface{ applyFunction(*settings) }

// Option is an option of both: given to [New] it is the default of every function,
// given to [Register] it overrides the default. Options that take several values
// ([WithMiddleware], [WithMeter], [WithGate], [WithContext], [WithRefusals]) add up
// instead, the router's outermost, so that a function can't drop the router's.
//
// Values are checked by New and Register, not by the option itself. Nil options are
// ignored. An option may be used any number of times, by any number of goroutines.
type Option interface {
	RouterOption
	FunctionOption
}

// WithOptions makes one option of several, which are applied in their order; nil
// ones are ignored. For example, it names what all functions of a kind have in common.
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

type routerOption func(*routerSettings)

func (o routerOption) applyRouter(r *routerSettings) { o(r) }

// with returns the settings of a function: s, the router's defaults, with opts applied.
func (s *settings) with(function string, opts []FunctionOption) (*settings, error) {
	own := *s
	own.asked = 0
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

// WithCapacityScaler lets a policy set the router's capacity, between 1 and what
// [WithCapacity] or [Router.SetCapacity] have set: see [SaturationScaler]. The
// policy is asked every two seconds while the router has calls or is below that
// maximum. In its [Load] an instance is one call; the windows show the present
// moment only, and CPU and Latency are set. A change that it makes is a [Decision]
// whose Function is empty. Nil, the default: the capacity is fixed.
func WithCapacityScaler(p Scaler) RouterOption {
	return routerOption(func(r *routerSettings) { r.ceiling = p })
}

// WithConcurrency sets how many calls of a function run at once, n ≥ 0 (Lambda's
// reserved concurrency, as an upper limit; the lower one is [WithReserved]). Without
// it only the router's capacity bounds them. 0 switches the function off, as on
// Lambda: calls are refused with [ReasonOff]. [Router.SetConcurrency] changes it
// while calls run.
func WithConcurrency(n int) Option { return option(func(s *settings) { s.ask(&s.concurrency, n) }) }

// WithReserved guarantees n of the router's slots to a function, n ≥ 0: while it has
// fewer than n of them and one of its calls waits, the next slot that becomes free
// goes to it before all others. No slot is kept free for that: slots that the
// function does not use are lent to others, and come back as the others' calls end.
//
// The sum over all functions of a router, also those switched off, may not exceed
// its capacity: the registration that would exceed it returns an error that Is
// [ErrInput]. [Router.SetCapacity] may go below the sum; then each function gets its
// proportion. n may not exceed [WithConcurrency]. Default 0.
func WithReserved(n int) Option { return option(func(s *settings) { s.ask(&s.reserved, n) }) }

// WithWeight sets a function's share of the router's capacity when there are not
// enough slots for all, between 1 and 1,000. A function that asks for less than its
// share gets all that it asks for; the rest goes to the others in proportion to
// their weights (weighted max-min fairness). The shares are reached slot by slot as
// calls end. A function with no running call comes before all that have what they
// reserved, so that no weight starves it. A slot counts for the function that got it: a
// nested call that runs on its parent's slot counts for the parent. Default 1.
func WithWeight(w int) Option { return option(func(s *settings) { s.ask(&s.weight, w) }) }

// WithTenantConcurrency sets how many calls of one tenant (see [WithTenant]) run at
// once in a function, n ≥ 1. Calls beyond that wait as for a slot, and calls of other
// tenants pass them. The empty tenant is one like the others. Default: no limit.
//
// A call and its recursive nested calls for the same tenant, also those through other
// functions, count as one call, as long as they are made one at a time. Another nested
// call may wait for the limit too, but not while a call that the limit counts waits for
// a nested call of its own: they might wait for each other, so the second of the two
// is refused with [ErrCycle].
//
// Every call of such a function locks a mutex of the router's, which other calls
// lock only when they wait.
func WithTenantConcurrency(n int) Option {
	if n == 0 {
		n = -1 // check refuses -1; 0 stands for no limit
	}
	return option(func(s *settings) { s.ask(&s.tenants, n) })
}

// WithTenantKey sets a function that names the tenant of a call, instead of
// [WithTenant] alone. f gets the caller's context and the [Invocation], whose Tenant
// is the one of WithTenant or of the parent call. It returns the tenant that gates,
// queue, meters and nested calls see. It runs on the caller's goroutine, before
// everything that may refuse the call except the check of its depth, so it must not
// block. Many goroutines call it at once. If it panics, the call is refused with
// [ReasonDenied] and Stats.HookPanics counts it. Nil, the default: WithTenant alone.
func WithTenantKey(f func(ctx context.Context, inv Invocation) string) Option {
	return option(func(s *settings) { s.tenantKey = f })
}

// WithRunaways lets up to n runaways of a function give their slot to a new call,
// n ≥ 0. A runaway is a handler that still runs although its call has ended. Default
// 0: a runaway keeps its slot until it returns, so that no more handlers run than the
// limits allow. Calls wait for that slot as for any other, until it is stuck (see
// [WithStuck]). With n > 0, up to n of them give it back as soon as their call has ended.
func WithRunaways(n int) Option { return option(func(s *settings) { s.ask(&s.runaways, n) }) }

// WithMaxDepth sets how deep calls may nest, n ≥ 1. The call from outside is the
// first; the one that would be number n+1 is refused with [ErrDepth]. Default 16.
func WithMaxDepth(n int) RouterOption {
	return routerOption(func(r *routerSettings) { r.maxDepth = n })
}

// ------ How many calls wait ------

// WithQueue sets how many calls of a function may wait for a slot, n ≥ 0; those
// beyond are refused at once with [ReasonOverloaded]. Default 1,000.
//
// Tenants take turns in the queue; a tenant pays for its turns with the slot time
// that its calls use. A tenant that had no call waiting is served before those that
// have, at least every second turn. The calls of one tenant are ordered by
// [WithPriority], then by age.
//
// The places in the queue are shared too. If the queue is full and a call comes for a
// tenant that has at least two fewer calls waiting than the tenant with the most, a
// call of the latter is displaced, that is, refused with ReasonOverloaded: the one of
// the lowest priority, among those a call from outside before a nested one, and among
// those the newest. Otherwise a call may displace one of its own tenant with a lower
// priority. So a tenant that fills the queue doesn't keep others out of it.
func WithQueue(n int) Option { return option(func(s *settings) { s.ask(&s.queue, n) }) }

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
func WithScaler(p Scaler) Option { return option(func(s *settings) { s.scaler = p }) }

// WithInstanceConcurrency sets how many calls one instance serves at once, n ≥ 1.
// Default 1, as on AWS Lambda.
func WithInstanceConcurrency(n int) Option { return option(func(s *settings) { s.perInstance = n }) }

// WithMinInstances keeps at least n instances ready (Lambda's provisioned
// concurrency), n ≥ 0. Registration builds them, and returns when they are ready or
// one could not be built. Default 0: a function that is not called has none.
func WithMinInstances(n int) Option { return option(func(s *settings) { s.minInstances = n }) }

// WithMaxInstances sets how many instances there may be, n ≥ 1. A runaway that has
// given its slot to a new call ([WithRunaways]) may add one more. Default: as many as
// the router's capacity can use.
func WithMaxInstances(n int) Option { return option(func(s *settings) { s.maxInstances = n }) }

// WithKeepAlive keeps an instance for at least d after its last call, d ≥ 0, even if
// the policy wants fewer. Default 0: only the policy decides.
func WithKeepAlive(d time.Duration) Option { return option(func(s *settings) { s.keepAlive = d }) }

// WithInitTimeout bounds the init func of [RegisterInit], and also the close func
// that it returns; d must be positive. Default 10 s, as the init phase on AWS Lambda
// (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func WithInitTimeout(d time.Duration) Option { return option(func(s *settings) { s.initTimeout = d }) }

// ------ Data: size, encoding, what is copied ------

// WithLimits bounds the payload and the encoded output of bytes calls, in bytes, each
// at least 1. A larger payload is refused with [ErrTooLarge]; a larger output settles
// as OutputInvalid. Default 6 MiB each.
func WithLimits(in, out int) Option {
	return option(func(s *settings) { s.limitIn, s.limitOut = in, out })
}

// WithCodec sets the codec of bytes calls and [WithCopy]. Default: JSON, see [Codec].
func WithCodec(c Codec) Option { return option(func(s *settings) { s.codec = c }) }

// WithCopy copies the input and the output of typed calls through the codec, so that
// caller and handler share nothing. []byte payloads are cloned. It costs about as
// much as a bytes call.
//
// What the codec drops or changes is dropped or changed. JSON, the default, drops
// unexported fields, and gives a value in an any its own types: an int64 arrives as
// float64, a []byte as its base64 text, a struct as map[string]any. An error in an any
// arrives as an empty map. A field of type error that is not nil refuses the call
// with [ErrInput], or in an output settles it as OutputInvalid: use the error's text
// instead. The error that the handler returns is not copied: it reaches the caller
// unchanged.
func WithCopy() Option { return option(func(s *settings) { s.copy = true }) }

// WithContext lets values of the caller's context through to the handler. f gets the
// caller's context and the fresh one, and returns the fresh one or one derived from
// it. Without this option no value of the caller's reaches a handler. To pass the
// values of some keys, f is [CarryKeys]. f runs on the caller's goroutine before
// admission, when the call has no deadline yet. If it panics, or returns a context
// that is not derived from fresh, the call is refused with [ReasonDenied].
func WithContext(f func(caller, fresh context.Context) context.Context) Option {
	return option(func(s *settings) { s.contexts = append(slices.Clip(s.contexts), f) })
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

// WithGate adds gates; the first is asked first.
func WithGate(g ...Gate) Option {
	return option(func(s *settings) { s.gates = append(slices.Clip(s.gates), g...) })
}

// WithMiddleware adds middlewares; the first is the outermost.
func WithMiddleware(m ...Middleware) Option {
	return option(func(s *settings) { s.middleware = append(slices.Clip(s.middleware), m...) })
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
	return option(func(s *settings) { s.refusalHooks = append(slices.Clip(s.refusalHooks), f) })
}

// WithDecisions reports to f every change of scale as it is made. f is called on the
// goroutine that decided, which may be a caller's: it must not block. Many goroutines
// may call it at once, so that changes of the same moment may be reported in another
// order than they were made in ([Router.Decisions] keeps it). A panic in f is caught and counted.
func WithDecisions(f func(Decision)) RouterOption {
	return routerOption(func(r *routerSettings) { r.decided = f })
}

// ------ What the options set ------

// settings are what a function is registered with. A router has one set of them too,
// as the defaults of its functions.
type settings struct {
	nameSettings
	number       int // of the version; 0: $LATEST; below that: no number
	timeout      time.Duration
	tenantKey    func(ctx context.Context, inv Invocation) string
	queueTimeout time.Duration // likeTimeout until resolve has set it
	codec        Codec
	contentType  string // of what the codec encodes to
	memory       int64
	labels       map[string]string
	limitIn      int
	limitOut     int
	jobs         jobPolicy
	copy, inline bool
	scaler       Scaler // nil: the default, if the function is scaled at all
	perInstance  int
	minInstances int
	maxInstances int
	keepAlive    time.Duration
	initTimeout  time.Duration
	middleware   []Middleware
	meters       meters
	gates        []Gate
	contexts     []func(caller, fresh context.Context) context.Context
	refusalHooks []func(ctx context.Context, ref Refusal)
	tracing      func(ctx context.Context, inv Invocation) Trace
	logLevel     slog.Level // noLevel: it is not set
	capture      *capturing
}

// routerSettings are what a router is made with.
type routerSettings struct {
	defaults settings
	capacity int
	logger   *slog.Logger
	maxDepth int
	grace    time.Duration
	stuck    func(ctx context.Context, inv Invocation, over time.Duration)
	decided  func(Decision)
	ceiling  Scaler
	carriers []Carrier
}

// likeTimeout stands for a queue timeout that was not set: it is as long as the
// timeout, which a later option may still change.
const likeTimeout = time.Duration(math.MinInt64)

// resolve sets what follows from other settings, once all options are applied and
// checked.
func (s *settings) resolve() {
	if s.queueTimeout == likeTimeout {
		s.queueTimeout = s.timeout
	}
	s.contentType, _ = contentType(s.codec) // no error: check has called it too
}

// defaultSettings returns the defaults. Some follow AWS Lambda: the capacity is an
// account's default limit of concurrent executions, the payload limit is that of a
// synchronous invocation, and the depth is where Lambda stops a recursive loop.
func defaultSettings() routerSettings {
	return routerSettings{
		defaults: settings{
			nameSettings: nameSettings{concurrency: admission.Unlimited, weight: 1, queue: 1000},
			timeout:      30 * time.Second, queueTimeout: likeTimeout,
			codec: &jsonCodec{}, memory: 128 << 20, limitIn: 6 << 20, limitOut: 6 << 20,
			perInstance: 1, maxInstances: admission.Unlimited, initTimeout: 10 * time.Second, logLevel: noLevel, jobs: lambdaPolicy(),
		},
		capacity: 1000, logger: slog.Default(), maxDepth: 16, grace: time.Second,
	}
}

// check returns an error that says which setting is out of range and what to change.
func (s *settings) check(op, function string) error {
	bad := func(format string, args ...any) error {
		return usageError(op, function, ErrInput, format, args...)
	}
	if s.codec == nil {
		return bad("WithCodec(nil): leave the option out for JSON")
	}
	if _, err := contentType(s.codec); err != nil {
		return bad("WithCodec(%T): %w", s.codec, err)
	}
	switch {
	case s.timeout <= 0:
		return bad("WithTimeout(%v): a timeout must be positive; for none, use a very large one", s.timeout)
	case s.concurrency < 0:
		return bad("WithConcurrency(%d): can't be negative; 0 switches a function off", s.concurrency)
	case s.concurrency > admission.Unlimited:
		return bad("WithConcurrency(%d): at most %d; leave the option out for no limit", s.concurrency, admission.Unlimited)
	case s.reserved < 0:
		return bad("WithReserved(%d): can't be negative; 0 reserves nothing", s.reserved)
	case s.reserved > s.concurrency:
		return bad("WithReserved(%d): more than WithConcurrency(%d) lets run; reserve less, or allow more", s.reserved, s.concurrency)
	case s.weight < 1 || s.weight > admission.MaxWeight:
		return bad("WithWeight(%d): must be between 1 and %d", s.weight, admission.MaxWeight)
	case s.tenants < 0:
		return bad("WithTenantConcurrency(%d): must be at least 1; leave the option out for no limit", s.tenants)
	case s.queue < 0:
		return bad("WithQueue(%d): a queue can't be shorter than 0, which refuses at once", s.queue)
	case s.queueTimeout <= 0 && s.queueTimeout != likeTimeout:
		return bad("WithQueueTimeout(%v): must be positive; to refuse at once, use WithQueue(0)", s.queueTimeout)
	case s.memory < 1:
		return bad("WithMemory(%d): must be at least one byte", s.memory)
	case s.limitIn < 1 || s.limitOut < 1:
		return bad("WithLimits(%d, %d): each must be at least one byte", s.limitIn, s.limitOut)
	case s.runaways < 0:
		return bad("WithRunaways(%d): can't be negative; 0 replaces no runaway", s.runaways)
	case s.perInstance < 1 || s.perInstance > admission.Unlimited:
		return bad("WithInstanceConcurrency(%d): must be between 1 and %d", s.perInstance, admission.Unlimited)
	case s.maxInstances < 1 || s.maxInstances > admission.Unlimited:
		return bad("WithMaxInstances(%d): must be between 1 and %d", s.maxInstances, admission.Unlimited)
	case s.minInstances < 0 || s.minInstances > s.maxInstances:
		return bad("WithMinInstances(%d): must be between 0 and WithMaxInstances (%d)", s.minInstances, s.maxInstances)
	case s.keepAlive < 0:
		return bad("WithKeepAlive(%v): can't be negative; 0 leaves it to the policy", s.keepAlive)
	case s.initTimeout <= 0:
		return bad("WithInitTimeout(%v): must be positive; for none, use a very large one", s.initTimeout)
	case slices.ContainsFunc(s.middleware, func(m Middleware) bool { return m == nil }):
		return bad("WithMiddleware(nil): leave the nil out")
	case slices.Contains(s.gates, nil):
		return bad("WithGate(nil): leave the nil out")
	case slices.ContainsFunc(s.contexts, func(f func(a, b context.Context) context.Context) bool { return f == nil }):
		return bad("WithContext(nil): leave the nil out")
	case slices.ContainsFunc(s.refusalHooks, func(f func(context.Context, Refusal)) bool { return f == nil }):
		return bad("WithRefusals(nil): leave the nil out")
	case !s.capture.isPossible():
		return bad("WithCapture: of the outcomes OK, and those that do not exist, no input is captured; leave them out")
	}
	return s.jobs.check(bad)
}

// check is as that of settings; it also checks the defaults of the functions.
func (r *routerSettings) check() error {
	bad := func(format string, args ...any) error { return usageError("new", "", ErrInput, format, args...) }
	switch {
	case r.capacity < 1 || r.capacity > admission.Unlimited:
		return bad("WithCapacity(%d): must be between 1 and %d", r.capacity, admission.Unlimited)
	case r.logger == nil:
		return bad("WithLogger(nil): for silence, use slog.New(slog.DiscardHandler)")
	case r.maxDepth < 1:
		return bad("WithMaxDepth(%d): must be at least 1, which allows no nested call", r.maxDepth)
	case r.grace < 0:
		return bad("WithStuck(%v, …): the grace can't be negative", r.grace)
	}
	if fault := checkCarriers(r.carriers); fault != "" {
		return bad("WithCarrier: %s", fault)
	}
	if r.ceiling != nil {
		if err := checkScaler(r.ceiling); err != nil {
			return bad("WithCapacityScaler: %v", err)
		}
	}
	if r.defaults.reserved > r.capacity {
		return bad("WithReserved(%d): more than WithCapacity(%d)", r.defaults.reserved, r.capacity)
	}
	return r.defaults.check("new", "")
}
