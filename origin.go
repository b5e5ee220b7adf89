package faas

import (
	"context"
	"fmt"
	"time"
	"unicode"
)

// meet reads from ctx the parent call, the tenant and the priority, and whether ctx has
// ended. ended is why, or that ctx panicked. It is called before the call is counted, so
// that a method of ctx that calls Goexit leaves no count behind.
func (q *caller) meet(ctx context.Context) (parent *callContext, tenant string, priority int, ended error) {
	if ctx == context.Background() { // the common case, with known answers
		q.ctx, q.deadline, q.asked = ctx, noDeadline, true
		return nil, "", 0, nil
	}
	return q.ask(ctx)
}

// ask is meet for a context that is not the background. It has a frame of its own, since
// a deferred function makes the frame larger.
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

// view is the caller's context for hooks: with its values, its deadline and its end, and
// so that it keeps the rules of contexts. It has to: if a context is derived from one
// that is Done without an error, or that panics on a goroutine of package context, the
// process ends. A gate that makes an HTTP request with its context derives one.
func (q *caller) view() context.Context {
	if _, own := q.ctx.(*callContext); own || q.ctx == context.Background() {
		return q.ctx
	}
	v := callerView(*q)
	return &v
}

// viewOf is view for a context that is not a call's.
func viewOf(ctx context.Context) context.Context {
	q := caller{ctx: ctx, done: doneOf(ctx)}
	return q.view()
}

// afterEnd runs f on a new goroutine once the context has ended. stop prevents that.
func (q *caller) afterEnd(f func()) (stop func() bool) {
	if own, ok := q.ctx.(*callContext); ok {
		return own.AfterFunc(f)
	}
	return context.AfterFunc(&watched{caller: q}, f)
}

// watched is the caller's context as afterEnd gives it to package context. That package
// calls Value on goroutines of its own, where a panic would end the process. It always
// asks with the same key, for the nearest context of its own kind, so watched calls the
// caller's Value once, on the goroutine that begins the watch, and keeps the answer.
type watched struct {
	caller  *caller
	known   bool
	nearest any
}

func (*watched) Deadline() (time.Time, bool) { return time.Time{}, false }

func (w *watched) Done() <-chan struct{} { return w.caller.done }

func (w *watched) Err() error { return departure(w.caller.done).Err() }

func (w *watched) Value(key any) any {
	if !w.known {
		w.known = true
		w.nearest = (*callerView)(w.caller).Value(key)
	}
	return w.nearest
}

// maxTenant is the length of the longest tenant name, in bytes.
const maxTenant = 256

// isTenant tells whether a tenant name can stand in records, logs and headers: it is not
// too long, and has no control characters. The empty name is one.
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

// badTenant is the error for a name that isTenant refuses. It does not show a long name.
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

// WithTenant returns a context that names the tenant for which calls are made with it.
// The name is read when a call is made, shows in Invocation and Execution, and is
// inherited by nested calls. The innermost WithTenant counts. The empty name, as without
// WithTenant, is no particular tenant. A name of more than 256 bytes or with control
// characters refuses the call with [ReasonInput].
//
// When calls of a function wait, its tenants take turns, by the slot time that each has
// used: a tenant with many or long calls does not keep another from its slots. See also
// [WithTenantConcurrency], [WithTenantKey] and [WithPriority]. The router does not check
// whether the caller may use the name: that is for a [Gate].
func WithTenant(ctx context.Context, tenant string) context.Context {
	call, _, priority := origin(ctx)
	return &callerContext{Context: ctx, call: call, tenant: tenant, priority: priority}
}

// WithPriority returns a context whose calls have priority p among the waiting calls of
// the same function and tenant. The highest priority goes first, and calls of one
// priority go in the order of their arrival. The default is 0; negative priorities go
// after it. It is inherited by nested calls, and the innermost WithPriority counts.
//
// In a full queue a call displaces a call of its own tenant with a lower priority, which
// is refused with [ReasonOverloaded]. A priority has no effect on other tenants, on calls
// that run, or on a call that finds a free slot. It is strict: if a tenant always has
// urgent calls waiting, its other calls wait until their queue timeout.
func WithPriority(ctx context.Context, p int) context.Context {
	call, tenant, _ := origin(ctx)
	return &callerContext{Context: ctx, call: call, tenant: tenant, priority: p}
}

// callerContext is the context of WithTenant and WithPriority. It also has the parent
// call, so that one look-up by origin finds all that a new call inherits.
type callerContext struct {
	context.Context //nolint:containedctx // it is a context

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

// originKey is the key by which Value finds the nearest *callContext or *callerContext.
type originKey struct{}

// origin returns the call that ctx belongs to, or nil, and the tenant and the priority
// that a call made with ctx has.
func origin(ctx context.Context) (*callContext, string, int) {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return o, o.tenant, o.priority()
	case *callerContext:
		return o.call, o.tenant, o.priority
	}
	return nil, "", 0
}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *callContext {
	c, _, _ := origin(ctx)
	return c
}

// look ends an inline call's context if its caller's context has ended or its deadline
// has passed. Err calls it.
func (c *callContext) look() {
	if caller := c.caller(); caller != nil && caller.hasEnded() {
		c.followCaller(caller)
	} else if c.who.clock.now() >= c.alarm() {
		c.end(c.timeUp())
	}
}

// followCaller ends the context of an inline call with the error and the cause of its
// caller's context.
func (c *callContext) followCaller(caller *caller) {
	why := context.Canceled
	defer func() { c.end(c.leave(why)) }() // deferred: caller.end may call Goexit
	why = caller.end()
}

// alarm is when the router ends the call, if it has not ended by then: its deadline, or
// a little later if the caller's context should end first, see tardiness.
func (c *callContext) alarm() int64 {
	if c.patient {
		return c.deadline + int64(tardiness)
	}
	return c.deadline
}

// timeUp is the state bits with which the context ends at its deadline.
func (c *callContext) timeUp() uint32 {
	if c.callerFirst {
		return expired | left
	}
	return expired
}

// leave returns the state bits for a call after its caller's context has ended, or when
// its answer can't be delivered. why is an error as [caller.end] returns it; if it has a
// cause, leave notes that. The caller of leave sets the bits afterwards.
func (c *callContext) leave(why error) uint32 {
	if e, ok := why.(*causedError); ok && !c.isSettled() { //nolint:errorlint // caller.end makes it; what it wraps is foreign code
		c.note(e.cause)
		why = e.sentinel
	}
	if why == context.DeadlineExceeded { //nolint:errorlint // caller.end returns this very value
		return expired | left
	}
	return canceled | left
}

// departed is the answer for a call after its caller's context has ended: the error, with
// the cause that leave noted.
func (c *callContext) departed(state uint32) error {
	err, cause := errOf(state), c.cause(state)
	if cause == err { //nolint:errorlint // a cause that wraps err is more than err
		return err
	}
	return wrapCause(err, cause)
}
