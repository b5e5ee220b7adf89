package faas

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"unicode"

	"github.com/inproc/faas/internal/foreign"
)

// caller is the context that a call was made with. It is foreign code of unknown
// manners, so it is asked for each thing once, behind a recover, and what follows
// goes by the answers. It is asked on the caller's own goroutine, with no lock
// held. So a context that panics, blocks or contradicts itself harms the call that
// was made with it, and no other.
//
// It lives on the caller's stack, and is copied for those who keep it.
type caller struct {
	ctx      context.Context //nolint:containedctx // it stands for it
	done     <-chan struct{} // nil: it never ends
	deadline int64           // on the router's clock, once it is asked
	asked    bool            // for its deadline
}

const noDeadline = math.MaxInt64

// tardiness is how long after its deadline a context may still end by itself.
// Until then the call is left to it, since only the context knows the cause. One
// whose Done stays open has its call ended by the router.
const tardiness = 5 * time.Millisecond

// meet asks ctx who makes the call, and whether it has ended: the error is why,
// or that it panicked. A method that ends the goroutine ends it before the call is
// counted anywhere.
func (q *caller) meet(ctx context.Context) (parent *callContext, tenant string, priority int, ended error) {
	if ctx == context.Background() { // whose answers are known
		q.ctx, q.deadline, q.asked = ctx, noDeadline, true
		return nil, "", 0, nil
	}
	return q.ask(ctx)
}

func (q *caller) ask(ctx context.Context) (parent *callContext, tenant string, priority int, ended error) {
	asked := false
	defer func() {
		if !asked {
			ended = impolite(recover())
		}
	}()
	q.ctx = ctx
	parent, tenant, priority = origin(ctx)
	q.done = ctx.Done()
	if q.isDone() || ctx.Err() != nil {
		ended = q.end()
	}
	asked = true
	return parent, tenant, priority, ended
}

// askDeadline asks ctx for its deadline, if it has not been asked. The answer may
// be a panic, and the end of the goroutine.
func (q *caller) askDeadline(clock *clock) {
	if q.asked {
		return
	}
	q.deadline, q.asked = noDeadline, true
	if t, ok := q.ctx.Deadline(); ok {
		q.deadline = clock.reading(t)
	}
}

// limits is askDeadline for a wait: the error is that ctx panicked.
func (q *caller) limits(clock *clock) (broken error) {
	asked := false
	defer func() {
		if !asked {
			broken = impolite(recover())
		}
	}()
	q.askDeadline(clock)
	asked = true
	return nil
}

// impolite is the end of a context that panicked. It is no [PanicError], which
// would say that the handler did.
func impolite(p any) error {
	return wrapCause(context.Canceled, fmt.Errorf("the caller's context panicked: %s", foreign.Plain(p)))
}

func (q *caller) isDone() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// hasEnded asks the context too, for an inline handler that asks for its own.
func (q *caller) hasEnded() (over bool) {
	if q.isDone() {
		return true
	}
	defer func() {
		if recover() != nil {
			over = true
		}
	}()
	return q.ctx.Err() != nil
}

// alarm is when the router ends the call, or the wait, at the caller's deadline.
func (q *caller) alarm() int64 {
	if q.isTrusted() {
		return q.deadline + int64(tardiness)
	}
	return q.deadline
}

// isTrusted tells whether the context may end at its deadline by itself.
func (q *caller) isTrusted() bool { return q.done != nil && q.deadline < noDeadline-int64(tardiness) }

// bell rings at the alarm; without a deadline it is nil.
func (q *caller) bell(clock *clock) (ring <-chan time.Time, stop func() bool) {
	if q.deadline == noDeadline {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Duration(q.alarm() - clock.now()))
	return t.C, t.Stop
}

// end tells why the caller's context has ended, and is never nil:
// [context.Canceled] or [context.DeadlineExceeded], with the cause if there is
// another. A context without an error has the one that it should have. Err, Value
// and the errors that they answer are foreign code: no lock may be held, and what
// has to be done even if they end the goroutine is to be deferred.
func (q *caller) end() (end error) {
	answered := false
	defer func() {
		if !answered {
			end = impolite(recover())
		}
	}()
	end = endOf(q.ctx)
	if end == nil {
		end = context.Canceled
		if !q.isDone() && q.asked && q.deadline != noDeadline {
			end = context.DeadlineExceeded
		}
	}
	answered = true
	return end
}

// contextEnd is end for a context that no call is made with, and whose Done is
// closed.
func contextEnd(ctx context.Context) error {
	q := caller{ctx: ctx}
	return q.end()
}

func endOf(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	end := context.Canceled
	if errors.Is(err, context.DeadlineExceeded) {
		end = context.DeadlineExceeded
	}
	cause := context.Cause(ctx)
	if cause == nil { // it has forgotten its error meanwhile
		cause = err
	}
	if cause == end { //nolint:errorlint // what it wraps is to be kept
		return end
	}
	return wrapCause(end, cause)
}

// view is the caller's context as hooks see it: with its values, its deadline and
// its end, and of good manners. Package context ends the process where a context
// that others are derived from is Done and has no error, or panics on a goroutine
// of that package; a gate that makes a request with its context has no part in
// that.
func (q *caller) view() context.Context {
	if _, own := q.ctx.(*callContext); own || q.ctx == context.Background() {
		return q.ctx
	}
	v := callerView(*q)
	return &v
}

type callerView caller

func (v *callerView) Done() <-chan struct{} { return v.done }

