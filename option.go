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

// Option is both: given to [New] it is the default of every function, given to
// [Register] it overrides the default. Those that take several values
// ([WithMiddleware], [WithMeter], [WithGate], [WithContext], [WithRefusals]) add up instead,
// the router's outermost, so that a function cannot drop the host's.
//
// Values are checked when the router is made or the function registered, not
// here. Nil options are ignored.
type Option interface {
	RouterOption
	FunctionOption
}

type option func(*settings)

func (o option) applyRouter(r *routerSettings) { o(&r.defaults) }
func (o option) applyFunction(s *settings)     { o(s) }

type routerOption func(*routerSettings)

func (o routerOption) applyRouter(r *routerSettings) { o(r) }

// settings are a function's, and a router's defaults for them.
type settings struct {
	timeout      time.Duration
	concurrency  int
	reserved     int
	weight       int
	tenants      int // of one tenant's calls at once; 0: no limit
	tenantKey    func(ctx context.Context, inv Invocation) string
	queue        int
	queueTimeout time.Duration // likeTimeout: as long as timeout
	codec        Codec
	contentType  string // of what the codec makes
	memory       int64
	labels       map[string]string
	limitIn      int
	limitOut     int
	copy         bool
	inline       bool
	runaways     int
	scaler       Scaler // nil: not scaled, unless something else of it is asked for
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
}

type routerSettings struct {
	defaults settings
	capacity int
	logger   *slog.Logger
	maxDepth int
	grace    time.Duration
	stuck    func(ctx context.Context, inv Invocation, over time.Duration)
	decided  func(Decision)
	ceiling  Scaler
}

// WithOptions bundles options into one, which applies them in their order; nil ones
// are ignored. What a router's functions have in common can so be named once.
func WithOptions(opts ...Option) Option {
	return option(func(s *settings) {
		for _, o := range opts {
			if o != nil {
				o.applyFunction(s)
			}
		}
	})
}

const likeTimeout = time.Duration(math.MinInt64)

// with is a function's settings: these, and its options.
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

// resolve fills in what follows from other settings.
func (s *settings) resolve() {
	if s.queueTimeout == likeTimeout {
		s.queueTimeout = s.timeout
	}
	s.contentType, _ = contentType(s.codec) // which check has found to be one
}

// The defaults. The capacity is the default limit of concurrent executions of
// an AWS account, the payload that of a synchronous Lambda invocation, the
// depth where Lambda stops a recursive loop.
func defaultSettings() routerSettings {
	return routerSettings{
		defaults: settings{
			timeout: 30 * time.Second, concurrency: admission.Unlimited, weight: 1, queue: 1000, queueTimeout: likeTimeout,
			codec: &jsonCodec{}, memory: 128 << 20, limitIn: 6 << 20, limitOut: 6 << 20,
			perInstance: 1, maxInstances: admission.Unlimited, initTimeout: 10 * time.Second,
		},
		capacity: 1000, logger: slog.Default(), maxDepth: 16, grace: time.Second,
	}
}

// WithTimeout sets how long a handler may run, counted from its start; the
// wait for a slot is bounded by [WithQueueTimeout]. Default 30 s. It must be
// positive; a very large one means none.
func WithTimeout(d time.Duration) Option { return option(func(s *settings) { s.timeout = d }) }

// WithConcurrency sets how many calls of a function run at once, n ≥ 0 (Lambda's
// reserved concurrency, as a cap; the floor is [WithReserved]). Without it only
// the router's capacity bounds them. 0 switches the function off, as there: calls
// are refused with [ReasonOff]. [Router.SetConcurrency] changes it live.
func WithConcurrency(n int) Option { return option(func(s *settings) { s.concurrency = n }) }

// WithReserved sets a floor for a function, n ≥ 0: while fewer of its calls than
// that have a slot of the router's, and one waits, the next slot that comes free
// is its own, whatever others are due. Slots are not kept back for that: what the
// function does not use is lent to others, and got back as their calls end.
//
// The floors of all functions of a router, switched off ones too, may not exceed
// its capacity together; a registration that would is an error that Is
// [ErrInput]. [Router.SetCapacity] may go below their sum all the same: then they
// are met in proportion. n may not exceed [WithConcurrency]. Default 0.
func WithReserved(n int) Option { return option(func(s *settings) { s.reserved = n }) }

