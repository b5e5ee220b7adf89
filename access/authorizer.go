package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/inproc/faas"
)

// Authorize decides whether p may make the call inv: nil for yes, any error for
// no. It is called by many goroutines at once. p's ID and claims, and inv's
// Tenant, may have come from outside. inv has no Start and no Deadline yet. If a
// front asks about a call that is not made (see [Ask]), inv has a zero ID, and if
// there is no such function, Function, Tenant and Attempt only.
//
// ctx is the caller's, with its values. It ends when the call does not wait for the
// answer any more. An authorizer that goes on after that is left behind, and keeps
// one of the goroutines of [WithGoroutines] until it returns.
//
// If the error is an *faas.Error, its Reason and RetryAfter are those of the denial.
// Whatever it wraps, the call is denied.
type Authorize func(ctx context.Context, p Principal, inv faas.Invocation) error

// Authorizer returns a gate, for faas.WithGate, that asks authorize about every call
// and about the principal that makes it ([Caller]). It fails closed: a call is
// admitted only if authorize returns nil in time. The call is refused if authorize
// returns an error, panics, exits its goroutine or gives no answer within the time
// limit, and if the caller leaves first. No handler then runs, and the answer Is
// faas.ErrDenied and has a [*DeniedError].
//
// Given to faas.New, the gate judges every call of the router, nested ones too.
// Given to faas.Register, it judges the calls of that function.
//
// Each call costs a goroutine and a timer, some microseconds, unless the gate is
// [WithInline]: three [Rules] inline cost a twentieth of that and allocate nothing
// (BenchmarkAuthorizer). The gate keeps nothing about a call and has no goroutine of
// its own. Authorizer panics with an error that names the cure if authorize is nil or
// an option impossible.
func Authorizer(authorize Authorize, opts ...Option) faas.Gate {
	if authorize == nil {
		panic(setupMistake("Authorizer(nil): to let everybody in, leave the gate out"))
	}
	s := settings{timeout: defaultTimeout, limit: 256, logger: slog.Default()}
	for _, o := range opts {
		if o != nil {
			o.applyAuthorizer(&s)
		}
	}
	if err := s.check(); err != nil {
		panic(err)
	}
	return &gate{settings: s, authorize: authorize, permits: make(chan struct{}, s.limit)}
}

// gate is what Authorizer returns. Only permits and abandoned change after that.
type gate struct {
	settings

	authorize Authorize
	permits   chan struct{} // has one element for each goroutine that runs authorize
	abandoned atomic.Int64  // how many of these goroutines no call waits for
}

// Admit asks about a call, as [faas.Gate] has it.
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

// Done does nothing: an admitted call holds nothing of the gate.
func (g *gate) Done(faas.Invocation, *faas.Execution) {}

// ask asks authorize, on this goroutine or on another one. A caller that has left is
// refused without asking: authorize might not look at ctx and say yes.
func (g *gate) ask(ctx context.Context, p Principal, inv faas.Invocation) verdict {
	if err := ctx.Err(); err != nil {
		return verdict{err, true}
	}
	if g.inline {
		return decide(ctx, g.authorize, p, inv)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.timeout, fmt.Errorf("%w within %v", ErrUnanswered, g.timeout))
	defer cancel()
	if err := g.acquire(ctx); err != nil {
		return verdict{err, true}
	}
	t := &question{answer: make(chan verdict, 1)}
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

// ended says why a question's context has ended: the time limit, or else the
// caller's own error, since callers compare with that one.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrUnanswered) {
		return cause
	}
	return ctx.Err()
}

// acquire takes a permit for a goroutine, or says why there is none. If every
// goroutine was abandoned it does not wait: they may never return.
func (g *gate) acquire(ctx context.Context) error {
	select {
	case g.permits <- struct{}{}:
		return nil
	default:
	}
	if g.abandoned.Load() == int64(g.limit) {
		return fmt.Errorf("%w: all %d of its goroutines are stuck", ErrUnanswered, g.limit)
	}
	select {
	case g.permits <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// question is one call of authorize on a goroutine of its own. The goroutine sets
// over when authorize is done, and the call sets it when it stops waiting. Only one
// of the two compare-and-swaps succeeds. If it is the call's, the goroutine counts as
// abandoned until it ends.
type question struct {
	answer chan verdict // has room for one, so that a late answer does not block the goroutine
	over   atomic.Bool
}

// run asks on the goroutine of a question. The deferred function also runs if
// authorize calls runtime.Goexit. It counts the goroutine out of abandoned before it
// returns the permit: in the other order abandoned could be more than there are
// goroutines, and acquire would not see that all are stuck.
func (g *gate) run(ctx context.Context, t *question, p Principal, inv faas.Invocation) {
	v := verdict{fmt.Errorf("%w: it exited its goroutine", ErrUnanswered), true}
	defer func() {
		t.answer <- v
		if !t.over.CompareAndSwap(false, true) {
			g.abandoned.Add(-1)
		}
		<-g.permits
	}()
	v = decide(ctx, g.authorize, p, inv)
}

// decide calls f. A panic is a verdict, and a no.
func decide(ctx context.Context, f Authorize, p Principal, inv faas.Invocation) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = verdict{&faas.PanicError{Value: p, Stack: debug.Stack()}, true}
		}
	}()
	return verdict{cause: f(ctx, p, inv)}
}

// verdict is the answer to a question.
type verdict struct {
	cause     error // nil: yes
	undecided bool  // authorize has not answered, which counts as no
}

// denial makes the error of the gate from a no. The router passes on its Reason, Kind
// and RetryAfter. They are those of an *faas.Error in the cause. But the Kind is not
// taken from an error about another function, which authorize itself has called: it
// would tell the caller something about that function.
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
		if own.Function == "" || own.Function == inv.Function {
			e.Kind = own.Kind
		}
	}
	return e
}

// forLog is the text for the log of an undecided call. It is empty if the caller has
// left, which is no fault of the authorizer. Of a panic it has the type only: the
// text is made by foreign code and may hold secrets.
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
