package faas

import (
	"context"
	"time"
)

// meet reads from ctx the parent call, the tenant and the priority, and whether ctx has
// ended. ended is why, or that ctx panicked. It is called before the call is counted, so
// that a method of ctx that calls Goexit leaves no count behind.
func (q *caller) meet(ctx context.Context) (parent *callContext, tenant string, priority int, ended error) {
	if ctx == context.Background() { // the common case, with known answers
		q.ctx, q.deadline, q.asked = ctx, noDeadline, true
		return nil, "", 0, nil
	}
	return q.meetForeign(ctx)
}

// meetForeign is meet for a context that is not the background. It has a frame of its own, since
// a deferred function makes the frame larger.
func (q *caller) meetForeign(ctx context.Context) (parent *callContext, tenant string, priority int, ended error) {
	asked := false
	defer func() {
		if !asked {
			ended = contextPanicked(recover())
		}
	}()
	q.ctx = ctx
	parent, tenant, priority, q.from = inherited(ctx)
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

// invocation describes the call. It may be called at any time, also on a kept context:
// it reads who, which release does not clear.
func (c *callContext) invocation() Invocation {
	who := c.who
	inv := who.describe(c.tenant, c.priority(), c.parent(), c.provenance())
	inv.ID = c.id
	if c.deadline != 0 {
		inv.Start = who.clock.time(c.start)
		inv.Deadline = inv.Start.Add(time.Duration(c.deadline - c.start))
	}
	return inv
}

// describe is invocation for a call that has no ID and no start.
func (who *identity) describe(tenant string, priority int, parent *callContext, from *provenance) Invocation {
	inv := Invocation{
		Function: who.name, Version: who.version, Alias: who.aliasName(), Tenant: tenant, Labels: who.labels,
		Attempt: 1, Timeout: from.shorten(who.timeout), Memory: who.memory, Priority: priority,
	}
	if parent != nil {
		inv.Parent, inv.Depth = parent.id, 1+parent.depth()
	}
	inv.comeFrom(from)
	return inv
}

// comeFrom notes where the call comes from.
func (inv *Invocation) comeFrom(from *provenance) {
	if from != nil {
		inv.Origin, inv.Job, inv.Delivery, inv.Attempt, inv.Items = from.origin, from.job, from.delivery, max(1, from.attempt), from.items
		if from.slip != nil {
			inv.Parent, inv.Depth = from.slip.sender()
		}
	}
}

// WithOrigin returns a context that says where the calls made with it come from. It
// shows in Invocation and Execution, and therefore also in a [Refusal]. Fields of o that
// are empty stay as a WithOrigin around it has set them. So a middleware may set a
// Timeout or a Key, and the front door behind it the rest. Nested calls inherit
// RequestID and Key, and no other field.
//
// Timeout shortens the function's timeout for these calls. As that one it counts from
// the start of the handler, and a call that it ends settles as TimedOut, with an
// [ErrTimeout] that says how long it was. It is for the deadline of a platform, which is
// not a caller who leaves: if ctx ends, or its deadline is earlier, the call is Canceled.
// Of two timeouts the shorter one counts, and one that is longer than the function's
// changes nothing. It does not bound the wait for a slot.
//
// Trigger, Door and Key are at most 256 bytes without control characters, and Timeout is
// not negative; otherwise the calls are refused with [ReasonInput]. A RequestID comes
// from outside and refuses no call: if it is longer than 128 bytes or is not all
// printable, it is dropped, and the ID of each invocation stands in its place.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return withProvenance(ctx, func(from *provenance) { from.add(o) })
}

// WithResolution has a call that is made with the context write to what it was given: which
// version of which function. It is for a front door that tells its callers. The router
// writes it on the caller's goroutine, when the call asks for admission: so it may be read
// when Invoke has returned, and in the first Write of the writer of InvokeStream. It says
// what was called also if the call was refused for want of a slot, for example, or by a
// gate; if the call was refused before (an unknown name, an input that does not decode) it
// is not written. to must not be nil, and is for one call at a time. Nested calls don't
// write it.
func WithResolution(ctx context.Context, to *Resolution) context.Context {
	return withProvenance(ctx, func(from *provenance) { from.resolved = to })
}

