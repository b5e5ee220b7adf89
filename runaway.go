package faas

import (
	"time"

	"github.com/inproc/faas/internal/foreign"
)

// This file has what a worker does while the handler of a settled call still runs. The fields for
// it, and the rule by which two goroutines share them, are in the type runaway in worker.go.

// runAway makes a call a runaway. follow calls it, on the goroutine that settled the call, before
// that goroutine calls leave. WithRunaways sets how many slots of a name may be replaced at the
// same time. If fewer are, hold.Replace gives the slot to another call at once. If not, the call
// keeps the slot until its handler returns.
func (w *worker) runAway(c *callContext, at int64) {
	fn := c.fn
	fn.runaways.Add(1)
	c.state.Or(ranAway)
	w.since = at
	if job := c.provenance().delivers(); job != nil {
		job.ranAway()
	}
	// First add, then undo if it was too much: so two runaways at once can't both take the last replacement.
	if fn.family.replaced.Add(1) <= int64(fn.family.runaways) {
		fn.replaced.Add(1)
		w.replaced = true
		c.hold.Replace()
	} else {
		fn.family.replaced.Add(-1)
	}
	grace := fn.router.settings.grace
	if grace == 0 {
		c.hold.MarkStuck() // here and not by the timer: the caller's next call must find the slot stuck
	}
	tell := func() { fn.router.stuck(c, at) }
	w.tell.Store(&tell)
	w.report = time.AfterFunc(grace, func() { // uses w.tell, which leave clears: the runtime keeps a stopped timer and its func for a while
		if tell := w.tell.Load(); tell != nil {
			(*tell)()
		}
	})
}

// leave ends a runaway. It is called twice: by the goroutine that settled the call, once the
// record is written, and by the handler's goroutine, once the handler has returned. The two
// calls may come in either order. The second call does the work: it gives back the seat and
// the slot, and records what the handler used after the end of its call. The atomic add makes
// what the first goroutine wrote visible to the second.
func (w *worker) leave(c *callContext) {
	if w.left.Add(1) < 2 {
		return
	}
	fn := c.fn
	// The seat is given back before the slot, so that the call that gets the slot finds a free
	// seat. fn.runaways is lowered after the overrun was recorded: Shutdown waits until
	// fn.runaways is 0, and so waits for the record too. release comes after everything that
	// reads c.fn and c.task.
	w.report.Stop()
	w.tell.Store(nil)
	c.releaseInstance(w.dead)
	if w.replaced {
		fn.replaced.Add(-1)
		fn.family.replaced.Add(-1)
	}
	c.hold.Release()
	if w.ended > w.since {
		c.recordOverrun(time.Duration(w.ended - w.since))
	}
	if job := c.provenance().delivers(); job != nil {
		job.handlerEnded()
	}
	fn.runaways.Add(-1)
	c.release()
	if w.work == nil {
		w.pool.unregister(w) // this worker has no goroutine; for other workers loop calls unregister
	}
	fn.tellIfEnding()
}

// recordOverrun records with each OverrunMeter that the handler ran for d after its call was
// over. It makes no second Execution, since the call has its record already.
func (c *callContext) recordOverrun(d time.Duration) {
	fn := c.fn
	o := Overrun{
		ID: c.id, Function: fn.who.name, Version: fn.who.version, Tenant: c.tenant, Labels: fn.labels,
		Duration: d, Memory: fn.memory,
	}
	if from := c.provenance(); from != nil {
		o.Job, o.Delivery, o.Attempt = from.job, from.delivery, from.attempt
	}
	for _, m := range fn.meters {
		if m, ok := m.(OverrunMeter); ok {
			c.recordOverrunTo(m, o)
		}
	}
}

// recordOverrunTo calls one meter, and recovers its panic.
func (c *callContext) recordOverrunTo(m OverrunMeter, o Overrun) {
	defer c.fn.router.guardCall("meter", c)
	m.RecordOverrun((*recordContext)(c), o)
}

// stuck is called when a runaway's grace is over, and the handler may never return. From then
// on admission lets no call wait for its slot. The router logs the runaway, and the WithStuck
// func is called. All of this runs on the timer's goroutine, so that func may block. It does no
// harm if the handler returns at the same time: MarkStuck does nothing after Release.
func (r *Router) stuck(c *callContext, since int64) {
	c.hold.MarkStuck()
	over := time.Duration(r.clock.now() - since)
	r.settings.logger.Warn("faas: handler still runs after its call is over",
		append(c.ids(), "function", c.who.name, "tenant", c.tenant, "over", over)...)
	if f := r.settings.stuck; f != nil {
		defer r.guardCall("WithStuck", c)
		f((*recordContext)(c), c.invocation(), over)
	}
}

// logLatePanic logs the panic of a runaway, whose caller already has another answer.
func (r *Router) logLatePanic(c *callContext, err error) {
	p, _ := err.(*PanicError) //nolint:errorlint // exec made this error, and no code wraps it
	if p == nil {
		return
	}
	r.settings.logger.Error("faas: handler panicked after its call was over",
		append(c.ids(), "function", c.fn.who.name, "panic", foreign.Plain(p.Value), "stack", string(p.Stack))...)
}