func (v *callerView) Deadline() (t time.Time, ok bool) {
	defer func() {
		if recover() != nil {
			t, ok = time.Time{}, false
		}
	}()
	return v.ctx.Deadline()
}

// Err is not nil once Done is closed.
func (v *callerView) Err() (err error) {
	defer func() {
		if recover() != nil || err == nil && (*caller)(v).isDone() {
			err = context.Canceled
		}
	}()
	return v.ctx.Err()
}

func (v *callerView) Value(key any) (value any) {
	defer func() {
		if recover() != nil {
			value = nil
		}
	}()
	return v.ctx.Value(key)
}

// afterEnd runs f, on a goroutine of its own, once the context has ended.
func (q *caller) afterEnd(f func()) (stop func() bool) {
	if own, ok := q.ctx.(*callContext); ok {
		return own.AfterFunc(f)
	}
	return context.AfterFunc(&watched{caller: q}, f)
}

// watched is the caller's context as package context watches it for an inline call.
// Only Value is foreign code, and only the first time, which is on the goroutine
// that begins the watch: package context asks for the nearest context of its own,
// to join it without a goroutine, by one and the same key.
type watched struct {
	caller  *caller
	known   bool
	nearest any
}

func (*watched) Deadline() (time.Time, bool) { return time.Time{}, false }
func (w *watched) Done() <-chan struct{}     { return w.caller.done }
func (w *watched) Err() error                { return departure(w.caller.done).Err() }

func (w *watched) Value(key any) any {
	if !w.known {
		w.known = true
		w.nearest = (*callerView)(w.caller).Value(key)
	}
	return w.nearest
}

// viewOf is the view of a context that no call is made with.
func viewOf(ctx context.Context) context.Context {
	q := caller{ctx: ctx, done: doneOf(ctx)}
	return q.view()
}

// doneOf is closed for a context that panics.
func doneOf(ctx context.Context) (done <-chan struct{}) {
	defer func() {
		if recover() != nil {
			over := make(chan struct{})
			close(over)
			done = over
		}
	}()
	return ctx.Done()
}

// departure is the end of a caller's context for those who wait with it and need
// not know why: it calls no foreign code.
type departure <-chan struct{}

func (departure) Deadline() (time.Time, bool) { return time.Time{}, false }
func (d departure) Done() <-chan struct{}     { return d }
func (departure) Value(any) any               { return nil }

func (d departure) Err() error {
	select {
	case <-d:
		return context.Canceled
	default:
		return nil
	}
}

// maxTenant is the length of the longest tenant name, in bytes.
const maxTenant = 256

// isTenant tells whether a tenant name can stand in records, logs and headers.
func isTenant(name string) bool {
	if len(name) > maxTenant {
		return false
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

// badTenant quotes the beginning of the name only, which may be long.
func badTenant(name string) error {
	if len(name) > maxTenant {
		return fmt.Errorf("%w: a tenant name of %d bytes, and at most %d are allowed", ErrInput, len(name), maxTenant)
	}
	return fmt.Errorf("%w: the tenant name %q has control characters", ErrInput, name)
}

// FromContext returns the invocation that ctx belongs to: in a handler, and in
// every context derived from a handler's, the innermost one. It is false
// outside of a call.
func FromContext(ctx context.Context) (Invocation, bool) {
	c := callOf(ctx)
	if c == nil {
		return Invocation{}, false
	}
	return c.invocation(), true
}

// WithTenant says on whose behalf calls with this context are made. It is read
// when a call is made, shows in Invocation and Execution, and is inherited by
// nested calls; the last one said wins, and the empty tenant is nobody in
// particular. Where calls of a function wait, tenants take turns, by the slot
// time that each uses, so that one with many waiting, or with long ones, does not
// keep another with few from its slot. See also [WithTenantConcurrency],
// [WithTenantKey] and [WithPriority]. The router does not look into the name:
// whether the caller may speak for the tenant is for a [Gate] to decide.
func WithTenant(ctx context.Context, tenant string) context.Context {
	call, _, priority := origin(ctx)
	return &callerContext{Context: ctx, call: call, tenant: tenant, priority: priority}
}

// WithPriority says how urgent calls with this context are, beside other waiting
// calls of the same function and tenant: the highest goes first, and those of one
// priority in the order of their arrival. 0 is usual; negative ones come after
// it. It is inherited by nested calls, and the last one said wins.
//
// In a full queue a call displaces one of its tenant that is less urgent, which is
// refused with [ReasonOverloaded]. It buys nothing from other tenants, takes no slot
// from a call that runs, and means nothing to one that finds a slot free. It is strict: a tenant whose
// urgent calls never stop waiting keeps its own others waiting until their queue
// timeout.
func WithPriority(ctx context.Context, p int) context.Context {
	call, tenant, _ := origin(ctx)
	return &callerContext{Context: ctx, call: call, tenant: tenant, priority: p}
}

// callerContext answers all questions that a call has for its caller's context,
// so that one look-up serves.
type callerContext struct {
	context.Context //nolint:containedctx // it is one

	call     *callContext
	tenant   string
	priority int
}

func (c *callerContext) Value(key any) any {
	if _, ok := key.(originKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// originKey finds the nearest *callContext or *callerContext.
type originKey struct{}

// origin tells who is calling: the call that ctx belongs to, or nil, the tenant,
// and the priority.
func origin(ctx context.Context) (*callContext, string, int) {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return o, o.tenant, o.priority()
	case *callerContext:
		return o.call, o.tenant, o.priority
	}
	return nil, "", 0
}

func callOf(ctx context.Context) *callContext {
	c, _, _ := origin(ctx)
	return c
}
