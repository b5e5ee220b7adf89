package faas

import (
	"context"
	"time"
)

// meet reads from q.ctx the parent call, the tenant and the priority, and whether q.ctx has ended.
// If it has ended, or a method of it panicked, ended is the reason. meet is called before the
// call is counted, so that a method of q.ctx that calls Goexit leaves no count behind.
func (q *caller) meet() (parent *callContext, tenant string, priority int, ended error) {
	if q.ctx == context.Background() { // the common case; its answers are known
		q.deadline, q.asked = noDeadline, true
		return nil, "", 0, nil
	}
	return q.meetForeign()
}

// meetForeign is meet for a context that is not context.Background(). It is a separate function
// because a deferred function makes the stack frame larger.
func (q *caller) meetForeign() (parent *callContext, tenant string, priority int, ended error) {
	asked := false
	defer func() {
		if !asked {
			ended = contextPanicked(recover())
		}
	}()
	h := inherited(q.ctx)
	parent, tenant, priority, q.from, q.resolved = h.call, h.tenant, h.priority, h.from, h.resolved
	q.done = q.ctx.Done()
	if q.isDone() || q.ctx.Err() != nil {
		ended = q.end()
	}
	asked = true
	return parent, tenant, priority, ended
}

// view returns the caller's context for hooks. It has the values, the deadline and the end of the
// caller's context, and keeps the rules of contexts even if that context does not. This is
// necessary because hooks derive contexts: for example, a gate makes an HTTP request. If a context
// is derived from one that is Done without an error, or that panics on a goroutine of package
// context, the process ends.
func (q *caller) view() context.Context {
	if _, own := q.ctx.(*callContext); own || q.ctx == context.Background() {
		return q.ctx
	}
	v := callerView(*q)
	return &v
}

// viewOf does what view does, for a context that is not a call's.
func viewOf(ctx context.Context) context.Context {
	q := caller{ctx: ctx, done: doneOf(ctx)}
	return q.view()
}

// afterEnd runs f on a new goroutine once the context has ended. stop prevents that, as the stop of
// context.AfterFunc does.
func (q *caller) afterEnd(f func()) (stop func() bool) {
	if own, ok := q.ctx.(*callContext); ok {
		return own.AfterFunc(f)
	}
	return context.AfterFunc(&watched{caller: q}, f)
}

// watched is the context that afterEnd passes to package context in place of the caller's
// context. Package context calls Value on goroutines of its own, where a panic would end the
// process. It always uses the same key, to find the nearest context of its own kind. So watched
// calls the Value of the caller's context once, on the goroutine that begins the watch, and
// keeps the result.
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

// FromContext returns the invocation that ctx belongs to, if ctx is a handler's context or
// derived from one. In a nested call it is the innermost invocation. The bool is false outside
// a call.
func FromContext(ctx context.Context) (Invocation, bool) {
	c := callOf(ctx)
	if c == nil {
		return Invocation{}, false
	}
	return c.invocation(), true
}

// invocation describes the call. It may be called at any time, even on a context that a handler
// kept: it reads who, which release does not clear.
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

// describe does what invocation does, for a call that has no ID and no start yet.
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

// comeFrom sets the fields that describe where the call comes from.
func (inv *Invocation) comeFrom(from *provenance) {
	if from != nil {
		inv.Origin, inv.Job, inv.Delivery, inv.Attempt, inv.Items = from.origin, from.job, from.delivery, max(1, from.attempt), from.items
		if from.slip != nil {
			inv.Parent, inv.Depth = from.slip.sender()
		}
	}
}

