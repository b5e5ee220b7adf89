package faas

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Invocation tells about one call. It is a value: what is done to it has no
// effect on the call.
type Invocation struct {
	ID       uuid.UUID         // unique, a UUIDv7
	Function string            // its name
	Version  string            // its version
	Tenant   string            // on whose behalf, see WithTenant and WithTenantKey; empty: nobody's in particular
	Labels   map[string]string // the function's; shared by all its calls, not to be changed
	Parent   uuid.UUID         // the invocation that made this one; zero for a root
	Depth    int               // how many invocations are above this one; 0 for a root
	Attempt  int               // 1 for the first
	Start    time.Time         // of the handler; zero in a Gate
	Deadline time.Time         // the earlier of the caller's and Start + Timeout; zero in a Gate
	Timeout  time.Duration     // the function's
	Memory   int64             // declared by WithMemory, bytes
	Priority int               // among its tenant's calls, see WithPriority
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
