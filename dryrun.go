package faas

import (
	"context"
	"math/rand/v2"
)

// DryRun makes the checks that [Router.Invoke] makes before it looks for a slot, by the same
// code: whether there is such a function, whether ctx has ended, whether the router is
// closing, the nesting depth, the tenant, [WithContext], the gates, and the meters'
// room for a record. It makes no call: nothing is counted, recorded or decoded, and no
// slot is taken. Each gate whose Admit returned nil gets [Gate].Done with nil, as for a call
// that is refused afterwards.
//
// It returns nil, or the refusal that Invoke would return. It is for front doors that
// show callers what they may do, for example which tools they may use. A result of nil does
// not promise that a later call is admitted. DryRun may be called concurrently.
func (r *Router) DryRun(ctx context.Context, name string) error {
	if ctx == nil {
		return refusesDry(name, ReasonInput, wrapCause(ErrInput, errNilContext))
	}
	to, err := r.peek("dry run", name)
	if err != nil {
		return err
	}
	var q caller
	if _, err := to.askDry(&q, ctx); err != nil {
		return err
	}
	return nil
}

// askDry is DryRun for one target. The call that it returns only describes what was checked, and must not be run.
func (to target) askDry(q *caller, ctx context.Context) (*callContext, *Error) { //nolint:revive // it sets q.ctx
	r, name := to.fn.router, to.fn.who.name
	q.ctx = ctx
	parent, tenant, priority, ended := q.meet()
	if ended != nil {
		return nil, refusesDry(name, ReasonQueueCanceled, ended)
	}
	c := to.newContext(nil, tenant)
	c.descend(parent, priority)
	if c.inside() == nil && r.closing.Load() {
		return nil, refusesDry(name, ReasonClosed, ErrClosed)
	}
	c.id = r.clock.newID(r.clock.now(), rand.Uint64())
	c.extra.from = q.from.named(c.id)
	defer func() { _ = c.takeBack(nil) }() // deferred, since a gate may call Goexit
	if err := to.fn.consult(q, c); err != nil {
		return nil, err
	}
	return c, nil
}

// refusesDry makes a refusal with the Op "dry run". Unlike refuse, it counts nothing.
func refusesDry(name string, why Reason, err error) *Error {
	e := refusal(name, [16]byte{}, why, err)
	e.Op = "dry run"
	return e
}