// WithOrigin returns a context with a description of where the calls made with it come from. The
// description is in Invocation and Execution, and therefore also in a [Refusal]. ctx may have an
// Origin already: then fields of o that are empty keep its values. So a middleware may set a
// Timeout or a Key, and the front door behind it the other fields. Nested calls inherit
// RequestID and Key, and no other field.
//
// Timeout shortens the function's timeout for these calls. Like that timeout, it counts from
// the start of the handler, and a call that it ends settles as TimedOut, with an
// [ErrTimeout] whose text has the length of the timeout. Timeout is for the deadline of a
// platform. Such a deadline is different from a caller who leaves: if ctx ends, or if the
// deadline of ctx is earlier, the call is Canceled. If two Timeouts are set, the shorter one
// counts, and one that is longer than the function's timeout changes nothing. Timeout does not
// bound the wait for a slot.
//
// Trigger, Door and Key have at most 256 bytes and no control characters, and Timeout is
// not negative; otherwise the calls are refused with [ReasonInput]. An invalid RequestID does
// not refuse the call, because it comes from outside. If it is longer than 128 bytes, or has characters that are not
// printable, each call has the ID of its own invocation as RequestID instead.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return withProvenance(ctx, func(from *provenance) { from.add(o) })
}

// WithResolution returns a context for one call by name, and stores in `to` which function and
// which version that call was passed to. This is for a front door that reports the
// version to its callers. The router writes `to` on the caller's goroutine, before the call asks for
// admission. So the caller may read it when Invoke has returned, and in the first Write of the
// writer of InvokeStream. It is also written if the call is refused later, for example by a gate or
// because there is no slot. It is not written if the call is refused earlier, for example because
// the name is unknown or the input can't be decoded. to must not be nil, and must be used for one
// call at a time. Nested calls don't write it.
func WithResolution(ctx context.Context, to *Resolution) context.Context {
	c := newCallerContext(ctx)
	c.resolved = to
	return c
}

// WithLogTail returns a context whose calls, and their nested calls, also write to t
// what they log through [Logger]: as lines of [slog.TextHandler], with the call's
// attributes, and with the same levels. It is for a caller that shows the end of the log
// together with the answer, which a client of AWS Lambda may ask for. Handlers that outlive
// their calls continue to write to t. If t is nil, the calls write to no LogTail, even if ctx has one.
func WithLogTail(ctx context.Context, t *LogTail) context.Context {
	return withProvenance(ctx, func(from *provenance) { from.tail = t })
}

// withProvenance returns a context from which calls inherit the same as from ctx, except for
// what the func change changes in their provenance.
func withProvenance(ctx context.Context, change func(own *provenance)) context.Context {
	c := newCallerContext(ctx)
	own := c.from.own()
	change(own)
	c.from = own
	return c
}

// provenance returns where the call comes from, or nil.
func (c *callContext) provenance() *provenance {
	if c.extra == nil {
		return nil
	}
	return c.extra.from
}

// ids returns the attributes that identify the call in log lines.
func (c *callContext) ids() []any { return c.provenance().ids(c.id) }

// guardCall does what guardHook does, for a hook that is called about one call.
func (g *hookGuard) guardCall(kind string, c *callContext) {
	if p := recover(); p != nil {
		g.hookPanicked(kind, c.who.name, p, c.ids()...)
	}
}

// timeout returns how long the handler may run.
func (c *callContext) timeout() time.Duration { return c.provenance().shorten(c.who.timeout) }

// timedOut returns the error of a call that was ended by its timeout.
func (c *callContext) timedOut() timeoutError {
	e := timeoutError{after: c.timeout(), cure: "WithTimeout"}
	if e.after < c.who.timeout {
		e.cure = "WithOrigin"
	}
	return e
}

// WithTenant returns a context that names the tenant for which calls are made with it.
// The name is read when a call is made. It is in Invocation and Execution, and nested calls
// inherit it. The innermost WithTenant counts. The empty name means no particular tenant, as
// without WithTenant. If the name has more than 256 bytes or has control characters, the call
// is refused with [ReasonInput].
//
// When calls of a function wait, its tenants take turns, by the slot time that each has
// used. So a tenant with many or long calls does not keep other tenants from the slots. See also
// [WithTenantConcurrency], [WithTenantKey] and [WithPriority]. The router does not check
// whether the caller may use the name: a [Gate] can do that.
func WithTenant(ctx context.Context, tenant string) context.Context {
	c := newCallerContext(ctx)
	c.tenant = tenant
	return c
}