// WithWeight sets how much of the router's capacity a function is due while it
// is short, beside others: between 1 and 1,000. Functions that ask for less than
// their share have all that they ask for, and the rest goes to the others in
// proportion to their weights (weighted max-min fairness), reached slot by slot
// as calls end. But a function with nothing running always comes before those
// that have their floor, so that no weight starves it. Slots count for the
// function that got them, so a nested call that runs on its parent's slot is the
// parent's. Default 1.
func WithWeight(w int) Option { return option(func(s *settings) { s.weight = w }) }

// WithTenantConcurrency sets how many calls of one tenant (see [WithTenant]) run
// at once in a function, n ≥ 1. Calls beyond that wait as for a slot, in nobody's
// way: other tenants pass them. The empty tenant is one like the others. Default:
// no limit.
//
// A call and what it calls recursively, also through other functions, for the same
// tenant and one at a time, are one call to the limit. Other nested calls may wait for it too, but not at
// the same time as calls that it counts wait for nested calls of their own:
// whichever of the two comes second is refused with [ErrCycle], since they might
// wait for each other.
//
// All calls of such a function take a lock, of the router's, which others take
// only when they wait.
func WithTenantConcurrency(n int) Option {
	if n == 0 {
		n = -1 // which check refuses; 0 is no limit
	}
	return option(func(s *settings) { s.tenants = n })
}

// WithTenantKey sets how to tell whose a call is, instead of by [WithTenant]
// alone: f gets the caller's context and the [Invocation], whose Tenant is what
// WithTenant has said or the parent has inherited, and returns the tenant that
// gates, queue, meters and nested calls see. It runs on the caller's goroutine
// before everything that may refuse the call but its depth, so it must be quick;
// many goroutines call it at once. If it panics, the call is refused with
// [ReasonDenied], and it counts as the panic of a hook. Nil: WithTenant alone,
// which is the default.
func WithTenantKey(f func(ctx context.Context, inv Invocation) string) Option {
	return option(func(s *settings) { s.tenantKey = f })
}

// WithQueue sets how many calls of a function may wait for a slot, n ≥ 0;
// those beyond are refused at once with [ReasonOverloaded]. Tenants take turns
// there, paid for with the slot time that their calls use; a tenant that had no
// call waiting is served before those that do, every other turn at least. A
// tenant's own calls go by [WithPriority], then by age. Default 1,000.
//
// The places are shared as the slots are. When all are taken and a call comes for
// a tenant that has at least two fewer waiting than the tenant with the most, one
// of the latter's gives its place up and is refused in turn: the one of lowest
// priority, of those a root before a nested call, and of those the newest.
// Otherwise a call may displace one of its own tenant of lower priority. So one
// tenant that fills the queue doesn't keep others out of it.
func WithQueue(n int) Option { return option(func(s *settings) { s.queue = n }) }

// WithQueueTimeout sets how long a call may wait for a slot before it is
// refused with [ReasonQueueTimeout]; it must be positive. Default: the
// function's timeout. The caller's context bounds the wait in any case.
func WithQueueTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.queueTimeout = d })
}

// WithCodec sets how bytes calls and [WithCopy] encode. Default: JSON, see
// [Codec].
func WithCodec(c Codec) Option { return option(func(s *settings) { s.codec = c }) }

// WithMemory declares how much memory a call is billed for, in bytes, at
// least 1. Nothing enforces it: Go can't bound the memory of a goroutine.
// Default 128 MiB.
func WithMemory(bytes int64) Option { return option(func(s *settings) { s.memory = bytes }) }

// WithLabels attaches labels, which show in Info, Invocation and Execution; a
// function's are merged over the router's. The map is copied.
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

