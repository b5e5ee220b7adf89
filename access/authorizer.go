package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// Authorize decides whether p may make the call inv: nil for yes, any error for
// no. It is called by many goroutines at once. p's ID and claims, and inv's
// Tenant, may have come from outside; inv has no Start and no Deadline yet, and
// only Function, and ID zero, when a front asks about a call that is not made
// (see [Ask]).
//
// ctx is the caller's, values and all, and ends when nobody waits for the
// answer any more. An authorizer that goes on after that is left behind, and
// keeps one of the goroutines of [WithGoroutines] until it returns.
//
// An *faas.Error as answer chooses Reason and RetryAfter; what it wraps does not
// change that the call is denied.
type Authorize func(ctx context.Context, p Principal, inv faas.Invocation) error

const defaultTimeout = time.Second

// Authorizer returns a gate, for faas.WithGate, that asks authorize about every
// call, by whom [Caller] says it is made. It fails closed: a call is admitted if
// authorize returns nil in time, and for nothing else. On an error, a panic, an
// exit of its goroutine, no answer within the time limit, or if the caller
// leaves first, the call is refused, no handler runs, and the answer Is
// faas.ErrDenied and has a [*DeniedError].
//
// Given to faas.New it judges every call of the router, nested ones too; given
// to faas.Register those of the function.
//
// Each call costs a goroutine and a timer, unless it is [WithInline]: some
// microseconds, where three [Rules] inline cost a twentieth of that and allocate
// nothing (BenchmarkAuthorizer). The gate keeps nothing about a call and starts
// nothing of its own. Authorizer panics with an error that names the cure if
// authorize is nil or an option impossible.
func Authorizer(authorize Authorize, opts ...Option) faas.Gate {
	g := &gate{authorize: authorize, timeout: defaultTimeout, limit: 256, logger: slog.Default()}
	for _, o := range opts {
		if o != nil {
			o.applyAuthorizer(g)
		}
	}
	if err := g.check(); err != nil {
		panic(err)
	}
	g.places = make(chan struct{}, g.limit)
	return g
}

// gate is what Authorizer returns.
type gate struct {
	authorize Authorize
	timeout   time.Duration
	limit     int
	inline    bool
	logger    *slog.Logger

	places    chan struct{} // holds one for each goroutine that runs authorize
	abandoned atomic.Int64  // of these, those that nobody waits for
}

// Admit is a part of [faas.Gate].
func (g *gate) Admit(ctx context.Context, inv faas.Invocation) error {
	p := Caller(ctx)
	v := g.ask(ctx, p, inv)
	if v.cause == nil {
		return nil
	}
	if why := v.forLog(); why != "" {
		g.logger.WarnContext(ctx, "access: call denied, the authorizer has not decided",
			"function", inv.Function, "principal", p, "cause", why)
	}
	return v.denial(p, inv)
}

// Done is a part of [faas.Gate]: there is nothing to give back.
func (g *gate) Done(faas.Invocation, *faas.Execution) {}

func (g *gate) ask(ctx context.Context, p Principal, inv faas.Invocation) verdict {
	if err := ctx.Err(); err != nil { // who has left gets no yes, not from one that would not look either
		return verdict{err, true}
	}
	if g.inline {
		return decide(ctx, g.authorize, p, inv)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.timeout, fmt.Errorf("%w within %v", ErrUnanswered, g.timeout))
	defer cancel()
	if err := g.place(ctx); err != nil {
		return verdict{err, true}
	}
	t := &trial{answer: make(chan verdict, 1)}
	go g.run(ctx, t, p, inv)
	select {
	case v := <-t.answer:
		return v
	case <-ctx.Done():
		if t.over.CompareAndSwap(false, true) {
			g.abandoned.Add(1)
		}
		return verdict{ended(ctx), true}
	}
}

// ended tells why a question's context has: the time limit, or the caller's own
// error, which he will look for.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrUnanswered) {
		return cause
	}
	return ctx.Err()
}

// place takes a goroutine's place, or says why there is none.
func (g *gate) place(ctx context.Context) error {
	select {
	case g.places <- struct{}{}:
		return nil
	default:
	}
	if g.abandoned.Load() == int64(g.limit) { // waiting has no prospect
		return fmt.Errorf("%w: all %d of its goroutines are stuck", ErrUnanswered, g.limit)
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// trial is one question and its answer. Who sets over first, the authorizer that
// is done or the call that gives it up, decides whether it counts as abandoned.
type trial struct {
	answer chan verdict // has room for the one: nobody waits to deliver it
	over   atomic.Bool
}

func (g *gate) run(ctx context.Context, t *trial, p Principal, inv faas.Invocation) {
	v := verdict{fmt.Errorf("%w: it exited its goroutine", ErrUnanswered), true}
	defer func() { // also on the way out of a Goexit
		t.answer <- v
		if !t.over.CompareAndSwap(false, true) {
			g.abandoned.Add(-1) // before the place is free, so that it never counts more than there are
		}
		<-g.places
	}()
	v = decide(ctx, g.authorize, p, inv)
}

// decide asks, and has a panic for a no.
func decide(ctx context.Context, f Authorize, p Principal, inv faas.Invocation) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = verdict{&faas.PanicError{Value: p, Stack: debug.Stack()}, true}
		}
	}()
	return verdict{cause: f(ctx, p, inv)}
}

// verdict is yes if it has no cause.
type verdict struct {
	cause     error
	undecided bool // nobody has said no, and so it is one
}

// denial is the answer of the gate: the router takes its reason over.
func (v verdict) denial(p Principal, inv faas.Invocation) error {
	e := &faas.Error{
		Op: "authorize", Function: inv.Function, ID: inv.ID, Reason: faas.ReasonDenied,
		Err: &DeniedError{Principal: p, Function: inv.Function, Cause: v.cause},
	}
	var own *faas.Error
	switch {
	case v.undecided:
		e.Reason = ReasonUnanswered
	case errors.As(v.cause, &own) && (own.Reason != "" || own.Kind != faas.KindNone):
		e.Reason, e.RetryAfter = cmp.Or(own.Reason, faas.ReasonDenied), own.RetryAfter
		if own.Function == "" || own.Function == inv.Function { // not of a call that the authorizer made
			e.Kind = own.Kind
		}
	}
	return e
}

// forLog is what a log may hear of an undecided call, or nothing: that a caller
// leaves is no news. The text of a panic is somebody else's and may hold
// anything.
func (v verdict) forLog() string {
	if !v.undecided {
		return ""
	}
	if p := (*faas.PanicError)(nil); errors.As(v.cause, &p) {
		return fmt.Sprintf("panic (%T)", p.Value)
	}
	if errors.Is(v.cause, ErrUnanswered) {
		return v.cause.Error()
	}
	return ""
}
