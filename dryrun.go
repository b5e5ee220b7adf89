package faas

import (
	"context"
	"math/rand/v2"
)

// DryRun asks what [Router.Invoke] would ask before it looks for a slot: is
// there such a function, and do its gates let this caller in? It makes no call:
// nothing is counted, recorded or decoded, and a gate that said yes is told
// [Gate].Done with nil, as of a call that was refused afterwards.
//
// It answers nil, [ErrNotFound], [ErrName], [ErrClosed], [ErrInput] for a nil
// ctx, or what the gate's refusal would be. It is for fronts that tell callers
// what they may do; that a later call is admitted it doesn't promise.
func (r *Router) DryRun(ctx context.Context, name string) error {
	if ctx == nil {
		return mistake("dry run", name, ErrInput, "%v", errNilContext)
	}
	fn, err := r.find("dry run", name)
	if err != nil {
		return err
	}
	if r.closing.Load() && callOf(ctx) == nil {
		return &Error{Op: "dry run", Function: name, Reason: ReasonClosed, Err: ErrClosed}
	}
	parent, tenant, priority := origin(ctx)
	c := &callContext{fn: fn, tenant: tenant, more: &formalities{parent: parent, priority: priority}}
	if parent != nil {
		c.more.depth = 1 + parent.depth()
	}
	c.id = r.clock.newID(r.clock.now(), rand.Uint64())
	defer func() { fn.gatesDone(c.more.gates, c.invocation(), nil) }()
	if fn.tenantKey != nil {
		if err := fn.nameTenant(ctx, c); err != nil {
			return err
		}
	}
	if err := fn.ask(ctx, c); err != nil {
		return err
	}
	return nil
}
