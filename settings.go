package faas

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/inproc/faas/internal/admission"
)

// settings are the settings that a function is registered with. A router has a set of them
// too, as the defaults of its functions. A function with options has a copy. The pointers in
// that copy still lead to the router's structs; an option that changes such a struct first
// copies it, see jobOption, nameOption and groupOption. So a function needs memory only for what
// its own options set.
type settings struct {
	*nameSettings
	*instanceSettings
	*hookSettings
	*dataSettings
	number       int // the number of the version; 0: $LATEST; negative: invalid
	timeout      time.Duration
	queueTimeout time.Duration // likeTimeout until resolve has set it
	memory       int64
	labels       map[string]string
	jobs         *jobPolicy
	copy, inline bool
	meters       meters
	tracing      func(ctx context.Context, inv Invocation) Trace
	sampler      TraceSampler // nil: tracing is called for each call
	logLevel     slog.Level   // noLevel: it is not set
}

// instanceSettings are the settings of a function's scaling.
type instanceSettings struct {
	scaler       Scaler // nil: the default, if the function is scaled at all
	perInstance  int
	minInstances int
	maxInstances int
	keepAlive    time.Duration
	initTimeout  time.Duration
}

// hookSettings are hooks that only some calls pass. Meters and tracing are not among
// them, because every call looks at those.
type hookSettings struct {
	tenantKey    func(ctx context.Context, inv Invocation) string
	middleware   []Middleware
	gates        []Gate
	contexts     []func(caller, fresh context.Context) context.Context
	refusalHooks []func(ctx context.Context, ref Refusal)
	capture      *capturing
}

// dataSettings are the settings of encoded inputs and outputs.
type dataSettings struct {
	codec       Codec
	contentType string // the media type of the codec's output; empty until resolve has set it
	limitIn     int
	limitOut    int
}

// routerSettings are the settings that a router is made with.
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

// likeTimeout stands for a queue timeout that was not set. Then it is equal to the
// timeout, which a later option may still change.
const likeTimeout = time.Duration(math.MinInt64)

// resolve sets what depends on other settings, once all options are applied and
// checked.
func (s *settings) resolve() {
	if s.queueTimeout == likeTimeout {
		s.queueTimeout = s.timeout
	}
	if s.contentType == "" { // not empty: it is in a struct of the router, which other goroutines read
		s.contentType, _ = contentType(s.codec) // no error: check has called contentType, too
	}
}

// defaultSettings returns the defaults. Some follow AWS Lambda: the capacity is an
// account's default limit of concurrent executions, the payload limit is that of a
// synchronous invocation, and the depth is where Lambda stops a recursive loop.
func defaultSettings() routerSettings {
	return routerSettings{
		defaults: settings{
			nameSettings: &nameSettings{concurrency: admission.Unlimited, weight: 1, queue: 1000},
			timeout:      30 * time.Second, queueTimeout: likeTimeout, memory: 128 << 20,
			logLevel: noLevel, jobs: lambdaPolicy(), hookSettings: &hookSettings{},
			dataSettings:     &dataSettings{codec: &jsonCodec{}, limitIn: 6 << 20, limitOut: 6 << 20},
			instanceSettings: &instanceSettings{perInstance: 1, maxInstances: admission.Unlimited, initTimeout: 10 * time.Second},
		},
		capacity: 1000, logger: slog.Default(), maxDepth: 16, grace: time.Second,
	}
}

// check returns an error whose text names the setting that is out of range and what to change.
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
		return bad("WithReserved(%d): more than WithConcurrency(%d) allows; reserve less, or allow more", s.reserved, s.concurrency)
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
		return bad("WithCapture: no input is captured for the outcome OK, or for an outcome that does not exist; leave these out")
	}
	return s.jobs.check(bad)
}

// check does what check of settings does, for the router's own settings and the defaults of its functions.
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
