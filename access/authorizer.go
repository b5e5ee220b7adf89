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

// Authorize decides whether p may make the call inv: it returns nil to allow the call, and any
// error to deny it. Many goroutines call it at once. p's ID and claims, and inv's Tenant, may
// have come from outside. inv has no Start and no Deadline yet. A front may ask about a call
// that is not made (see [Ask]): then inv has a zero ID. If the front asks about a function that
// does not exist, inv has only Function, Version, Tenant and Attempt.
//
// ctx has the values of the caller's context. It ends when the call stops waiting for the
// answer. An authorizer that runs on after that is abandoned: it occupies one of the goroutines
// of [WithGoroutines] until it returns.
//
// If the error is an *faas.Error, the denial has its Reason and RetryAfter. The call is denied
// whatever the error wraps.
type Authorize func(ctx context.Context, p Principal, inv faas.Invocation) error

// Authorizer returns a gate, for faas.WithGate, that calls authorize about every call and the
// principal that makes it ([Caller]). It fails closed: a call is admitted only if authorize
// returns nil in time. The call is refused if authorize returns an error, panics, exits its
// goroutine or does not return within the time limit, and if the caller's context ends first.
// Then no handler runs, and the call's error Is faas.ErrDenied and has a [*DeniedError].
//
// Given to faas.New, the gate checks every call of the router, including nested calls. Given to
// faas.Register, it checks the calls of that function.
//
// Each call costs a goroutine and a timer, some microseconds, unless the gate is [WithInline]:
// three [Rules] inline cost a twentieth of that and allocate nothing (BenchmarkAuthorizer). The
// gate stores nothing about a call and has no permanent goroutine. Authorizer panics if
// authorize is nil or an option is impossible; the panic's text says how to correct it.
func Authorizer(authorize Authorize, opts ...Option) faas.Gate {
	if authorize == nil {
		panic(setupMistake("Authorizer(nil): to allow every call, leave the gate out"))
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

// gate is the gate of Authorizer. After Authorizer only permits and abandoned change.
type gate struct {
	settings

	authorize Authorize
	permits   chan struct{} // has one element for each goroutine that runs authorize
	abandoned atomic.Int64  // how many of these goroutines are abandoned: their calls have stopped waiting
}

// Admit implements [faas.Gate]: it returns nil if authorize allows the call.
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

// Done does nothing: the gate reserves nothing for an admitted call.
func (g *gate) Done(faas.Invocation, *faas.Execution) {}

// ask calls authorize, on this goroutine or on another one. If ctx has ended, the call is
// refused without calling authorize, which might ignore ctx and allow it.
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

// ended returns the reason why a question's context has ended: ErrUnanswered for the time
// limit, otherwise ctx.Err(), because callers compare with the errors of package context.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrUnanswered) {
		return cause
	}
	return ctx.Err()
}

// acquire takes a permit for a goroutine. Its error says why there is none. If every goroutine
// is abandoned it does not wait, because they may never return.
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

// question is one call of authorize on a goroutine of its own. The goroutine sets over when
// authorize has returned, and the call sets it when it stops waiting; only the first of the two
// compare-and-swaps succeeds. If the call's succeeds, the goroutine counts as abandoned until
// it ends.
type question struct {
	answer chan verdict // has room for one, so that a late answer does not block the goroutine
	over   atomic.Bool
}

// run calls authorize on the goroutine of a question. The deferred function also runs if
// authorize calls runtime.Goexit. It decrements abandoned before it returns the permit. In the
// other order a new goroutine could be abandoned in between, so that abandoned exceeds the
// limit, and acquire would not see that all goroutines are stuck.
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

// decide calls f. If f panics, the call is denied as undecided.
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
	cause     error // nil if the call is allowed
	undecided bool  // authorize has not answered; the call is denied
}

// denial returns the gate's error for a denied call. The router uses its Reason, Kind and
// RetryAfter. If the cause has an *faas.Error, they are taken from that. There is one
// exception: if that error is about another function, which authorize itself has called, its
// Kind is not used, because it would show the caller something about that function.
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

// forLog returns the text for the log of an undecided call. It is empty if the caller's context
// has ended, which is not a fault of the authorizer. For a panic it contains only the type of
// the value: the text of the value is made by foreign code and may contain secrets.
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
