package faas

import (
	"context"
	"math/rand/v2"
)

// DryRun asks all that [Router.Invoke] asks before it looks for a slot, by the
// same code: whether there is such a function, the depth, whether ctx has ended,
// the tenant, what [WithContext] carries over, the gates, and room with the
// meters. It makes no call: nothing is counted, recorded or decoded, no slot is
// taken, and a gate that said yes is told [Gate].Done with nil, as of a call that
// was refused afterwards.
//
// It answers nil or the refusal that Invoke would answer. It is for front doors
// that tell callers what they may do; that a later call is admitted it doesn't
// promise.
func (r *Router) DryRun(ctx context.Context, name string) error {
	if ctx == nil {
		return r.refusesDry(name, ReasonInput, wrapCause(ErrInput, errNilContext))
	}
	fn, err := r.find("dry run", name)
	if err != nil {
		return err
	}
	var q caller
	parent, tenant, priority, ended := q.meet(ctx)
	if ended != nil {
		return r.refusesDry(name, ReasonQueueCanceled, ended)
	}
	c := newContextWithExtra(fn, nil, tenant)
	c.extra.parent, c.extra.priority = parent, priority
	if c.inside() == nil && r.closing.Load() {
		return r.refusesDry(name, ReasonClosed, ErrClosed)
	}
	c.id = r.clock.newID(r.clock.now(), rand.Uint64())
	defer c.takeBack(nil) // a gate may end this goroutine
	if err := fn.consult(&q, c); err != nil {
		return err
	}
	return nil
}

func (*Router) refusesDry(name string, why Reason, err error) error {
	e := refusal(name, [16]byte{}, why, err)
	e.Op = "dry run"
	return e
}