// WithPriority returns a context whose calls have priority p among the waiting calls of
// the same function and tenant. The highest priority goes first. Calls of the same priority
// go in the order of their arrival. The default is 0; negative priorities go
// after it. Nested calls inherit the priority, and the innermost WithPriority counts.
//
// If the queue is full, a call displaces a waiting call of its own tenant that has a lower
// priority. The displaced call is refused with [ReasonOverloaded]. A priority has no effect on
// other tenants, on calls that run, or on a call that finds a free slot. It is strict: if a
// tenant always has urgent calls waiting, its other calls wait until their queue timeout.
func WithPriority(ctx context.Context, p int) context.Context {
	c := newCallerContext(ctx)
	c.priority = p
	return c
}

// callerContext is the context that WithTenant, WithPriority, WithOrigin and WithResolution return.
// It has all that a new call inherits, so that inherited needs one look-up.
type callerContext struct {
	context.Context //nolint:containedctx // it is a context

	heritage
}

// heritage is what a new call inherits from its caller's context.
type heritage struct {
	call     *callContext // the call that the context belongs to; nil: none
	tenant   string
	priority int
	from     *provenance
	resolved *Resolution // to this the call writes its function and version, see WithResolution; nil: it writes nothing
}

// newCallerContext makes a context around ctx from which calls inherit the same as from
// ctx. Its caller then changes one field of it.
func newCallerContext(ctx context.Context) *callerContext {
	if own, ok := ctx.(*callerContext); ok {
		c := *own // around own.Context: own has nothing else that c lacks
		return &c
	}
	return &callerContext{Context: ctx, heritage: inherited(ctx)}
}

func (c *callerContext) Value(key any) any {
	if _, ok := key.(originKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// originKey is the key by which Value finds the nearest *callContext or *callerContext.
type originKey struct{}

// inherited returns what a call made with ctx inherits.
func inherited(ctx context.Context) heritage {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return heritage{call: o, tenant: o.tenant, priority: o.priority(), from: o.provenance().inherit()}
	case *callerContext:
		return o.heritage
	}
	return heritage{}
}

// stickyKey returns the key by which a sticky alias chooses the version: the Key of WithOrigin,
// or the tenant. It returns "" for a context with neither, and for a context that panics: that
// call is refused later, in meet.
func stickyKey(ctx context.Context) (key string) {
	if ctx == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			key = ""
		}
	}()
	h := inherited(ctx)
	if h.from != nil && h.from.origin.Key != "" {
		return h.from.origin.Key
	}
	return h.tenant
}

// deliver sets the depth of the call from its job, if the call is a delivery of a job.
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

// look ends the context of a call whose handler runs on the caller's goroutine (isHere), if the
// caller's context has ended or the deadline has passed. Err calls it.
func (c *callContext) look() {
	if caller := c.caller(); caller != nil && caller.hasEnded() {
		c.followCaller(caller)
	} else if c.who.clock.now() >= c.alarm() {
		c.end(c.timeUp())
	}
}

// followCaller ends the context of a call whose handler runs on the caller's goroutine, with the error
// and the cause of the caller's context.
func (c *callContext) followCaller(caller *caller) {
	why := context.Canceled
	defer func() { c.end(c.leave(why)) }() // deferred: caller.end may call Goexit
	why = caller.end()
}

// alarm returns when the router ends the call, if it has not ended by then: at its deadline, or
// a little later if the caller's context should end first, see tardiness.
func (c *callContext) alarm() int64 {
	if c.patient {
		return c.deadline + int64(tardiness)
	}
	return c.deadline
}

// timeUp returns the state bits with which the context ends at its deadline.
func (c *callContext) timeUp() uint32 {
	if c.callerFirst {
		return expired | left
	}
	return expired
}

// leave returns the state bits for a call whose caller's context has ended, or whose answer
// can't be delivered. why is an error as [caller.end] returns it. If why has a cause, leave
// stores the cause by note. The caller of leave sets the bits afterwards.
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

// departed returns the error for a call after its caller's context has ended, with the cause that
// leave has stored.
func (c *callContext) departed(state uint32) error {
	err, cause := errOf(state), c.cause(state)
	if cause == err { //nolint:errorlint // a cause that wraps err is more than err
		return err
	}
	return wrapCause(err, cause)
}
