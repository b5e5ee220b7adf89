package faas

import (
	"time"

	"github.com/inproc/faas/internal/foreign"
)

// What a worker does while the handler of a settled call still runs. Its fields, and the
// rule by which two goroutines share them, are the type runaway in worker.go.

// runAway makes a call a runaway. follow calls it, on the goroutine that settled the call, before
// that goroutine calls leave. If fewer slots of the name have been replaced than WithRunaways
// allows, the slot goes to another call at once, by hold.Replace. If not, the call keeps the slot
// until its handler returns.
func (w *worker) runAway(c *callContext, at int64) {
	fn := c.fn
	fn.runaways.Add(1)
	c.state.Or(ranAway)
	w.since = at
	if job := c.provenance().delivers(); job != nil {
		job.ranAway()
	}
	// Add first and undo: two runaways at once can't both take the last replacement.
	if fn.family.replaced.Add(1) <= int64(fn.family.runaways) {
		fn.replaced.Add(1)
		w.replaced = true
		c.hold.Replace()
	} else {
		fn.family.replaced.Add(-1)
	}
	grace := fn.router.settings.grace
	if grace == 0 {
		c.hold.MarkStuck() // here and not on the timer: the caller's next call must find it stuck
	}
	tell := func() { fn.router.stuck(c, at) }
	w.tell.Store(&tell)
	w.report = time.AfterFunc(grace, func() { // loads tell, which leave clears: the runtime keeps a stopped timer for a while
		if tell := w.tell.Load(); tell != nil {
			(*tell)()
		}
	})
}

// leave ends a runaway. It is called twice: by the goroutine that settled the call, once the
// record is written, and by the handler's, once the handler has returned. The
// second call does the work: it gives back the seat and the slot, and records what the
// handler used after the end of its call. The two may come in either order; the add
// makes what the first wrote visible to the second.
func (w *worker) leave(c *callContext) {
	if w.left.Add(1) < 2 {
		return
	}
	fn := c.fn
	// The seat goes back before the slot, so that the call that gets the slot finds a free
	// seat. fn.runaways goes down after the overrun was recorded: that is what Shutdown
	// waits for. release comes after all that reads c.fn and c.task.
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
		w.pool.unregister(w) // inline; other workers are unregistered by loop
	}
	fn.tellIfEnding()
}

// recordOverrun tells each OverrunMeter that the handler ran for d after its call was
// over. That is no second Execution: the call has its record already.
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

// recordOverrunTo calls one meter, and recovers a panic of it.
func (c *callContext) recordOverrunTo(m OverrunMeter, o Overrun) {
	defer c.fn.router.guardCall("meter", c)
	m.RecordOverrun((*recordContext)(c), o)
}

// stuck runs when a runaway's grace is over: the handler may never return. Admission
// no longer lets calls wait for its slot, the router logs it, and the WithStuck func is
// called. It runs on the timer's goroutine, so that func may block. If the handler
// returns at the same time no harm is done: MarkStuck does nothing after Release.
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

// logLatePanic logs the panic of a runaway: its caller has left with another answer.
func (r *Router) logLatePanic(c *callContext, err error) {
	p, _ := err.(*PanicError) //nolint:errorlint // exec made it, and nothing wraps it
	if p == nil {
		return
	}
	r.settings.logger.Error("faas: handler panicked after its call was over",
		append(c.ids(), "function", c.fn.who.name, "panic", foreign.Plain(p.Value), "stack", string(p.Stack))...)
}