// WithLogTail returns a context whose calls, and their nested calls, also write into t
// what they log through [Logger]: as lines of [slog.TextHandler], with the call's
// attributes, and of the same levels. It is for a caller that shows the end of the log
// beside the answer, as a client of AWS Lambda may ask for. Handlers that outlive their
// calls go on writing into t. Nil: the calls write into none, also if ctx names one.
func WithLogTail(ctx context.Context, t *LogTail) context.Context {
	return withProvenance(ctx, func(from *provenance) { from.tail = t })
}

// withProvenance returns a context from which calls inherit what they inherit from ctx, but
// for what change does to their provenance.
func withProvenance(ctx context.Context, change func(own *provenance)) context.Context {
	c := newCallerContext(ctx)
	own := c.from.own()
	change(own)
	c.from = own
	return c
}

// provenance is where the call comes from, or nil.
func (c *callContext) provenance() *provenance {
	if c.extra == nil {
		return nil
	}
	return c.extra.from
}

// ids are what log lines about the call have.
func (c *callContext) ids() []any { return c.provenance().ids(c.id) }

// guardCall is guardHook for a hook that is called about one call.
func (g *hookGuard) guardCall(kind string, c *callContext) {
	if p := recover(); p != nil {
		g.hookPanicked(kind, c.who.name, p, c.ids()...)
	}
}

// timeout is how long the handler may run.
func (c *callContext) timeout() time.Duration { return c.provenance().shorten(c.who.timeout) }

// timedOut is the error of a call that its timeout ended.
func (c *callContext) timedOut() timeoutError {
	e := timeoutError{after: c.timeout(), cure: "WithTimeout"}
	if e.after < c.who.timeout {
		e.cure = "WithOrigin"
	}
	return e
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
	c := newCallerContext(ctx)
	c.tenant = tenant
	return c
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
	c := newCallerContext(ctx)
	c.priority = p
	return c
}

// callerContext is the context of WithTenant, WithPriority and WithOrigin. It also has
// the parent call, so that one look-up by inherited finds all that a new call inherits.
type callerContext struct {
	context.Context //nolint:containedctx // it is a context

	call     *callContext
	tenant   string
	priority int
	from     *provenance
}

// newCallerContext makes a context around ctx from which calls inherit what they inherit
// from ctx. Its caller changes a field of it.
func newCallerContext(ctx context.Context) *callerContext {
	c := &callerContext{Context: ctx}
	c.call, c.tenant, c.priority, c.from = inherited(ctx)
	return c
}

func (c *callerContext) Value(key any) any {
	if _, ok := key.(originKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// originKey is the key by which Value finds the nearest *callContext or *callerContext.
type originKey struct{}

// inherited returns the call that ctx belongs to, or nil, and the tenant, the priority
// and the provenance that a call made with ctx has.
func inherited(ctx context.Context) (call *callContext, tenant string, priority int, from *provenance) {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return o, o.tenant, o.priority(), o.provenance().inherit()
	case *callerContext:
		return o.call, o.tenant, o.priority, o.from
	}
	return nil, "", 0, nil
}

// stickyKey is what sticky aliases go by: the Key of WithOrigin, or the tenant. It is empty
// for a context without either, and for one that panics: that call is refused when it
// meets its context.
func stickyKey(ctx context.Context) (key string) {
	if ctx == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			key = ""
		}
	}()
	_, tenant, _, from := inherited(ctx)
	if from != nil && from.origin.Key != "" {
		return from.origin.Key
	}
	return tenant
}

// deliver makes the call follow its job, if it is a delivery of one.
func (c *callContext) deliver() {
	if job := c.extra.from.delivers(); job != nil {
		_, c.extra.depth = job.sender()
	}
}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *callContext {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return o
	case *callerContext:
		return o.call
	}
	return nil
}

// look ends the context of a call on its caller's goroutine if the caller's context has ended
// or the deadline has passed. Err calls it.
func (c *callContext) look() {
	if caller := c.caller(); caller != nil && caller.hasEnded() {
		c.followCaller(caller)
	} else if c.who.clock.now() >= c.alarm() {
		c.end(c.timeUp())
	}
}

// followCaller ends the context of a call on its caller's goroutine with the error and the cause of its
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
