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
	Tenant   string            // on whose behalf, see WithTenant; empty: nobody's in particular
	Labels   map[string]string // the function's; shared by all its calls, not to be changed
	Parent   uuid.UUID         // the invocation that made this one; zero for a root
	Depth    int               // how many invocations are above this one; 0 for a root
	Attempt  int               // 1 for the first
	Start    time.Time         // of the handler; zero in a Gate
	Deadline time.Time         // the earlier of the caller's and Start + Timeout; zero in a Gate
	Timeout  time.Duration     // the function's
	Memory   int64             // declared by WithMemory, bytes
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
// particular. Where calls of a function wait, tenants take turns, so that one
// with many waiting does not keep another with few from its slot. The router does not look into the name: whether the caller may
// speak for the tenant is for a [Gate] to decide.
func WithTenant(ctx context.Context, tenant string) context.Context {
	return &tenantContext{Context: ctx, call: callOf(ctx), tenant: tenant}
}

// tenantContext answers both questions that a call has for its caller's
// context, so that one look-up serves.
type tenantContext struct {
	context.Context //nolint:containedctx // it is one

	call   *callContext
	tenant string
}

func (t *tenantContext) Value(key any) any {
	if _, ok := key.(originKey); ok {
		return t
	}
	return t.Context.Value(key)
}

// originKey finds the nearest *callContext or *tenantContext.
type originKey struct{}

// origin tells who is calling: the call that ctx belongs to, or nil, and the
// tenant.
func origin(ctx context.Context) (*callContext, string) {
	switch o := ctx.Value(originKey{}).(type) {
	case *callContext:
		return o, o.tenant
	case *tenantContext:
		return o.call, o.tenant
	}
	return nil, ""
}

func callOf(ctx context.Context) *callContext {
	c, _ := origin(ctx)
	return c
}