// WithLimits bounds the payload and the encoded output of bytes calls, in
// bytes, each at least 1: a larger payload is refused with [ErrTooLarge], a
// larger output settles as OutputInvalid. Default 6 MiB each.
func WithLimits(in, out int) Option {
	return option(func(s *settings) { s.limitIn, s.limitOut = in, out })
}

// WithCopy makes typed calls cross by value: input and output are copied
// through the codec, so that caller and handler share nothing; []byte payloads
// are cloned. What the codec drops or changes on the way, the handler and the
// caller get so. JSON, the default, drops unexported fields and makes of what
// stands in an any its own kinds: an int64 arrives as float64, a []byte as its
// base64 text, a struct as map[string]any. An error in an any arrives as an empty
// map, and a field of type error that is not nil refuses the call with [ErrInput],
// or spoils its output: send the error's text instead. The error that the handler
// returns is not copied: it reaches the caller untouched.
// It costs about what a bytes call costs.
func WithCopy() Option { return option(func(s *settings) { s.copy = true }) }

// WithInline runs the handler on the caller's goroutine, at about half of the
// price (faas/inline in the table of bench). Everything holds but two things: the caller is not freed at the
// deadline, only told apart (a late return settles as TimedOut), and a
// Goexit ends the caller's goroutine, once it is recorded as Exited. For short
// handlers that heed their context.
func WithInline() Option { return option(func(s *settings) { s.inline = true }) }

// WithRunaways lets up to n runaways of a function (calls whose handler goes
// on after their end) give their slot to a replacement, n ≥ 0. Default 0: a
// runaway keeps its slot until it ends, so that what runs never exceeds what
// was allowed. Calls wait for its slot as for any other, until it is stuck (see
// [WithStuck]). A replacement is there from the start.
func WithRunaways(n int) Option { return option(func(s *settings) { s.runaways = n }) }

// WithScaler sets the policy that decides how many instances a function has,
// and so how many of its calls run at once: instances times
// [WithInstanceConcurrency], and never more than [WithConcurrency]. Functions
// of [RegisterInit] have a zero [ConcurrencyScaler] unless told otherwise;
// those of [Register] are not scaled unless this option, or one of the three
// below, is given: their instances cost nothing, but their limit then
// follows the policy's.
func WithScaler(p Scaler) Option { return option(func(s *settings) { s.scaler = p }) }

// WithInstanceConcurrency sets how many calls one instance serves at once,
// n ≥ 1. Default 1, as on AWS Lambda.
func WithInstanceConcurrency(n int) Option { return option(func(s *settings) { s.perInstance = n }) }

// WithMinInstances keeps at least n instances ready (Lambda's provisioned
// concurrency), n ≥ 0: registration makes them, and returns when they are
// ready or one could not be made. Default 0: a function that is not called has
// none.
func WithMinInstances(n int) Option { return option(func(s *settings) { s.minInstances = n }) }

// WithMaxInstances sets how many instances there may be, n ≥ 1; a runaway that
// has given its slot to a replacement ([WithRunaways]) may bring one more.
// Default: as many as the router's capacity can use.
func WithMaxInstances(n int) Option { return option(func(s *settings) { s.maxInstances = n }) }

// WithKeepAlive keeps an instance for at least that long after its last call,
// d ≥ 0, even if the policy wants fewer. Default 0: the policy alone decides.
func WithKeepAlive(d time.Duration) Option { return option(func(s *settings) { s.keepAlive = d }) }

// WithInitTimeout bounds the init func of [RegisterInit], and the close func
// that it returns, each; d must be positive. Default 10 s, as the init phase on
// AWS Lambda (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func WithInitTimeout(d time.Duration) Option { return option(func(s *settings) { s.initTimeout = d }) }

// WithMiddleware adds middlewares, the first outermost.
func WithMiddleware(m ...Middleware) Option {
	return option(func(s *settings) { s.middleware = append(slices.Clip(s.middleware), m...) })
}

// WithMeter adds a meter; nil is ignored.
func WithMeter(m Meter) Option {
	return option(func(s *settings) {
		if m != nil {
			s.meters = append(slices.Clip(s.meters), m)
		}
	})
}

