package faas

import (
	"context"
	"errors"

	"github.com/inproc/faas/internal/admission"
)

// join gives the function its share of the router's slots.
func (fn *function) join(g *admission.Group) error {
	fn.class = g.NewClass(fn.concurrency, fn.queue)
	if fn.concurrency == 0 {
		fn.class.Switch(false)
	}
	if fn.tenants > 0 {
		fn.class.LimitTenants(fn.tenants)
	}
	if fn.weight != 1 {
		fn.class.Weigh(fn.weight)
	}
	if fn.reserved > 0 && errors.Is(fn.class.Reserve(fn.reserved), admission.ErrReserved) {
		return mistake("register", fn.name, ErrInput,
			"WithReserved(%d): together, floors would exceed the router's capacity of %d; see SetCapacity", fn.reserved, g.Limit())
	}
	return nil
}

// nameTenant asks WithTenantKey whose the call is.
func (fn *function) nameTenant(ctx context.Context, c *callContext) (err *Error) {
	defer func() {
		if p := recover(); p != nil {
			fn.router.hookPanicked("WithTenantKey", fn.name, p)
			err = fn.denied(c.id, &PanicError{Value: p, Stack: stack()})
		}
	}()
	c.tenant = fn.tenantKey(ctx, c.invocation())
	return nil
}