// WithGate adds gates, the first asked first.
func WithGate(g ...Gate) Option {
	return option(func(s *settings) { s.gates = append(slices.Clip(s.gates), g...) })
}

// WithRefusals has f told of every call that is turned away before its handler
// could run, with tenant, kind and reason: those calls have no record, so that no
// meter sees them. A router's f hears of the calls of all functions, and of names
// that are not registered; a function's, of its own. f is called once for each, on
// the caller's goroutine, after the call is counted and before its caller has the
// answer: it must not block, and may be called by many goroutines at once. ctx is
// the caller's context, which may have ended. The [Refusal] may be kept. A panic in
// f is caught and counted. Calls of [Router.DryRun] are not told of.
func WithRefusals(f func(ctx context.Context, ref Refusal)) Option {
	return option(func(s *settings) { s.refusalHooks = append(slices.Clip(s.refusalHooks), f) })
}

// WithContext lets values through to the handler: f gets the caller's context
// and the fresh one, and returns the fresh one or one derived from it. Without
// it no value of the caller's reaches a handler. To carry the values of some keys,
// f is [CarryKeys]. f runs on the caller's
// goroutine before admission, when the call has no deadline yet. If it panics,
// or returns a context that is not derived from fresh, the call is refused
// with [ReasonDenied].
func WithContext(f func(caller, fresh context.Context) context.Context) Option {
	return option(func(s *settings) { s.contexts = append(slices.Clip(s.contexts), f) })
}

// WithCapacity sets how many calls run at once in the whole router, n ≥ 1.
// Default 1,000. [Router.SetCapacity] changes it live.
func WithCapacity(n int) RouterOption {
	return routerOption(func(r *routerSettings) { r.capacity = n })
}

// WithLogger sets where the router tells about runaways and panicking hooks.
// It never logs payloads or the text of errors. Default: slog.Default() at the
// time of New.
func WithLogger(l *slog.Logger) RouterOption {
	return routerOption(func(r *routerSettings) { r.logger = l })
}

// WithMaxDepth bounds how deep calls may nest, n ≥ 1: the root is the first,
// and what would be the n+1st is refused with [ErrDepth]. Default 16.
func WithMaxDepth(n int) RouterOption {
	return routerOption(func(r *routerSettings) { r.maxDepth = n })
}

// WithStuck sets what happens to calls that were settled and whose handler
// still runs, grace later (grace ≥ 0, default 1 s): a warning is logged, and f,
// if not nil, is called once for each, on a goroutine of its own, with how long
// the call has been over. A panic in f is caught and counted. ctx has the
// call's Invocation and never ends.
//
// From then on the call's slot is stuck. When all slots of a function, or of the
// router, are, the calls that wait for one are refused with [ReasonRunaways], and
// those that come later at once, until a handler returns. Before that they wait as
// for any slot: a handler that is still on its way out, a millisecond after its
// caller has left, is no reason to refuse the next. With a grace of 0 there is no
// such wait.
func WithStuck(grace time.Duration, f func(ctx context.Context, inv Invocation, over time.Duration)) RouterOption {
	return routerOption(func(r *routerSettings) { r.grace, r.stuck = grace, f })
}

// WithDecisions has f told of every change of scale as it is made. It is called
// by the goroutine that decided, which may be a caller's: it must not block, and
// may be called by many at once, so that changes of one moment may be told of in
// another order than they were made in ([Router.Decisions] keeps that). A panic in
// it is caught and counted.
func WithDecisions(f func(Decision)) RouterOption {
	return routerOption(func(r *routerSettings) { r.decided = f })
}

// WithCapacityScaler lets a policy steer the router's capacity, between 1 and
// what [WithCapacity] or [Router.SetCapacity] have set: see [SaturationScaler].
// It is asked every two seconds while the router is at work. In the [Load] it
// is told, an instance is one call; the windows show the moment alone, and CPU
// and Latency are set. What it changes is a [Decision] without a function.
func WithCapacityScaler(p Scaler) RouterOption {
	return routerOption(func(r *routerSettings) { r.ceiling = p })
}

// check names what is impossible about s, and the cure.
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
	}
	return nil
}

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
